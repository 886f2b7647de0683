"""Measures of a walk: how predictions change along it, how much of the space it explores.

Source: arXiv 2410.06019, section 4 and supplement.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import ConstantInputWarning, pearsonr, rankdata, ttest_1samp, wilcoxon
from torch import Tensor

EXPLAINED_VARIANCE = 0.9  # share of the variance that the principal components keep, as in the paper
FLAT = 1e-9  # a range of probabilities below this is constant up to rounding


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


def first_change(outputs: Float[Tensor, "points k"]) -> int | None:
    """Return the first point of a walk at which another class is predicted than at the start; None if there is none."""
    classes = outputs.argmax(1)
    changed = (classes != classes[0]).nonzero()
    return int(changed[0]) if len(changed) else None


def prediction_distance(first: Float[Tensor, "n k"], second: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the L1 distance of probabilities, between 0 and 2: twice the total variation.

    The paper's text calls it Wasserstein-1; its figure and its released code use this distance.
    """
    return (first - second).abs().sum(1)


def probability_correlation(
    embedded: Float[Tensor, "points k"], decoded: Float[Tensor, "points k"]
) -> tuple[float, float]:
    """Correlate the probability of the top class along a walk with that along its decoded inputs.

    Both are probabilities. The class is that predicted at each point of the walk.

    Returns:
        Pearson's correlation and its p-value; NaN where one of both is constant. The p-value takes points for
        independent, which those of a walk are not: it is the published one and no control.
    """
    top = embedded.argmax(1, keepdim=True)
    pair = [values.double().gather(1, top)[:, 0] for values in (embedded, decoded)]
    if len(top) < 3 or min(float(np.ptp(values.numpy())) for values in pair) < FLAT:
        return float("nan"), float("nan")
    test = pearsonr(*(values.numpy() for values in pair))
    return float(test.statistic), float(test.pvalue)


def log_volumes(
    walks: Sequence[Float[Tensor, "points parts d"]],
) -> tuple[Float[Tensor, "walks parts"], Int[Tensor, " parts"]]:
    """Measure the volume that each part of each walk explores, in principal components that all walks share.

    A volume is the product of the ranges along the components that keep 90% of the variance of a part, so that volumes
    of different dimensions cannot be compared.

    Returns:
        The natural logarithm of each volume, and the number of components per part; a part that no walk moves has
        none, and the volume NaN.
    """
    counts = [len(walk) for walk in walks]
    points = torch.cat([walk.double() for walk in walks]).transpose(0, 1)
    points = points - points.mean(1, keepdim=True)
    variances, components = torch.linalg.eigh(points.mT @ points)
    kept_before = variances.clamp(min=0).flip(1).cumsum(1) - variances.clamp(min=0).flip(1)
    total = variances.clamp(min=0).sum(1, keepdim=True)
    is_kept = (kept_before < EXPLAINED_VARIANCE * total).flip(1)
    scores = (points @ components).split(counts, dim=1)
    ranges = torch.stack([score.amax(1) - score.amin(1) for score in scores])
    volumes = torch.where(is_kept, ranges.log(), 0.0).sum(-1)
    return torch.where(is_kept.any(1), volumes, torch.nan), is_kept.sum(1)


@dataclass(frozen=True)
class VolumeComparison:
    """How the volumes of walks compare with those of the walks that they are paired with.

    Attributes:
        median: of the ratios.
        statistic: of the t-test of the ratios against 1, which the paper publishes. It depends on their spread, so that
            it does not say how large a volume is.
        p: of Wilcoxon's signed-rank test of the logarithms against 0, the control: ratios have heavy tails.
    """

    median: float
    statistic: float
    p: float


def compare_volumes(log_ratios: Float[Tensor, " n"]) -> VolumeComparison:
    """Compare paired volumes by the logarithms of their ratios, one per pair; NaN and infinite ones are left out."""
    values = log_ratios[log_ratios.isfinite()].double()
    if len(values) < 2:
        return VolumeComparison(*[float("nan")] * 3)
    ratios = values.exp().numpy()
    p = float(wilcoxon(values.numpy()).pvalue) if values.any() else 1.0
    return VolumeComparison(float(np.median(ratios)), float(ttest_1samp(ratios, 1).statistic), p)


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
