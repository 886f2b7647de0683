"""Walks inside an equivalence class of the input, and out of it.

Two points are equivalent when a curve along which the map's output does not change joins them.
``simec`` and ``simexp`` are the published algorithms, ``released_simec`` and ``released_simexp`` what the authors' code
makes of them; ``walk_class`` and ``leave_class`` are ours; ``gradient_noise`` is the published baseline.
"""

from helpers.equivalence.baseline import gradient_noise
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.leave_class import leave_class, leave_class_steps
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.released import released_simec, released_simexp
from helpers.equivalence.settings import PRINTED, ReleasedSettings, WalkSettings, create_generator
from helpers.equivalence.simec import random_steps, simec, simec_steps, simexp, simexp_steps
from helpers.equivalence.walk_class import walk_class, walk_class_steps
from helpers.equivalence.walk_state import Step, collect_path, path_of_steps

__all__ = [
    "PRINTED",
    "EndReason",
    "ExplorationPath",
    "ReleasedSettings",
    "Step",
    "WalkSettings",
    "collect_path",
    "create_generator",
    "gradient_noise",
    "leave_class",
    "leave_class_steps",
    "path_of_steps",
    "random_steps",
    "released_simec",
    "released_simexp",
    "simec",
    "simec_steps",
    "simexp",
    "simexp_steps",
    "walk_class",
    "walk_class_steps",
]
