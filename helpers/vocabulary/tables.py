"""A vector read as tokens, a matrix as pairs of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from helpers.vocabulary.pairs import best_pairs
from helpers.vocabulary.space import Reading, embedding_space
from helpers.weights import FactoredMatrix, Weights


@dataclass(frozen=True, eq=False, repr=False)
class TokenTable:
    """Items that a vector reads as, the highest score first.

    Attributes:
        tokens: as they are shown; "…ness" goes on with a word.
        ids: in the vocabulary, (k,).
        scores: cosines where the reading is clean and the vector is one, else products, (k,).
        note: how they were read.
    """

    tokens: list[str]
    ids: Tensor
    scores: Tensor
    note: str

    @property
    def table(self) -> pd.DataFrame:
        """Columns token and score."""
        return pd.DataFrame({"token": self.tokens, "score": self.scores.tolist()})

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"TokenTable({', '.join(self.tokens[:10])}{', …' if len(self) > 10 else ''}; {self.note})"

    def _repr_html_(self) -> str:
        return _shown(self.table, self.note)


@dataclass(frozen=True, eq=False, repr=False)
class PairTable:
    """Pairs of items that a matrix scores highest.

    Attributes:
        lefts, rights: the items: of W_OV the one attended to and the one written; of W_QK the querying one and the
            attended one.
        scores: (k,).
        note: how they were read.
        searched: share of all pairs whose score was computed; the others could be ruled out.
    """

    lefts: list[str]
    rights: list[str]
    scores: Tensor
    note: str
    searched: float

    @property
    def table(self) -> pd.DataFrame:
        """Columns left, right and score."""
        return pd.DataFrame({"left": self.lefts, "right": self.rights, "score": self.scores.tolist()})

    def __len__(self) -> int:
        return len(self.lefts)

    def __repr__(self) -> str:
        pairs = [f"{left}→{right}" for left, right in zip(self.lefts[:6], self.rights[:6], strict=True)]
        return f"PairTable({', '.join(pairs)}{', …' if len(self) > 6 else ''}; {self.note})"

    def _repr_html_(self) -> str:
        return _shown(self.table, self.note)


def _shown(table: pd.DataFrame, note: str) -> str:
    """Show at most 20 rows of a table above its note."""
    left_out = f"; {len(table):,} rows, the first 20 shown" if len(table) > 20 else ""
    html = table.head(20).to_html(index=False, border=0, float_format="{:.3g}".format)
    return f"{html}<p style='font-size: 85%'>{note}{left_out}</p>"


def top_tokens(w: Weights, vector: Tensor, k: int = 20, reading: Reading | None = None) -> TokenTable:
    """Read a hidden vector (d_model,) as the k items with the highest scores; its opposite reads the lowest.

    Raises:
        ValueError: a vector of another shape, or k that is not between 1 and the number of items listed.
    """
    if tuple(vector.shape) != (w.d_model,):
        raise ValueError(f"vector: has shape {tuple(vector.shape)}, wanted ({w.d_model},)")
    space = embedding_space(w, reading)
    _check_count(k, len(space))
    scores, found = (space.rows @ vector.detach().to(space.rows)).topk(k)
    return TokenTable([space.names[i] for i in found.tolist()], space.ids[found.cpu()], scores.cpu(), space.note)


def top_pairs(w: Weights, matrix: FactoredMatrix, k: int = 500, reading: Reading | None = None) -> PairTable:
    """Read a head's matrix (d_model, d_model) as the k pairs of different items with the highest scores, exactly.

    The (items, items) matrix is never formed: blocks of it are scored, those with the longest rows first, and a block
    is passed over when even the product of its longest rows (Cauchy-Schwarz) stays below the k-th best so far. Two
    items that differ in case alone count as the same.

    Raises:
        ValueError: a matrix of another shape, or k that is not between 1 and the number of pairs of items.
    """
    if matrix.shape != (w.d_model, w.d_model):
        raise ValueError(f"matrix: has shape {matrix.shape}, wanted ({w.d_model}, {w.d_model})")
    space = embedding_space(w, reading)
    _check_count(k, len(space) ** 2 - int(torch.bincount(space.labels).square().sum()))
    scores, pairs, searched = best_pairs((space.rows @ matrix @ space.rows.T).balanced(), space.labels, k)
    names = [[space.names[i] for i in side.tolist()] for side in pairs.T]
    return PairTable(*names, scores.cpu(), space.note, searched)


def _check_count(k: int, most: int) -> None:
    if not 1 <= k <= most:
        raise ValueError(f"k={k}: must be between 1 and {most:,}")
