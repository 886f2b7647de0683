"""Measures of a walk: how predictions change along it, how much of the space it explores.

Source: arXiv 2410.06019, section 5 and appendix.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import ConstantInputWarning, pearsonr, rankdata, ttest_ind, wasserstein_distance
from sklearn.decomposition import PCA
from torch import Tensor

EXPLAINED_VARIANCE = 0.9  # share of the variance that the principal components keep, as in the paper


def prediction_changes(outputs: Float[Tensor, "points k"]) -> int:
    """Count the steps of a walk after which another class is predicted than before."""
    classes = outputs.argmax(1)
    return int((classes[1:] != classes[:-1]).sum())


def ranking_changes(outputs: Float[Tensor, "points k"]) -> Int[Tensor, " steps"]:
    """Count, for each step of a walk, the pairs of classes that change their order.

    A pair that is tied before or after a step does not count, so an exchange that passes through an exact tie at one
    point of the walk is not counted at all.
    """
    order = torch.sign(outputs[:, :, None] - outputs[:, None, :])
    return (order[1:] * order[:-1] < 0).sum((1, 2)) // 2


def rank_correlation(outputs: Float[Tensor, "points k"]) -> Float[Tensor, " steps"]:
    """Return Spearman's correlation of the ranking of the classes before and after each step of a walk.

    It is NaN where all classes are tied, before or after.
    """
    ranks = rankdata(outputs.double().numpy(), axis=1)  # Pearson's correlation of the ranks, for all steps at once
    with warnings.catch_warnings(action="ignore", category=ConstantInputWarning):
        return torch.from_numpy(pearsonr(ranks[1:], ranks[:-1], axis=1).statistic)


def value_distance(first: Float[Tensor, "n k"], second: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the Wasserstein-1 distance of predictions whose probabilities are taken as numbers on a line.

    Two predictions with exchanged classes are at distance 0. This is the paper's measure;
    ``helpers.geometry.total_variation`` distinguishes classes.
    """
    pairs = zip(first.double().numpy(), second.double().numpy(), strict=True)
    return torch.tensor([wasserstein_distance(a, b) for a, b in pairs], dtype=torch.float64)


def explored_hypervolume(walks: Sequence[Float[Tensor, "points *shape"]]) -> Float[Tensor, " walks"]:
    """Measure the space that each walk explores, in the principal components of all walks together.

    Returns:
        For each walk, the geometric mean of its ranges along the components that keep 90% of the variance; zeros if
        all points are equal.
    """
    points_by_walk = [walk.flatten(1).double().numpy() for walk in walks]
    points = np.concatenate(points_by_walk)
    if np.ptp(points, axis=0).max() == 0:
        return torch.zeros(len(walks), dtype=torch.float64)
    components = PCA(EXPLAINED_VARIANCE, svd_solver="full").fit(points)
    ranges = np.stack([np.ptp(components.transform(points), axis=0) for points in points_by_walk])
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.exp(np.log(ranges).mean(1)))


def volume_ratio(volumes: Float[Tensor, " n"], references: Float[Tensor, " m"]) -> tuple[float, float]:
    """Compare hypervolumes with reference ones: the ratio of the means, and the p-value of Welch's t-test."""
    test = ttest_ind(volumes.numpy(), references.numpy(), equal_var=False)
    return float(volumes.mean() / references.mean()), float(test.pvalue)


@dataclass(frozen=True)
class Realignment:
    """How the predictions of decoded inputs follow those of the embeddings from which they were decoded.

    Attributes:
        misaligned: how often the predicted class of an embedding changed and that of its decoded input was another.
        realigned: how many of those the decoded inputs predicted later in the walk.
        delays: after how many points each of them did.
    """

    misaligned: int
    realigned: int
    delays: tuple[int, ...]


def measure_realignment(embedded: Int[Tensor, " points"], decoded: Int[Tensor, " points"]) -> Realignment:
    """Compare the predicted class at each point of a walk with that of its decoded input."""
    changes = (embedded[1:] != embedded[:-1]).nonzero()[:, 0] + 1
    misaligned = [step for step in changes.tolist() if decoded[step] != embedded[step]]
    matches = [(decoded[step:] == embedded[step]).nonzero()[:, 0] for step in misaligned]
    delays = tuple(int(steps[0]) for steps in matches if len(steps))
    return Realignment(len(misaligned), len(delays), delays)
