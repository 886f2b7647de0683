"""Embedding space: vectors and matrices of a model read as vocabulary items, or as classes.

What writes to the residual stream is read by the unembedding, what reads from it by the input embeddings.

Source: arXiv 2209.02535, section 3.
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
from helpers.weights import FactoredMatrix, Side, Weights

Rows = Float[Tensor, "items d_model"]
Vector = Float[Tensor, " d_model"]


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingSpace:
    """The embeddings of the items that a reading lists, as they were when the space was built.

    Build it once with ``embedding_space`` to read many vectors. Each item has a row; the ids are indices in the
    vocabulary, the note tells tables how the rows were made, and the side is that of the residual stream: "out" reads
    what is written, "in" what is read.
    """

    rows: Rows
    ids: Int[Tensor, " items"]
    names: list[str]
    note: str
    side: Side = "out"

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

    def top_pairs(self, matrix: FactoredMatrix, k: int = 500, right: EmbeddingSpace | None = None) -> PairTable:
        """Read the matrix of a head as the k pairs of different items with the highest scores, exactly.

        The (items, items) matrix is never formed. Two items that differ only in case count as the same. The columns are
        read by the space on the right, by default by this one, which has the same items.

        Raises:
            ValueError: a matrix of another shape, or k not between 1 and the number of pairs.
        """
        right = right or self
        _check_shape("matrix", matrix.shape, (self.rows.shape[1], right.rows.shape[1]))
        check_k(k, len(self) ** 2 - int(torch.bincount(self.labels).square().sum()))
        form = FactoredMatrix(self.rows @ matrix.left, right.rows @ matrix.right).balance()
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


def embedding_space(w: Weights, reading: Reading | None = None, side: Side = "out") -> EmbeddingSpace:
    """Build the embedding space of a model for one side of the residual stream.

    Args:
        w: the model.
        reading: which items are listed and how their rows are made, ``Reading()`` by default.
        side: "out" for what is written to the residual stream, read by the unembedding; "in" for what reads from it,
            read by the input embeddings, or by the pseudo-inverse of the unembedding if the reading says so.

    Raises:
        ValueError: the filters leave fewer than two items, the model has no such table, or another side.
    """
    if side not in ("in", "out"):
        raise ValueError(f"side={side!r}: must be 'in' (what reads) or 'out' (what writes)")
    reading = reading or Reading()
    ids, names = reading.select_items(w)
    inverts = side == "in" and reading.pseudo_inverse
    rows = w.item_rows("out" if inverts else side, ids.to(w.device))
    if reading.clean:
        rows = clean_rows(rows, _log_frequency(w)[ids].to(rows))
    if inverts:
        rows = torch.linalg.pinv(rows).T
    return EmbeddingSpace(rows, ids, names, reading.describe(w, len(ids)), side)


def top_tokens(
    w: Weights, vector: Vector, k: int = 20, reading: Reading | None = None, side: Side = "out"
) -> TokenTable:
    """Read one hidden vector; see ``EmbeddingSpace.top_tokens``, which is faster for many vectors."""
    return embedding_space(w, reading, side).top_tokens(vector, k)


def top_pairs(w: Weights, matrix: FactoredMatrix, k: int = 500, reading: Reading | None = None) -> PairTable:
    """Read the matrix of one head, each side by its own table; see ``EmbeddingSpace.top_pairs``."""
    spaces = {side: embedding_space(w, reading, side) for side in set(matrix.sides)}
    left, right = (spaces[side] for side in matrix.sides)
    return left.top_pairs(matrix, k, right)


def clean_rows(rows: Rows, log_frequency: Float[Tensor, " items"]) -> Rows:
    """Centre embeddings, remove the direction that follows log-frequency, and give each row unit length."""
    rows = rows - rows.mean(0)  # a copy; then in place, because a large vocabulary fills the memory
    direction = rows.T @ (log_frequency - log_frequency.mean())
    rows.addr_(rows @ direction / direction.square().sum().clamp(min=1e-30), direction, alpha=-1)
    return rows.div_(rows.norm(dim=1, keepdim=True).clamp(min=1e-30))


def _log_frequency(w: Weights) -> Float[Tensor, " d_vocab"]:
    if w.counts is not None:
        return w.counts.clamp(min=1).double().log()
    if w.labels:
        return torch.zeros(w.d_vocab, dtype=torch.float64)  # classes have no frequency
    # Zipf's law: the log-frequency falls with the logarithm of the rank in the vocabulary.
    return -torch.arange(1, w.d_vocab + 1, dtype=torch.float64).log()


def _check_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"{name}: has shape {tuple(shape)}, wanted {tuple(wanted)}")


def check_k(k: int, largest: int) -> None:
    """Raise a ValueError unless k is between 1 and the largest number there can be."""
    if not 1 <= k <= largest:
        raise ValueError(f"k={k}: must be between 1 and {largest:,}")
