"""All neurons at once: which of them promote a word, and which read as one thing."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from helpers.vocabulary.space import EmbeddingSpace, Reading, embedding_space
from helpers.vocabulary.tables import PairTable
from helpers.weights import Weights

TOP = 10  # items by which a vector's coherence is judged


@dataclass(frozen=True, eq=False, repr=False)
class NeuronIndex:
    """Every feed-forward value (or key) of a model, scaled so that a product with an item's row is a z-score.

    Attributes:
        units: (n_layers * d_mlp, d_model).
        means: of each neuron's score over the items, (n_layers * d_mlp,).
        space: the items.
        d_mlp: neurons a layer.
    """

    units: Tensor
    means: Tensor
    space: EmbeddingSpace
    d_mlp: int


@functools.lru_cache(maxsize=4)
def index_neurons(w: Weights, kind: str, space: EmbeddingSpace) -> NeuronIndex:
    """Scale every neuron of a kind by the standard deviation of its scores over the items, from a Gram matrix."""
    vectors = torch.cat([w.vectors(kind, layer).detach() for layer in range(w.n_layers)])
    centre = space.rows.mean(0)
    factor = torch.linalg.cholesky_ex(torch.cov(space.rows.T, correction=0)).L
    spread = (vectors @ factor).norm(dim=1).clamp(min=1e-30)
    return NeuronIndex(vectors / spread[:, None], vectors @ centre / spread, space, w.d_mlp)


def search_neurons(
    w: Weights, word: str, k: int = 20, kind: str = "W_out", reading: Reading | None = None
) -> pd.DataFrame:
    """List the neurons, over all layers, that promote a word most (W_out) or are triggered by it most (W_in).

    Args:
        w: the model.
        word: an item of its vocabulary, with the filters of the reading.
        k: how many.
        kind: "W_out" or "W_in".
        reading: as ``top_tokens`` takes it.

    Returns:
        Columns layer, neuron and z: by how many standard deviations (of the neuron's scores over all items) the word
        stands above the neuron's mean.

    Raises:
        ValueError: no such item; k out of range; another kind.
    """
    if kind not in ("W_in", "W_out"):
        raise ValueError(f"kind={kind!r}: must be W_in (keys) or W_out (values)")
    index = index_neurons(w, kind, embedding_space(w, reading))
    if not 1 <= k <= len(index.units):
        raise ValueError(f"k={k}: must be between 1 and {len(index.units):,}")
    scores, found = (index.units @ index.space.rows[index.space.find(word)] - index.means).topk(k)
    return pd.DataFrame(
        {"layer": (found // index.d_mlp).tolist(), "neuron": (found % index.d_mlp).tolist(), "z": scores.tolist()}
    )


def shuffled(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Permute the coordinates of each vector (N, d_model) by itself: the same numbers, no meaning left."""
    order = torch.rand(vectors.shape, generator=generator).argsort(dim=1)
    return vectors.gather(1, order.to(vectors.device))


@dataclass(frozen=True, eq=False)
class Coherence:
    """How alike in meaning the items are that vectors read as.

    Attributes:
        scores: mean pairwise cosine of each vector's top items in the judge's embeddings, (N,).
        tops: rows of those items in the embedding space, (N, 10).
    """

    scores: Tensor
    tops: Tensor


def coherence(vectors: Tensor, space: EmbeddingSpace, judge: Tensor) -> Coherence:
    """Judge how alike the ten items are that each vector reads as, by embeddings that it had no part in.

    Args:
        vectors: (N, d_model).
        space: what they are read with.
        judge: unit rows, (items, width): another model's clean rows of the same items, or other word vectors.

    Raises:
        ValueError: the judge has other items.
    """
    if len(judge) != len(space):
        raise ValueError(f"judge: has {len(judge):,} rows, wanted {len(space):,}, a row an item")
    tops = (vectors.detach() @ space.rows.T).topk(TOP, dim=1).indices
    rows = judge[tops]
    total = (rows.sum(1).square().sum(1) - rows.square().sum((1, 2))) / (TOP * (TOP - 1))
    return Coherence(total, tops)


def pair_coherence(table: PairTable, space: EmbeddingSpace, judge: Tensor) -> Tensor:
    """Cosine of the two items of every pair in the judge's embeddings, (k,); arguments as ``coherence``'s."""
    lefts, rights = ([space.find(name) for name in side] for side in (table.lefts, table.rights))
    return (judge[lefts] * judge[rights]).sum(1)
