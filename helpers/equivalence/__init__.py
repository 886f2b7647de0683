"""Walks inside an equivalence class of the input, and out of it.

Two points are equivalent when a curve along which the map's output does not change joins them.
``simec`` and ``simexp`` are the published algorithms; ``walk_class`` and ``leave_class`` are ours;
``gradient_noise`` is the published baseline.
"""

from helpers.equivalence.baseline import gradient_noise, gradient_noise_steps
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.leave_class import leave_class, leave_class_steps
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings
from helpers.equivalence.simec import simec, simec_steps
from helpers.equivalence.simexp import simexp, simexp_steps
from helpers.equivalence.walk_class import walk_class, walk_class_steps
from helpers.equivalence.walk_state import Step, collect_path, path_of_steps

__all__ = [
    "EndReason",
    "ExplorationPath",
    "Step",
    "WalkSettings",
    "collect_path",
    "gradient_noise",
    "gradient_noise_steps",
    "leave_class",
    "leave_class_steps",
    "path_of_steps",
    "simec",
    "simec_steps",
    "simexp",
    "simexp_steps",
    "walk_class",
    "walk_class_steps",
]
