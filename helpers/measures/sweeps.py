"""Tables of a sweep's measures, averaged over inputs with intervals, and the published figures beside them.

Source: arXiv 2410.06019, section 5, for the published figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from helpers.measures.parameters import mean_interval

DATA_SETS = ("mnist", "cifar10", "winobias", "reviews")  # the paper has hate speech in place of reviews
PUBLISHED_RANKING_CHANGES = {  # algorithm, step multiplier -> changes in 1,000 steps, in the order of DATA_SETS
    ("SiMEC", 1): (0.03, 0, 0, 0),
    ("SiMEC", 10): (0.07, 0.12, 0, 0),
    ("SiMExp", 1): (1.31, 2.60, 0.13, 0.75),
    ("SiMExp", 10): (11.9, 18.7, 3.25, 3.64),
}
PUBLISHED_VOLUME_RATIOS = {("SiMExp", 1): (99, 158, 38, 8.8)}  # hypervolume of SiMExp over that of SiMEC
PUBLISHED_STEP_DIFFERENCES = {"SiMEC": 2.2e-3, "SiMExp": 83e-3}  # mean change of a pixel or token per step
PUBLISHED_VALUE_DISTANCES = {"SiMEC": 0.0, "SiMExp": 0.049}  # Wasserstein-1, embedding and decoded input; medians
PUBLISHED_REALIGNMENT = (0.109, 291)  # SiMExp: share of misaligned predictions that realign, and after how many steps
PUBLISHED_SECONDS = {  # per step of 16 images on an H100, with all, q2 and one part moving
    "mnist": (1.41, 0.75, 0.14),
    "cifar10": (11.27, 5.77, 0.29),
}
BY = ("inputs", "eta", "algorithm")


def tabulate_published(figures: dict[tuple[str, int], tuple[float, ...]]) -> pd.DataFrame:
    """Tabulate published figures: one row per data set, multiplier and algorithm, with the column ``published``."""
    rows = [
        (data, float(eta), name, value)
        for (name, eta), values in figures.items()
        for data, value in zip(DATA_SETS, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*BY, "published"])


def tabulate_means(results: pd.DataFrame, column: str, by: Sequence[str] = BY) -> pd.DataFrame:
    """Average a measure over the walks of a sweep, with 95% bootstrap intervals.

    The walks from one input are not independent. They are averaged first, and the bootstrap resamples inputs. NaNs
    are left out.

    Returns:
        One row per group, in the order of ``results``: the columns of ``by``, then mean, low, high, and the number of
        inputs.
    """
    input_means = results.groupby([*by, "input"], sort=False)[column].mean().dropna()
    rows = [
        (*key, *mean_interval(torch.tensor(values.to_numpy())), len(values))
        for key, values in input_means.groupby(list(by), sort=False)
    ]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "number"])


def tabulate_differences(
    results: pd.DataFrame, column: str, first: str, second: str, by: Sequence[str] = BY[:2]
) -> pd.DataFrame:
    """Average the difference of a measure between two algorithms, paired by input; see ``tabulate_means``."""
    wide = results.groupby([*by, "input", "algorithm"], sort=False)[column].mean().unstack(sort=False)
    return tabulate_means((wide[first] - wide[second]).rename(column).reset_index(), column, by)
