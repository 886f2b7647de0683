"""What a sweep's table says: means over inputs with their intervals, beside the published figures.

Source: arXiv 2410.06019, section 5, for the published figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from helpers.measures.parameters import mean_interval

DATA = ("mnist", "cifar10", "winobias", "reviews")  # the paper has hate speech where we have reviews
RANKING_CHANGES = {  # algorithm, step multiplier -> changes in 1,000 steps, for the data in the order of DATA
    ("SiMEC", 1): (0.03, 0, 0, 0),
    ("SiMEC", 10): (0.07, 0.12, 0, 0),
    ("SiMExp", 1): (1.31, 2.60, 0.13, 0.75),
    ("SiMExp", 10): (11.9, 18.7, 3.25, 3.64),
}
VOLUME_RATIOS = {("SiMExp", 1): (99, 158, 38, 8.8)}  # hypervolume of SiMExp over that of SiMEC
STEP_DIFFERENCES = {"SiMEC": 2.2e-3, "SiMExp": 83e-3}  # by how much a step changes pixels or tokens, in the mean
VALUE_DISTANCES = {"SiMEC": 0.0, "SiMExp": 0.049}  # Wasserstein-1, embedding and decoded input: medians, all data
CATCH_UP = (0.109, 291)  # SiMExp: share of misaligned predictions that realign, and after how many steps
SECONDS = {"mnist": (1.41, 0.75, 0.14), "cifar10": (11.27, 5.77, 0.29)}  # a step of 16 images on an H100: all, q2, one
BY = ("inputs", "eta", "algorithm")


def published(figures: dict[tuple[str, int], tuple[float, ...]]) -> pd.DataFrame:
    """Tabulate published figures: a row for each data set, step multiplier and algorithm, in the column published."""
    rows = [
        (data, float(eta), name, value)
        for (name, eta), values in figures.items()
        for data, value in zip(DATA, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*BY, "published"])


def tabulate(results: pd.DataFrame, column: str, by: Sequence[str] = BY) -> pd.DataFrame:
    """Average a measure over a sweep's walks, with 95% bootstrap intervals.

    An input's walks are averaged first, and inputs are drawn again by the bootstrap: walks from one input are not
    independent of each other.

    Args:
        results: a row a walk.
        column: the measure; its NaNs are left out.
        by: what keeps rows apart.

    Returns:
        A row a group, in the order of the walks: the columns of ``by``, mean, low, high, and the number of inputs.
    """
    of_inputs = results.groupby([*by, "input"], sort=False)[column].mean().dropna()
    rows = [
        (*key, *mean_interval(torch.tensor(values.to_numpy())), len(values))
        for key, values in of_inputs.groupby(list(by), sort=False)
    ]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "number"])


def contrast(results: pd.DataFrame, column: str, first: str, second: str, by: Sequence[str] = BY[:2]) -> pd.DataFrame:
    """Average over inputs by how much a measure is larger for one algorithm than for another; as ``tabulate``."""
    wide = results.groupby([*by, "input", "algorithm"], sort=False)[column].mean().unstack(sort=False)
    return tabulate((wide[first] - wide[second]).rename(column).reset_index(), column, by)
