"""Embedding space: vectors and matrices of a model read as vocabulary items.

Source: arXiv 2209.02535, section 3; E' is the transpose of E unless a reading says otherwise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.vocabulary.pairs import find_largest_pairs
from helpers.vocabulary.reading import Reading
from helpers.vocabulary.tables import PairTable, TokenTable
from helpers.weights import FactoredMatrix, Weights

Rows = Float[Tensor, "items d_model"]
Vector = Float[Tensor, " d_model"]


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingSpace:
    """The embeddings of the items that a reading lists, as they were when the space was built.

    Build it once with ``embedding_space`` to read many vectors. The rows are E' transposed, the ids are indices in the
    vocabulary, and the note tells tables how the rows were made.
    """

    rows: Rows
    ids: Int[Tensor, " items"]
    names: list[str]
    note: str

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"EmbeddingSpace({len(self):,} items; {self.note})"

    def find(self, word: str) -> int:
        """Return the row of a word.

        Raises:
            ValueError: the word is not a single item of the vocabulary, or is filtered out.
        """
        if word not in self._row_of:
            raise ValueError(f"word={word!r}: is none of the {len(self):,} items that this reading lists")
        return self._row_of[word]

    def top_tokens(self, vector: Vector, k: int = 20) -> TokenTable:
        """Read a hidden vector as the k items with the highest scores; its opposite reads as the lowest.

        Raises:
            ValueError: a vector of another shape, or k not between 1 and the number of items.
        """
        _check_shape("vector", vector.shape, self.rows.shape[1:])
        check_k(k, len(self))
        scores, rows = (self.rows @ vector.detach().to(self.rows)).topk(k)
        return TokenTable([self.names[row] for row in rows.tolist()], self.ids[rows.cpu()], scores.cpu(), self.note)

    def top_pairs(self, matrix: FactoredMatrix, k: int = 500) -> PairTable:
        """Read the matrix of a head as the k pairs of different items with the highest scores, exactly.

        The (items, items) matrix is never formed. Two items that differ only in case count as the same.

        Raises:
            ValueError: a matrix of another shape, or k not between 1 and the number of pairs.
        """
        _check_shape("matrix", matrix.shape, 2 * self.rows.shape[1:])
        check_k(k, len(self) ** 2 - int(torch.bincount(self.labels).square().sum()))
        form = FactoredMatrix(self.rows @ matrix.left, self.rows @ matrix.right).balance()
        scores, pairs, searched = find_largest_pairs(form, self.labels, k)
        lefts, rights = ([self.names[row] for row in side.tolist()] for side in pairs.T)
        return PairTable(lefts, rights, scores.cpu(), self.note, searched)

    @functools.cached_property
    def labels(self) -> Int[Tensor, " items"]:
        """One number per item, the same for items that differ only in case."""
        lower = [name.lower() for name in self.names]
        numbers = {name: i for i, name in enumerate(lower)}
        return torch.tensor([numbers[name] for name in lower], device=self.rows.device)

    @functools.cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in reversed(list(enumerate(self.names)))}


def embedding_space(w: Weights, reading: Reading | None = None) -> EmbeddingSpace:
    """Build the embedding space of a model for a reading, ``Reading()`` by default.

    Raises:
        ValueError: the filters leave fewer than two items.
    """
    reading = reading or Reading()
    ids, names = reading.select_items(w)
    rows = w.W_E.detach()[ids.to(w.W_E.device)]
    if reading.clean:
        rows = clean_rows(rows, _log_frequency(w)[ids].to(rows))
    if reading.pseudo_inverse:
        rows = torch.linalg.pinv(rows).T
    return EmbeddingSpace(rows, ids, names, reading.describe(w, len(ids)))


def top_tokens(w: Weights, vector: Vector, k: int = 20, reading: Reading | None = None) -> TokenTable:
    """Read one hidden vector; see ``EmbeddingSpace.top_tokens``, which is faster for many vectors."""
    return embedding_space(w, reading).top_tokens(vector, k)


def top_pairs(w: Weights, matrix: FactoredMatrix, k: int = 500, reading: Reading | None = None) -> PairTable:
    """Read the matrix of one head; see ``EmbeddingSpace.top_pairs``."""
    return embedding_space(w, reading).top_pairs(matrix, k)


def clean_rows(rows: Rows, log_frequency: Float[Tensor, " items"]) -> Rows:
    """Centre embeddings, remove the direction that follows log-frequency, and give each row unit length."""
    rows = rows - rows.mean(0)
    direction = rows.T @ (log_frequency - log_frequency.mean())
    rows = rows - torch.outer(rows @ direction, direction) / direction.square().sum().clamp(min=1e-30)
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-30)


def _log_frequency(w: Weights) -> Float[Tensor, " d_vocab"]:
    if w.counts is not None:
        return w.counts.clamp(min=1).double().log()
    # Zipf's law: the log-frequency falls with the logarithm of the rank in the vocabulary.
    return -torch.arange(1, len(w.W_E) + 1, dtype=torch.float64).log()


def _check_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"{name}: has shape {tuple(shape)}, wanted {tuple(wanted)}")


def check_k(k: int, largest: int) -> None:
    """Raise a ValueError unless k is between 1 and the largest number there can be."""
    if not 1 <= k <= largest:
        raise ValueError(f"k={k}: must be between 1 and {largest:,}")
