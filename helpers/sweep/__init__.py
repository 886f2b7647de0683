"""Many walks at once, on one machine or on a cluster."""

from helpers.sweep.cells import Cell, Grid, Subject, measure_cell
from helpers.sweep.running import SweepError, load_results, run_sweep

__all__ = ["Cell", "Grid", "Subject", "SweepError", "load_results", "measure_cell", "run_sweep"]
