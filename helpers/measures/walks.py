"""Measures of walks: how predictions change along them, how much they explore.

Source: arXiv 2410.06019, section 5 and appendix.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import ConstantInputWarning, pearsonr, rankdata, ttest_ind, wasserstein_distance
from sklearn.decomposition import PCA
from torch import Tensor

VARIANCE = 0.9  # share that the principal components of explored points keep


def prediction_changes(outputs: Tensor) -> int:
    """Count the steps of a walk, outputs (T+1, k), at which the predicted class is another than before."""
    classes = outputs.argmax(1)
    return int((classes[1:] != classes[:-1]).sum())


def ranking_changes(outputs: Tensor) -> Tensor:
    """Count, for each step of a walk, the pairs of classes that change their order.

    Args:
        outputs: (T+1, k).

    Returns:
        (T,); two classes that tie before or after have not changed their order, so that a swap which rests at a tie
        for a step is not counted.
    """
    order = torch.sign(outputs[:, :, None] - outputs[:, None, :])
    return (order[1:] * order[:-1] < 0).sum((1, 2)) // 2


def rank_correlation(outputs: Tensor) -> Tensor:
    """Spearman correlation of the ranking of the classes before and after each step, outputs (T+1, k): (T,).

    Where all classes tie, before or after, it is not a number.
    """
    ranks = rankdata(outputs.double().numpy(), axis=1)  # Pearson's correlation of the ranks, all steps at once
    with warnings.catch_warnings(action="ignore", category=ConstantInputWarning):
        return torch.from_numpy(pearsonr(ranks[1:], ranks[:-1], axis=1).statistic)


def value_distance(first: Tensor, second: Tensor) -> Tensor:
    """Wasserstein-1 distance of two predictions, their probabilities taken as numbers on a line.

    Args:
        first: probabilities, (N, k).
        second: of other inputs, (N, k).

    Returns:
        (N,). Two predictions whose classes are exchanged are at distance 0: this is the paper's measure, see total
        variation for one that tells classes apart.
    """
    pairs = zip(first.double().numpy(), second.double().numpy(), strict=True)
    return torch.tensor([wasserstein_distance(a, b) for a, b in pairs], dtype=torch.float64)


def explored_hypervolume(walks: Sequence[Tensor]) -> Tensor:
    """Say how much room each of some walks takes up, in the principal components of all of them.

    Args:
        walks: points (T+1, ...) each, of one shape.

    Returns:
        For each walk the geometric mean, over the components that keep 90% of the variance, of its range; (walks,).
        Zeros where no point differs from another.
    """
    flat = [walk.flatten(1).double().numpy() for walk in walks]
    every = np.concatenate(flat)
    if np.ptp(every, axis=0).max() == 0:
        return torch.zeros(len(walks), dtype=torch.float64)
    fitted = PCA(VARIANCE, svd_solver="full").fit(every)
    ranges = np.stack([np.ptp(fitted.transform(points), axis=0) for points in flat])
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.exp(np.log(ranges).mean(1)))


def volume_ratio(volumes: Tensor, references: Tensor) -> tuple[float, float]:
    """Compare hypervolumes (N,) with others (M,): ratio of the means, and the p-value of Welch's t-test."""
    test = ttest_ind(volumes.numpy(), references.numpy(), equal_var=False)
    return float(volumes.mean() / references.mean()), float(test.pvalue)


@dataclass(frozen=True)
class CatchUp:
    """How predictions of decoded inputs follow those of the embeddings they were decoded from.

    Attributes:
        misaligned: how often an embedding took a new class and its decoded input did not at the same step.
        realigned: how many of those the decoded inputs made up for later in the walk.
        delays: after how many steps each of them did.
    """

    misaligned: int
    realigned: int
    delays: tuple[int, ...]


def catch_up(embedded: Tensor, decoded: Tensor) -> CatchUp:
    """Compare the predicted class of each point of a walk with that of its decoded input.

    Args:
        embedded: classes (T+1,).
        decoded: classes (T+1,).
    """
    misaligned, delays = 0, []
    for step in ((embedded[1:] != embedded[:-1]).nonzero()[:, 0] + 1).tolist():
        if decoded[step] == embedded[step]:
            continue
        misaligned += 1
        later = (decoded[step:] == embedded[step]).nonzero()[:, 0]
        if len(later):
            delays.append(int(later[0]))
    return CatchUp(misaligned, len(delays), tuple(delays))
