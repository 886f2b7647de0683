"""See how a Transformer perceives its input, and what its weights say."""

from helpers.equivalence import ExplorationPath, WalkSettings, create_generator, leave_class, simec, simexp, walk_class
from helpers.geometry import Box, Euclidean, FisherRao, PullbackMetric, jacobian, low_rank_metric

__version__ = "0.2.0"

__all__ = [
    "Box",
    "Euclidean",
    "ExplorationPath",
    "FisherRao",
    "PullbackMetric",
    "WalkSettings",
    "create_generator",
    "jacobian",
    "leave_class",
    "low_rank_metric",
    "simec",
    "simexp",
    "walk_class",
]
