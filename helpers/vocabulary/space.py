"""Embedding space: vectors and matrices of a model read as vocabulary items, or as classes.

What writes to the residual stream is read by the unembedding, what reads from it by the input embeddings.

Source: arXiv 2209.02535, section 3.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.geometry.arguments import check_whole
from helpers.resources.display import CONTINUATION
from helpers.vocabulary.pairs import find_largest_pairs
from helpers.vocabulary.reading import Reading
from helpers.vocabulary.tables import PairTable, TokenMap, TokenTable
from helpers.weights import FactoredMatrix, Side, Weights
from helpers.weights.certificate import mlp_output

CHUNK = 4096  # items at once, to bound the memory
Rows = Float[Tensor, "items d_model"]
Vector = Float[Tensor, " d_model"]
Matrix = FactoredMatrix | Float[Tensor, "d_model d_model"]


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
            ValueError: the word is not a single item of the vocabulary, or is filtered out; names similar items.
        """
        if word not in self._row_of:
            similar = ", ".join(map(repr, self.list_similar(str(word)))) or "none"
            raise ValueError(
                f"word={word!r}: is none of the {len(self):,} items that this reading lists; similar items: {similar}"
            )
        return self._row_of[word]

    def top_tokens(self, vector: Vector, k: int = 20) -> TokenTable:
        """Read a hidden vector as the k items with the highest scores; its opposite reads as the lowest.

        Raises:
            ValueError: a vector of another shape, zero or not finite, or k not between 1 and the number of items.
        """
        return self._list_tokens(*self._rank(vector, k, "highest"))

    def map_tokens(self, vector: Vector, k: int = 40, sign: str = "highest") -> TokenMap:
        """Place the k items with the "highest", "lowest" or largest "absolute" scores by their embeddings.

        Items that are near each other have embeddings that are alike, as far as two directions show it.

        Raises:
            ValueError: as in ``top_tokens``; k below 2, or another sign.
        """
        check_whole("k", k, 2, len(self))
        scores, rows = self._rank(vector, k, sign)
        embeddings = self.rows[rows].double()
        left, values, _ = torch.linalg.svd(embeddings - embeddings.mean(0), full_matrices=False)
        places = left[:, :2] * values[:2]
        places = places * places.gather(0, places.abs().argmax(0, keepdim=True)).sign()  # the farthest is right, or up
        share = places.square().sum() / values.square().sum().clamp(min=1e-30)
        return TokenMap(self._list_tokens(scores, rows), places.to(scores).cpu(), float(share))

    def _rank(self, vector: Vector, k: int, sign: str) -> tuple[Float[Tensor, " k"], Int[Tensor, " k"]]:
        """Return the scores and the rows of the k items that come first by their sign."""
        vector = torch.as_tensor(vector)
        _check_shape("vector", vector.shape, self.rows.shape[1:])
        check_whole("k", k, 1, len(self))
        vector = vector.detach().to(self.rows)
        _check_norm("vector", vector.norm())
        scores = self.rows @ vector
        ranks = {"highest": scores, "lowest": -scores, "absolute": scores.abs()}
        if sign not in ranks:
            raise ValueError(f"sign={sign!r}: must be one of {', '.join(ranks)}")
        rows = ranks[sign].topk(k).indices
        return scores[rows], rows

    def _list_tokens(self, scores: Float[Tensor, " k"], rows: Int[Tensor, " k"]) -> TokenTable:
        return TokenTable([self.names[row] for row in rows.tolist()], self.ids[rows.cpu()], scores.cpu(), self.note)

    def top_pairs(
        self, matrix: Matrix, k: int = 500, right: EmbeddingSpace | None = None, same_items: bool = False
    ) -> PairTable:
        """Read the matrix of a head as the k pairs of items with the highest scores, exactly.

        The (items, items) matrix is never formed.

        Args:
            matrix: the matrix of a head, factored or dense; reading a dense one takes longer.
            k: number of pairs.
            right: the space in which the columns of the matrix are read; None for this one.
            same_items: list pairs of the same item too; two items that differ only in case count as the same.

        Raises:
            ValueError: a matrix of another shape, zero or not finite, or k not between 1 and the number of pairs.
        """
        right = right or self
        matrix = self._factor(matrix, right)
        labels = _label_items(self.names, right.names)
        left_counts, right_counts = (torch.bincount(side, minlength=len(self) + len(right)) for side in labels)
        if same_items:
            labels = labels[0], -1 - labels[1]
        check_whole("k", k, 1, len(self) * len(right) - (0 if same_items else int(left_counts @ right_counts)))
        form = FactoredMatrix(self.rows @ matrix.left, right.rows @ matrix.right).balance()
        labels = labels[0].to(form.left.device), labels[1].to(form.left.device)
        scores, pairs, searched = find_largest_pairs(form, labels, k)
        rows, columns = pairs.T.tolist()
        lefts, rights = [self.names[row] for row in rows], [right.names[column] for column in columns]
        return PairTable(lefts, rights, scores.cpu(), self.note, searched)

    def copying_score(self, matrix: Matrix, right: EmbeddingSpace | None = None) -> float:
        """Return how far a matrix maps items to themselves: 1 for a copying head, -1 for one that suppresses items.

        It is the sum of the eigenvalues of the (items, items) table of scores divided by the sum of their absolute
        values; they are those of a small matrix of the head's width. Arguments and errors as in ``top_pairs``.

        Source: Elhage et al., "A mathematical framework for transformer circuits", 2021, detecting copying behaviour.
        """
        right = right or self
        if not torch.equal(self.ids, right.ids):
            raise ValueError(f"right: lists {len(right):,} items, wanted the same {len(self):,} items as on the left")
        matrix = self._factor(matrix, right)
        products = (right.rows @ matrix.right).T.double() @ (self.rows @ matrix.left).double()
        eigenvalues = torch.linalg.eigvals(products)
        return float(eigenvalues.real.sum() / eigenvalues.abs().sum())

    def _factor(self, matrix: Matrix, right: EmbeddingSpace) -> FactoredMatrix:
        """Return a matrix as a factored one in the precision of the rows; raise a ValueError if it cannot be read."""
        matrix = _as_factored(matrix)
        _check_shape("matrix", matrix.shape, (self.rows.shape[1], right.rows.shape[1]))
        left, right_factor = (factor.detach().to(self.rows) for factor in (matrix.left, matrix.right))
        _check_norm("matrix", FactoredMatrix(left.double(), right_factor.double()).norm())
        return FactoredMatrix(left, right_factor)

    def list_similar(self, word: str) -> list[str]:
        """List up to three items that are the word in other letters or within a word, or else are spelt like it."""
        plain = word.strip().lower()
        same = [name for name in self.names if name.removeprefix(CONTINUATION).lower() == plain]
        return same[:3] or difflib.get_close_matches(plain, self.names, 3)

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
        ValueError: the filters leave fewer than two items, embeddings are not finite, the model has no such table, or
            another side.
    """
    if side not in ("in", "out"):
        raise ValueError(f"side={side!r}: must be 'in' (what reads) or 'out' (what writes)")
    reading = reading or Reading()
    ids, names = reading.select_items(w)
    inverts = side == "in" and reading.pseudo_inverse
    rows = w.item_rows("out" if inverts else side, ids.to(w.device))
    if broken := [names[i] for i in (~rows.sum(1).isfinite()).nonzero()[:, 0].tolist()]:
        raise ValueError(f"w: embeddings of {len(broken):,} items are not finite, such as that of {broken[0]!r}")
    if reading.clean:
        rows = clean_rows(rows, _log_frequency(w)[ids].to(rows))
    if inverts:
        rows = torch.linalg.pinv(rows).T
    return EmbeddingSpace(rows, ids, names, reading.describe(w, len(ids)), side)


def match_items(a: EmbeddingSpace, b: EmbeddingSpace) -> tuple[Rows, Rows]:
    """Return the rows of the items that two spaces name alike, in upper or lower case; the first of a name counts.

    The rows of two models make them comparable (``helpers.alignment``), and a kernel that maps states of one to the
    other by least squares: ``torch.linalg.lstsq(rows_b, rows_a).solution``.

    Raises:
        ValueError: fewer than two names are common.
    """
    places = [{name.lower(): row for row, name in reversed(list(enumerate(space.names)))} for space in (a, b)]
    common = sorted(places[0].keys() & places[1].keys(), key=places[0].__getitem__)
    if len(common) < 2:
        raise ValueError(f"b: shares {len(common)} names of {len(b):,} items with the other space, wanted two or more")
    rows_a, rows_b = (space.rows[[at[name] for name in common]] for space, at in zip((a, b), places, strict=True))
    return rows_a, rows_b


def embed_through_first_mlp(w: Weights, reading: Reading | None = None) -> EmbeddingSpace:
    """Build the space that reads what upper layers read: each embedding, and what the first MLP writes where it enters.

    Attention and positions are left out, and no text is run. Keys above the first layer are triggered by these vectors
    far more than by the embeddings themselves. Errors as in ``embedding_space``.
    """
    reading = reading or Reading()
    space = embedding_space(w, replace(reading, clean=False), "in")
    rows = space.rows + torch.cat([mlp_output(w, 0, part) for part in space.rows.split(CHUNK)])
    cleaned = clean_rows(rows, _log_frequency(w)[space.ids].to(rows)) if reading.clean else rows
    return replace(space, rows=cleaned, note=f"{reading.describe(w, len(space))}; embeddings through the first MLP")


def top_tokens(
    w: Weights, vector: Vector, k: int = 20, reading: Reading | None = None, side: Side = "out"
) -> TokenTable:
    """Read one hidden vector; see ``EmbeddingSpace.top_tokens``, which is faster for many vectors."""
    return embedding_space(w, reading, side).top_tokens(vector, k)


def top_pairs(
    w: Weights, matrix: Matrix, k: int = 500, reading: Reading | None = None, same_items: bool = False
) -> PairTable:
    """Read the matrix of one head, each side by its own table; see ``EmbeddingSpace.top_pairs``.

    A dense matrix does not say which tables; it is read as W_OV is. For another one give ``FactoredMatrix`` its sides.
    """
    left, right = embedding_spaces(w, _as_factored(matrix), reading)
    return left.top_pairs(matrix, k, right, same_items)


def copying_score(w: Weights, matrix: Matrix, reading: Reading | None = None) -> float:
    """Return how far a head maps items to themselves; see ``EmbeddingSpace.copying_score`` and ``top_pairs`` above."""
    left, right = embedding_spaces(w, _as_factored(matrix), reading)
    return left.copying_score(matrix, right)


def embedding_spaces(
    w: Weights, matrix: FactoredMatrix, reading: Reading | None = None
) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """Build the spaces by which the rows and the columns of a head's matrix are read."""
    spaces = {side: embedding_space(w, reading, side) for side in set(matrix.sides)}
    return spaces[matrix.sides[0]], spaces[matrix.sides[1]]


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


def _as_factored(matrix: Matrix) -> FactoredMatrix:
    return FactoredMatrix(matrix, torch.eye(matrix.shape[-1]).to(matrix)) if isinstance(matrix, Tensor) else matrix


def _check_norm(name: str, norm: Tensor) -> None:
    if not bool(norm.isfinite()):
        raise ValueError(f"{name}: has values that are not finite; wanted finite ones")
    if norm == 0:
        raise ValueError(f"{name}: is zero everywhere, so all items have the same score; wanted one that is not zero")


def _label_items(*sides: list[str]) -> tuple[Int[Tensor, " items"], ...]:
    """Number the items of several lists; items that differ only in case have the same number."""
    numbers: dict[str, int] = {}
    return tuple(torch.tensor([numbers.setdefault(name.lower(), len(numbers)) for name in side]) for side in sides)
