"""What a reading returns: the tokens of a vector, the token pairs of a matrix."""

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
    """

    tokens: list[str]
    ids: Int[Tensor, " k"]
    scores: Float[Tensor, " k"]
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
        return table_html(self.table, self.note, index=False)


@dataclass(frozen=True, eq=False, repr=False)
class PairTable:
    """The pairs of items that a matrix scores highest.

    Attributes:
        lefts, rights: for W_OV the attended and the written item; for W_QK the querying and the attended item.
        scores: bilinear forms of the two embeddings.
        note: how the matrix was read.
        searched: share of all pairs whose score was computed; the others could not be among the highest.
    """

    lefts: list[str]
    rights: list[str]
    scores: Float[Tensor, " k"]
    note: str
    searched: float

    @property
    def table(self) -> pd.DataFrame:
        """Columns left, right and score."""
        return pd.DataFrame({"left": self.lefts, "right": self.rights, "score": self.scores.tolist()})

    def __len__(self) -> int:
        return len(self.lefts)

    def __repr__(self) -> str:
        pairs = map("{}→{}".format, self.lefts[:6], self.rights[:6])
        return f"PairTable({', '.join(pairs)}{', …' if len(self) > 6 else ''}; {self.note})"

    def _repr_html_(self) -> str:
        return table_html(self.table, self.note, index=False)
