"""Tables of a sweep's measures, averaged over inputs with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from helpers.measures.parameters import mean_interval

BY = ("inputs", "eta", "algorithm")


def tabulate_means(results: pd.DataFrame, column: str, by: Sequence[str] = BY) -> pd.DataFrame:
    """Average a measure over the walks of a sweep, with 95% bootstrap intervals.

    The walks from one input are not independent. They are averaged first, and the bootstrap resamples inputs. NaNs
    are left out.

    Returns:
        One row per group, in the order of ``results``: the columns of ``by``, then mean, low, high, and the number of
        inputs.
    """
    input_means = results.groupby([*by, "input"], sort=False)[column].mean().dropna()
    rows = [(*key, *mean_interval(values), len(values)) for key, values in input_means.groupby(list(by), sort=False)]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "number"])


def tabulate_differences(
    results: pd.DataFrame, column: str, first: str, second: str, by: Sequence[str] = BY[:2]
) -> pd.DataFrame:
    """Average the difference of a measure between two algorithms, paired by input; see ``tabulate_means``.

    The column ``p`` is of Wilcoxon's signed-rank test of the differences of the inputs, 1 where all of them are 0.
    """
    wide = results.groupby([*by, "input", "algorithm"], sort=False)[column].mean().unstack(sort=False)
    differences = (wide[first] - wide[second]).rename(column)
    tests = differences.dropna().groupby(list(by), sort=False).agg(lambda d: wilcoxon(d).pvalue if d.any() else 1.0)
    means = tabulate_means(differences.reset_index(), column, by)
    return means.merge(tests.rename("p").reset_index(), on=list(by))


def correct_by_holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the chance of any false discovery is at most the level (Holm 1979)."""
    order = np.argsort(p)
    steps = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(steps).clip(max=1)
    return corrected.tolist()
