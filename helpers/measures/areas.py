"""Areas under ROC curves: how well log-odds order texts by their labels, for all thresholds together."""

from __future__ import annotations

from jaxtyping import Float, Int
from scipy.stats import norm
from torch import Tensor, searchsorted

LogOdds = Float[Tensor, "*models n"]  # of class 1, per text
Labels = Int[Tensor, " n"]  # 0 or 1

NORMAL_95 = float(norm.ppf(0.975))  # half the width of a 95% interval, in standard errors


def area_under_curve(log_odds: LogOdds, labels: Labels) -> Float[Tensor, "*models"]:
    """Return how often a text of class 1 has higher log-odds than a text of class 0, per classifier.

    It is 1/2 for log-odds that do not depend on the text.
    """
    return _placements(log_odds, labels)[0].mean(-1)


def mean_area(log_odds: LogOdds, labels: Labels, minus: LogOdds | None = None) -> tuple[float, float, float]:
    """Return the mean area under the curve of classifiers, and the ends of its 95% interval over the texts.

    Args:
        log_odds: of one or many classifiers.
        labels: of the texts.
        minus: log-odds of other classifiers for the same texts; then the difference of the means is returned.

    Source: DeLong et al. 1988, Comparing the areas under two or more correlated ROC curves.
    """
    sides = [side.reshape(-1, side.shape[-1]).mean(0) for side in _placements(log_odds, labels)]
    if minus is not None:
        others = (side.reshape(-1, side.shape[-1]).mean(0) for side in _placements(minus, labels))
        sides = [side - other for side, other in zip(sides, others, strict=True)]
    mean = float(sides[0].mean())
    margin = NORMAL_95 * float(sum(side.var() / len(side) for side in sides)) ** 0.5
    return mean, mean - margin, mean + margin


def _placements(log_odds: LogOdds, labels: Labels) -> tuple[Float[Tensor, "*models n_1"], Float[Tensor, "*models n_0"]]:
    """Return, per text of class 1 and of class 0, the share of the texts of the other class that are below it."""
    ones, zeros = log_odds[..., labels == 1], log_odds[..., labels == 0]
    return _share_below(ones, zeros), _share_below(zeros, ones)


def _share_below(values: Float[Tensor, "*models m"], others: LogOdds) -> Float[Tensor, "*models m"]:
    """Return the share of the others that are lower than each value; equal ones count half."""
    ordered, values = others.sort(-1).values.contiguous(), values.contiguous()
    counts = searchsorted(ordered, values) + searchsorted(ordered, values, right=True)
    return counts.double() / (2 * others.shape[-1])
