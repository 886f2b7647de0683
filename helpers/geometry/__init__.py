"""The geometry of a smooth map: its Jacobian, output metrics, the pullback metric, and boxes of feasible points."""

from helpers.geometry.box import Box
from helpers.geometry.differentiation import ROUNDING, Linearization, SmoothMap, check_outputs, jacobian
from helpers.geometry.low_rank import SoftmaxFisherRao, low_rank_metric, mean_block_metric
from helpers.geometry.metrics import (
    Euclidean,
    FisherRao,
    OutputMetric,
    are_log_probabilities,
    check_finite,
    check_floating,
    check_log_probabilities,
    drift,
    to_float64,
    total_variation,
)
from helpers.geometry.pullback import RANK_TOLERANCE, PullbackMetric, thin_svd

__all__ = [
    "RANK_TOLERANCE",
    "ROUNDING",
    "Box",
    "Euclidean",
    "FisherRao",
    "Linearization",
    "OutputMetric",
    "PullbackMetric",
    "SmoothMap",
    "SoftmaxFisherRao",
    "are_log_probabilities",
    "check_finite",
    "check_floating",
    "check_log_probabilities",
    "check_outputs",
    "drift",
    "jacobian",
    "low_rank_metric",
    "mean_block_metric",
    "thin_svd",
    "to_float64",
    "total_variation",
]
