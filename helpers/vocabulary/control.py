"""Are the scores of a table higher than chance? Random parameters with the covariance of a layer.

The p-value at rank j is the probability that the j-th highest score of a random parameter is at least as high as that
of the parameter that is read, each divided by the norm of its parameter. So it takes into account that the item at rank
j was chosen among all items. It does not say whether the listed items are alike in meaning; see ``coherence``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from scipy.stats import false_discovery_control
from torch import Tensor

from helpers.geometry.arguments import check_whole
from helpers.vocabulary.reading import Reading
from helpers.vocabulary.space import EmbeddingSpace, embedding_space, embedding_spaces
from helpers.vocabulary.tables import PairTable, TokenTable
from helpers.weights import KINDS, FactoredMatrix, Weights
from helpers.weights.layer import pick

RANDOM_VECTORS = 20_000  # the smallest p-value is then 5e-5, enough for one discovery among 1,000 vectors at 5%
RANDOM_HEADS = 19  # per head; the smallest p-value is then 5%
CHUNK = 1024  # vectors projected at once, to bound the memory

Scores = Float[Tensor, "n k"]
Table = TypeVar("Table", TokenTable, PairTable)


@dataclass(frozen=True, eq=False, repr=False)
class LayerControl:
    """The p-values and the false discovery rates of all parameters of one kind in a layer, per rank.

    Attributes:
        p: probability that the item (or pair) of a random parameter at the same rank has at least this score.
        fdr: false discovery rate if all parameters of the layer with at most this p-value are called discoveries
            (Benjamini-Hochberg, at each rank).
        note: what the random parameters are.
    """

    p: Scores
    fdr: Scores
    note: str

    @classmethod
    def of_vectors(
        cls,
        space: EmbeddingSpace,
        vectors: Float[Tensor, "n d_model"],
        generator: torch.Generator,
        k: int = 20,
        n_random: int = RANDOM_VECTORS,
    ) -> LayerControl:
        """Compare the vectors of a layer with random vectors that have their mean and covariance.

        A random vector is the mean plus a row of a random rotation of the centred vectors. Vectors of zeros are left
        out; their p is 1. The cost is one projection of all these vectors: about 1 second for 5,000 items of width 192,
        11 seconds for 31,000 of width 576.

        Raises:
            ValueError: fewer than two vectors that are not zero, a vector that is not finite, or k out of range.
        """
        check_whole("k", k, 1, len(space))
        vectors = vectors.detach().to(space.rows)
        norms = vectors.norm(dim=1)
        is_read, broken = norms > 0, int((~norms.isfinite()).sum())
        read = vectors[is_read]
        if len(read) < 2 or broken > 0:
            raise ValueError(f"vectors: {broken} are not finite and {len(read)} are not zero, wanted 0, and 2 or more")
        null = torch.cat([_top_scores(chunk, space, k) for chunk in draw_random_vectors(read, n_random, generator)])
        own = torch.cat([_top_scores(chunk, space, k) for chunk in read.split(CHUNK)])
        note = f"p from {n_random:,} random vectors with the mean and covariance of the layer's {len(read):,}"
        p = torch.ones(len(vectors), k, dtype=torch.float64)
        p[is_read.cpu()] = _p_values(own, null)
        return cls._from_p(p, note)

    @classmethod
    def of_heads(
        cls,
        space: EmbeddingSpace,
        heads: Sequence[FactoredMatrix],
        generator: torch.Generator,
        k: int = 20,
        n_random: int = RANDOM_HEADS,
        right: EmbeddingSpace | None = None,
    ) -> LayerControl:
        """Compare each head of a layer with random heads that differ in what is paired with what.

        A random head has the head's own factors, one of them rotated: left @ Q @ right.T with a random rotation Q. So
        both keep their covariance. A head of zeros has p = 1. The cost is that of reading ``n_random`` + 1 matrices per
        head.
        """
        p = torch.ones(len(heads), k, dtype=torch.float64)
        for row, head in zip(p, heads, strict=True):
            if head.norm() > 0:
                alternatives = (head, *draw_random_heads(head, n_random, generator))
                own, *null = (space.top_pairs(h, k, right).scores / h.norm().detach().cpu() for h in alternatives)
                row[:] = _p_values(own[None], torch.stack(null))[0]
        return cls._from_p(p, f"p from {n_random} random rotations between the two factors of each of {len(p)} heads")

    @classmethod
    def _from_p(cls, p: Scores, note: str) -> LayerControl:
        fdr = torch.from_numpy(false_discovery_control(p.numpy(), axis=0))
        return cls(p, fdr, f"{note}; fdr: Benjamini-Hochberg over the layer")

    def annotate(self, table: Table, index: int) -> Table:
        """Return the table of a parameter of the layer with its p-values and false discovery rates."""
        if len(table) != self.p.shape[1]:
            raise ValueError(f"table: has {len(table)} rows, wanted k={self.p.shape[1]}, as many as the control")
        return replace(table, p=self.p[index], fdr=self.fdr[index], note=f"{table.note}; {self.note}")


def read_parameter(
    w: Weights, kind: str, layer: int, index: int, k: int = 20, reading: Reading | None = None
) -> TokenTable | PairTable:
    """Read a parameter by its place in the model, with p-values and the false discovery rate over its layer.

    For many parameters of a layer, build a ``LayerControl`` once.

    Args:
        w: the model.
        kind: one of ``w.kinds`` for a vector; W_OV or W_QK for the pairs of a head.
        layer: number of the layer.
        index: number of the neuron or subhead, or of the head.
        k: number of items or pairs.
        reading: how vectors are read.

    Raises:
        ValueError: no such kind, layer or index, or k out of range.
    """
    generator = torch.Generator().manual_seed(0)
    if kind in ("W_OV", "W_QK"):
        heads = [getattr(w, kind)(layer, head) for head in range(w.n_heads)]
        head = pick("index", index, heads, len(heads))
        left, right = embedding_spaces(w, head, reading)
        pairs = left.top_pairs(head, k, right)
        return LayerControl.of_heads(left, heads, generator, k, right=right).annotate(pairs, index)
    vectors = w.vectors(kind, layer)
    vector = pick("index", index, vectors, len(vectors))
    space = embedding_space(w, reading, KINDS[kind])
    tokens = space.top_tokens(vector, k)
    return LayerControl.of_vectors(space, vectors, generator, k).annotate(tokens, index)


def draw_random_vectors(vectors: Tensor, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Draw random vectors with the mean and the covariance of given ones, in chunks."""
    mean = vectors.mean(0)
    for start in range(0, count, CHUNK):
        rotated = torch.randn(min(CHUNK, count - start), len(vectors), generator=generator).to(vectors)
        yield mean + rotated / rotated.norm(dim=1, keepdim=True) @ (vectors - mean)


def _top_scores(vectors: Tensor, space: EmbeddingSpace, k: int) -> Scores:
    return ((vectors @ space.rows.T).topk(k, dim=1).values / vectors.norm(dim=1, keepdim=True)).cpu()


def draw_random_heads(head: FactoredMatrix, count: int, generator: torch.Generator) -> list[FactoredMatrix]:
    """Draw heads with the factors of a given one and a random rotation between them: left @ Q @ right.T."""
    left, right = head.left.detach(), head.right.detach()
    empty = torch.empty(left.shape[1], left.shape[1])
    rotations = (torch.nn.init.orthogonal_(empty, generator=generator).to(left) for _ in range(count))
    return [FactoredMatrix(left @ rotation, right) for rotation in rotations]


def _p_values(own: Scores, null: Scores) -> Scores:
    """Return the share of random scores, the own one among them, that are at least as high, for each rank."""
    below = torch.searchsorted(null.T.contiguous().sort(dim=1).values, own.T.contiguous())
    return (1 + len(null) - below.T).double() / (1 + len(null))
