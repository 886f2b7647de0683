"""What a reading returns: the tokens of a vector, their places in the plane, the token pairs of a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from helpers.resources.display import table_html


@dataclass(frozen=True, eq=False, repr=False)
class TokenTable:
    """The items that a vector reads as, the highest score first.

    Attributes:
        tokens: names of the items; "…ness" continues a word.
        ids: indices in the vocabulary.
        scores: inner products with the embeddings; cosines if the reading is clean and the vector has length 1.
        note: how the vector was read.
        p, fdr: p-values and false discovery rates of the scores, see ``LayerControl``; None without a control.
    """

    tokens: list[str]
    ids: Int[Tensor, " k"]
    scores: Float[Tensor, " k"]
    note: str
    p: Float[Tensor, " k"] | None = None
    fdr: Float[Tensor, " k"] | None = None

    @property
    def table(self) -> pd.DataFrame:
        """Columns token and score, and p and fdr beside a control."""
        return pd.DataFrame({"token": self.tokens} | _score_columns(self))

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"TokenTable({', '.join(self.tokens[:10])}{', …' if len(self) > 10 else ''}; {self.note})"

    def _repr_html_(self) -> str:
        return table_html(self.table, self.note, index=False)


@dataclass(frozen=True, eq=False)
class TokenMap:
    """The items that a vector reads as, at their places in the plane that shows most of the spread of their embeddings.

    Attributes:
        table: the items, the score of highest rank first.
        places: along the two principal directions of the items' embeddings, from their mean.
        share: of the items' variance that the two directions hold; 1 if the plane shows all of it.
    """

    table: TokenTable
    places: Float[Tensor, "k 2"]
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class PairTable:
    """The pairs of items that a matrix scores highest.

    Attributes:
        lefts, rights: for W_OV the attended and the written item; for W_QK the querying and the attended item.
        scores: bilinear forms of the two embeddings.
        note: how the matrix was read.
        searched: share of all pairs whose score was computed; the others could not be among the highest.
        p, fdr: p-values and false discovery rates of the scores, see ``LayerControl``; None without a control.
    """

    lefts: list[str]
    rights: list[str]
    scores: Float[Tensor, " k"]
    note: str
    searched: float
    p: Float[Tensor, " k"] | None = None
    fdr: Float[Tensor, " k"] | None = None

    @property
    def table(self) -> pd.DataFrame:
        """Columns left, right and score, and p and fdr beside a control."""
        return pd.DataFrame({"left": self.lefts, "right": self.rights} | _score_columns(self))

    def __len__(self) -> int:
        return len(self.lefts)

    def __repr__(self) -> str:
        pairs = map("{}→{}".format, self.lefts[:6], self.rights[:6])
        return f"PairTable({', '.join(pairs)}{', …' if len(self) > 6 else ''}; {self.note})"

    def _repr_html_(self) -> str:
        return table_html(self.table, self.note, index=False)


def _score_columns(table: TokenTable | PairTable) -> dict[str, list[float]]:
    columns = {"score": table.scores, "p": table.p, "fdr": table.fdr}
    return {name: values.tolist() for name, values in columns.items() if values is not None}
