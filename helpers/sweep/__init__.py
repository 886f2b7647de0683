"""Many walks from many inputs, measured on one machine or on a cluster."""

from helpers.sweep.algorithms import ABLATION, ALGORITHMS, MAIN
from helpers.sweep.cells import choose_parts, importance_of_parts, measure_cell, tabulate_choices
from helpers.sweep.grid import PAPER, Cell, Grid, Subject
from helpers.sweep.results import export_results, import_results, load_bundled_results, load_results
from helpers.sweep.running import SweepError, run_sweep

__all__ = [
    "ABLATION",
    "ALGORITHMS",
    "MAIN",
    "PAPER",
    "Cell",
    "Grid",
    "Subject",
    "SweepError",
    "choose_parts",
    "export_results",
    "import_results",
    "importance_of_parts",
    "load_bundled_results",
    "load_results",
    "measure_cell",
    "run_sweep",
    "tabulate_choices",
]
