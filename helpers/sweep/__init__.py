"""Many walks at once, on one machine or on a cluster."""

from helpers.sweep.cells import choose_parts, measure_cell
from helpers.sweep.grid import PAPER, Cell, Grid, Subject
from helpers.sweep.running import SweepError, load_results, read_stored, restore, run_sweep, store

__all__ = [
    "PAPER",
    "Cell",
    "Grid",
    "Subject",
    "SweepError",
    "choose_parts",
    "load_results",
    "measure_cell",
    "read_stored",
    "restore",
    "run_sweep",
    "store",
]
