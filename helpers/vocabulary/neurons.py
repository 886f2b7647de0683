"""All neurons at once: which of them promote a word, and how coherent the words are that each reads as."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.geometry.arguments import check_whole
from helpers.vocabulary.control import draw_random_vectors
from helpers.vocabulary.reading import Reading
from helpers.vocabulary.space import EmbeddingSpace, embedding_space
from helpers.vocabulary.tables import PairTable
from helpers.weights import KINDS, Weights

NEURON_KINDS = ("W_in", "W_gate", "W_out")  # kinds with one vector per neuron
TOP = 10  # items per vector by which its coherence is judged
BAR = 0.05  # the share of random parameters that pass the bar
RANDOM_JUDGED = 3_000  # random vectors whose coherence is compared; the bar of 5% then varies by about a tenth of that

Vectors = Float[Tensor, "n d_model"]
Judge = Float[Tensor, "items width"]


@dataclass(frozen=True, eq=False, repr=False)
class NeuronIndex:
    """The feed-forward values (or keys) of all layers with the statistics that searches need; for many searches.

    The index makes no second copy of the vectors; after an edit of the weights, build another one.

    Attributes:
        layers: one vector per neuron, the lowest layer first.
        means, spreads: mean and standard deviation of each neuron's scores over all items.
        space: the items.
    """

    layers: tuple[Vectors, ...]
    means: Float[Tensor, " neurons"]
    spreads: Float[Tensor, " neurons"]
    space: EmbeddingSpace

    @classmethod
    def build(cls, w: Weights, space: EmbeddingSpace, kind: str = "W_out") -> NeuronIndex:
        """Index the neurons of a model by values ("W_out"), keys ("W_in") or gates ("W_gate") for a space's items.

        Raises:
            ValueError: another kind, a space of the other side of the residual stream, or neurons that are not finite.
        """
        if kind not in NEURON_KINDS:
            raise ValueError(f"kind={kind!r}: must be one of {', '.join(NEURON_KINDS)}")
        if space.side != KINDS[kind]:
            raise ValueError(f"space: is of side {space.side!r}, wanted {KINDS[kind]!r}, by which {kind} is read")
        layers = tuple(w.vectors(kind, layer).detach() for layer in range(w.n_layers))
        # The standard deviation of a neuron's scores over the items follows from the covariance of the items, which is
        # made without a centred copy of the items.
        mean = space.rows.mean(0)
        factor = torch.linalg.cholesky_ex(space.rows.T @ space.rows / len(space) - torch.outer(mean, mean)).L
        halves = (half.to(factor) for layer in layers for half in layer.chunk(2))  # to bound the memory
        spreads = torch.cat([(half @ factor).norm(dim=1) for half in halves]).clamp(min=1e-30)
        if not bool(spreads.isfinite().all()):
            raise ValueError(
                f"w: {int((~spreads.isfinite()).sum()):,} neurons of {kind} have values that are not finite"
            )
        return cls(layers, _multiply(layers, mean), spreads, space)

    def __len__(self) -> int:
        return len(self.means)

    def search(self, word: str, k: int = 20) -> pd.DataFrame:
        """List the k neurons with the highest z-scores for a word; see ``search_neurons``."""
        check_whole("k", k, 1, len(self))
        scores = (_multiply(self.layers, self.space.rows[self.space.find(word)]) - self.means) / self.spreads
        z, neurons = scores.cpu().topk(k)
        ends = torch.tensor([len(layer) for layer in self.layers]).cumsum(0)
        layers = torch.searchsorted(ends, neurons, right=True)
        starts = torch.cat([torch.zeros(1, dtype=torch.long), ends])[layers]
        return pd.DataFrame({"layer": layers, "neuron": neurons - starts, "z": z.tolist()})


def _multiply(layers: tuple[Vectors, ...], row: Float[Tensor, " d_model"]) -> Float[Tensor, " neurons"]:
    """Multiply the vectors of all layers by one, in its precision."""
    return torch.cat([layer.to(row) @ row for layer in layers])


def search_neurons(
    w: Weights, word: str, k: int = 20, kind: str = "W_out", reading: Reading | None = None
) -> pd.DataFrame:
    """List the k neurons of all layers that promote a word most (W_out), or are triggered by it most (W_in, W_gate).

    The column z says by how many standard deviations (of the neuron's scores over all items) the word lies above the
    neuron's mean. For many searches, build a ``NeuronIndex`` once.

    Raises:
        ValueError: the reading does not list the word, k is out of range, or another kind.
    """
    space = embedding_space(w, reading, KINDS.get(kind, "out"))
    return NeuronIndex.build(w, space, kind).search(word, k)


def coherence(vectors: Vectors, space: EmbeddingSpace, judge: Judge) -> Float[Tensor, " n"]:
    """Return how alike in meaning the ten top items of each vector are: their mean cosine over all pairs.

    The judge has unit rows for the same items from another source: another model's clean rows, or other word vectors.

    Raises:
        ValueError: the space has fewer than ten items, the judge another number, or the vectors another shape.
    """
    if len(space) < TOP:
        raise ValueError(f"space: lists {len(space)} items, wanted {TOP} or more")
    if len(judge) != len(space):
        raise ValueError(f"judge: has {len(judge):,} rows, wanted {len(space):,}, one per item of the space")
    if vectors.shape[1:] != space.rows.shape[1:]:
        raise ValueError(f"vectors: have shape {tuple(vectors.shape)}, wanted (n, {space.rows.shape[1]})")
    rows = judge[(vectors.detach() @ space.rows.T).topk(TOP, dim=1).indices]
    return (rows.sum(1).square().sum(1) - rows.square().sum((1, 2))) / (TOP * (TOP - 1))


def coherence_bar(vectors: Vectors, space: EmbeddingSpace, judge: Judge, generator: torch.Generator) -> float:
    """Return the coherence that one in twenty random vectors with the mean and covariance of given ones exceeds.

    The given ones are all vectors of a kind in a layer. Random vectors without their covariance are an easier control:
    what passes it can come from the directions that the whole layer prefers, and say nothing about a single vector.
    """
    random = torch.cat(list(draw_random_vectors(vectors.detach().to(space.rows), RANDOM_JUDGED, generator)))
    return float(coherence(random, space, judge).quantile(1 - BAR))


def pair_coherence(table: PairTable, space: EmbeddingSpace, judge: Judge) -> Float[Tensor, " k"]:
    """Return the cosine of the two items of every pair in the judge's embeddings; see ``coherence``."""
    lefts, rights = ([space.find(name) for name in side] for side in (table.lefts, table.rights))
    return (judge[lefts] * judge[rights]).sum(1)
