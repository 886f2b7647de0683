"""How far several measures of importance agree on which parts of an input to choose."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pandas as pd
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor


def compare_choices(importances: Mapping[str, Float[Tensor, " parts"]]) -> pd.DataFrame:
    """Compare each two measures of importance of the same parts.

    Returns:
        One row per pair, with columns first, second, correlation (Spearman's), one (whether both have the same most
        important part), q2 (the share of one's more important half that is in the other's too) and q2_by_chance.
    """
    rows = []
    for (first, a), (second, b) in itertools.combinations(importances.items(), 2):
        half = max(len(a) // 2, 1)
        shared = set(a.topk(half).indices.tolist()) & set(b.topk(half).indices.tolist())
        correlation = float(spearmanr(a.numpy(), b.numpy()).statistic)
        is_same = bool(a.argmax() == b.argmax())
        rows.append((first, second, correlation, is_same, len(shared) / half, half / len(a)))
    return pd.DataFrame(rows, columns=["first", "second", "correlation", "one", "q2", "q2_by_chance"])
