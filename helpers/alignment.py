"""Layers of two models, matched by what their parameters say about the vocabulary items that both have.

Parameters multiplied by the embeddings are vectors over the same items in both models. Those long vectors are never
formed: their correlations follow from three matrices of the models' width.

Source: arXiv 2209.02535, section 5.1 and appendix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from tqdm import tqdm

from helpers.resources.display import table_html
from helpers.vocabulary import EmbeddingSpace, Reading, embedding_space, match_items
from helpers.vocabulary.control import draw_random_vectors
from helpers.weights import KINDS, Side, Weights

__all__ = [
    "FREQUENT_ITEMS",
    "LayerAlignment",
    "SharedSpace",
    "align_layers",
    "mean_best_correlation",
    "mean_correlation",
    "shared_coordinates",
    "shared_strings",
    "shared_vocabulary",
]

FREQUENT_ITEMS = Reading(clean=False, ascii_only=False, words_only=False, offensive=True)  # 200 times, if counted
BLOCK = 4096  # items whose embeddings are multiplied at once, in float64
RANK_TOLERANCE = 1e-12  # eigenvalues below this fraction of the largest are rounding errors of float64

Correlations = Float[Tensor, "n_a n_b"]
RowsA = Float[Tensor, "items d_a"]
RowsB = Float[Tensor, "items d_b"]
Scores = Float[Tensor, "layers_a layers_b"]
Matching = tuple[tuple[int, int], ...]  # pairs of a layer of A and a layer of B


@dataclass(frozen=True, eq=False, repr=False)
class SharedSpace:
    """What makes the vectors of two models comparable.

    A vector x of A, projected to the items and centred, is as long as x factor_a. The projections of x of A and y of B
    correlate as (x factor_a) cross (y factor_b)^T does with both factors at unit length.

    Attributes:
        factor_a, factor_b: square roots of the Gram matrices of the embeddings.
        cross: correlations of the whitened embeddings; no singular value exceeds 1.
        note: the items or coordinates over which vectors are compared.
    """

    factor_a: Float[Tensor, "d_a r_a"]
    factor_b: Float[Tensor, "d_b r_b"]
    cross: Float[Tensor, "r_a r_b"]
    note: str

    def correlate(self, vectors_a: Float[Tensor, "n_a d_a"], vectors_b: Float[Tensor, "n_b d_b"]) -> Correlations:
        """Correlate every projected vector of A with every projected vector of B.

        Raises:
            ValueError: vectors of other widths than those of the two models.
        """
        return (_normalize(vectors_a, self.factor_a) @ self.cross) @ _normalize(vectors_b, self.factor_b).T


def shared_vocabulary(
    w_a: Weights,
    w_b: Weights,
    reading: Reading = FREQUENT_ITEMS,
    shuffle: torch.Generator | None = None,
    side: Side = "out",
) -> SharedSpace:
    """Compare vectors over the vocabulary items that a reading lists in both models, which have the same tokens.

    Args:
        w_a: model A.
        w_b: model B.
        reading: also says whether the embeddings are cleaned; they are centred in any case.
        shuffle: shuffles the items of B, for a control: the same embeddings, but no shared items.
        side: of the residual stream, that of the kind of vectors in ``helpers.weights.KINDS``. Tied embeddings without
            norms folded in are the same on both sides.

    Raises:
        ValueError: the vocabularies differ.
    """
    if w_a.item_names != w_b.item_names:
        same = sum(a == b for a, b in zip(w_a.item_names, w_b.item_names, strict=False))
        raise ValueError(
            f"w_b: {w_b.name} has {w_b.d_vocab:,} items, {same:,} of them {w_a.name}'s with the same number; "
            f"wanted the same vocabulary of {w_a.d_vocab:,}"
        )
    space_a, space_b = embedding_space(w_a, reading, side), embedding_space(w_b, reading, side)
    rows_a = space_a.rows[torch.isin(space_a.ids, space_b.ids).to(space_a.rows.device)]
    rows_b = space_b.rows[torch.isin(space_b.ids, space_a.ids).to(space_b.rows.device)]
    note = f"{len(rows_b):,} shared items, embeddings {'cleaned' if reading.clean else 'centred'}"
    return _compare_rows(rows_a, rows_b, note, shuffle)


def shared_strings(a: EmbeddingSpace, b: EmbeddingSpace, shuffle: torch.Generator | None = None) -> SharedSpace:
    """Compare vectors over the items that two embedding spaces name alike, such as a GPT-2's and a BERT's.

    Build both spaces for the side of the vectors, such as ``embedding_space(w, FREQUENT_ITEMS, "in")``. ``shuffle`` is
    as in ``shared_vocabulary``.

    Raises:
        ValueError: fewer than two names are common.
    """
    rows_a, rows_b = match_items(a, b)
    return _compare_rows(rows_a, rows_b, f"{len(rows_a):,} shared strings", shuffle)


def shared_coordinates(w_a: Weights, w_b: Weights) -> SharedSpace:
    """Compare the vectors themselves over the first coordinates that both models have: a control without words.

    The coordinates of models that were trained separately have nothing to do with each other.
    """
    width = min(w_a.d_model, w_b.d_model)
    rows_a, rows_b = (torch.eye(width, w.d_model, device=w.device) for w in (w_a, w_b))
    return _compare_rows(rows_a, rows_b, f"the first {width} coordinates, no projection")


def mean_correlation(correlations: Correlations) -> Float[Tensor, ""]:
    """Return the mean absolute correlation over all pairs, the paper's score for two layers."""
    return correlations.abs().mean()


def mean_best_correlation(correlations: Correlations) -> Float[Tensor, ""]:
    """Return the mean absolute correlation of each vector with the most similar one of the other model."""
    strengths = correlations.abs()
    return (strengths.amax(0).mean() + strengths.amax(1).mean()) / 2


@dataclass(frozen=True, eq=False, repr=False)
class LayerAlignment:
    """How similar every layer of model A is to every layer of model B, for one kind of parameter.

    A higher score means more similar layers; the note says how they were compared.
    """

    kind: str
    scores: Scores
    note: str

    @cached_property
    def matching(self) -> Matching:
        """Pairs (layer of A, layer of B) with the largest sum of scores, each layer used at most once."""
        return _match(self.scores)

    @property
    def on_diagonal(self) -> float:
        """Share of the matched pairs whose layers have the same depth."""
        return sum(a == b for a, b in self.matching) / len(self.matching)

    @cached_property
    def margin(self) -> float:
        """Mean score of the matching minus that of the second-best matching; 0 for a tie, nan for 1 x 1 layers."""
        if self.scores.shape == (1, 1):
            return float("nan")
        penalty = 1 + self.scores.abs().sum()
        without_a_pair = [self.scores.index_put(tuple(map(torch.tensor, pair)), -penalty) for pair in self.matching]
        return self._mean_score(self.matching) - max(self._mean_score(_match(scores)) for scores in without_a_pair)

    def _mean_score(self, pairs: Matching) -> float:
        return sum(float(self.scores[pair]) for pair in pairs) / len(pairs)

    def remove_layer_means(self) -> LayerAlignment:
        """Return the logarithms of the scores minus the mean of each layer of A and of B.

        A layer whose vectors all point in similar directions scores high with every other layer, which alone can
        determine a matching.
        """
        logs = self.scores.log()
        centred = logs - logs.mean(0) - logs.mean(1, keepdim=True) + logs.mean()
        return replace(self, scores=centred, note=f"{self.note}, logarithms without the layers' means")

    def __repr__(self) -> str:
        pairs = ", ".join(f"{a}-{b}" for a, b in self.matching)
        return f"LayerAlignment({self.kind}: {pairs}; margin {self.margin:.3g}; {self.note})"

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self.scores.tolist()).rename("A {}".format).rename("B {}".format, axis=1)
        return table_html(table, repr(self), "{:.3f}")


def align_layers(
    w_a: Weights,
    w_b: Weights,
    kind: str,
    space: SharedSpace | None = None,
    statistic: Callable[[Correlations], Tensor] = mean_correlation,
    random: torch.Generator | None = None,
) -> LayerAlignment:
    """Score every layer of A against every layer of B by the correlations of one kind of parameter.

    Vectors are compared over the shared space, by default the frequent items of the shared vocabulary, read by the side
    of the kind. The statistic turns the correlations of two layers into their score. For a control, ``random`` draws as
    many vectors with the mean and covariance of each layer, and compares these.

    Raises:
        ValueError: a kind that a model does not have, the vocabularies differ, or a space of other models.

    Source: arXiv 2209.02535, section 5.1.
    """

    def read(w: Weights, layer: int) -> Tensor:
        vectors = w.vectors(kind, layer).detach()
        return torch.cat(list(draw_random_vectors(vectors, len(vectors), random))) if random else vectors

    space = space or shared_vocabulary(w_a, w_b, side=KINDS.get(kind, "out"))
    units_b = [_normalize(read(w_b, layer), space.factor_b) for layer in range(w_b.n_layers)]
    scores = torch.empty(w_a.n_layers, w_b.n_layers)
    for a in tqdm(range(w_a.n_layers), desc=f"aligning {kind}", unit=" layers", delay=2, leave=False):
        projected = _normalize(read(w_a, a), space.factor_a) @ space.cross
        for b, units in enumerate(units_b):
            scores[a, b] = statistic(projected @ units.T)
    name = getattr(statistic, "__name__", repr(statistic)).replace("_", " ")
    what = f"{name}{' of random vectors' if random else ''}"
    return LayerAlignment(kind, scores, f"{what}, A {w_a.name} and B {w_b.name} over {space.note}")


def _compare_rows(rows_a: RowsA, rows_b: RowsB, note: str, shuffle: torch.Generator | None = None) -> SharedSpace:
    if shuffle is not None:
        rows_b, note = rows_b[torch.randperm(len(rows_b), generator=shuffle)], f"{note}, B's shuffled"
    factor_a, inverse_a = _factor_gram(_multiply_centred(rows_a, rows_a))
    factor_b, inverse_b = _factor_gram(_multiply_centred(rows_b, rows_b))
    cross = inverse_a.T @ _multiply_centred(rows_a, rows_b) @ inverse_b
    return SharedSpace(factor_a.to(rows_a), factor_b.to(rows_b), cross.to(rows_a), note)


def _multiply_centred(rows_a: RowsA, rows_b: RowsB) -> Float[Tensor, "d_a d_b"]:
    """Multiply the transpose of A by B, both minus their column means, block by block in float64 on the CPU."""
    product = torch.zeros(rows_a.shape[1], rows_b.shape[1], dtype=torch.float64)
    for block_a, block_b in zip(rows_a.split(BLOCK), rows_b.split(BLOCK), strict=True):
        product += block_a.cpu().double().T @ block_b.cpu().double()
    mean_a, mean_b = (rows.cpu().mean(0, dtype=torch.float64) for rows in (rows_a, rows_b))
    return product - len(rows_a) * torch.outer(mean_a, mean_b)


def _factor_gram(gram: Float[Tensor, "d d"]) -> tuple[Float[Tensor, "d r"], Float[Tensor, "d r"]]:
    """Return F with F F^T the Gram matrix of rank r, and F (F^T F)^-1."""
    values, vectors = torch.linalg.eigh(gram)
    in_row_space = values > values[-1] * RANK_TOLERANCE
    roots = values[in_row_space].sqrt()
    return vectors[:, in_row_space] * roots, vectors[:, in_row_space] / roots


def _normalize(vectors: Float[Tensor, "n d"], factor: Float[Tensor, "d r"]) -> Float[Tensor, "n r"]:
    if vectors.shape[1:] != factor.shape[:1]:
        shape, model = tuple(vectors.shape), "of the models that the space was made of, in their order"
        raise ValueError(f"vectors: have shape {shape}, wanted (n, {len(factor)}), {model}")
    return torch.nn.functional.normalize(vectors @ factor, dim=1)


def _match(scores: Scores) -> Matching:
    rows, columns = linear_sum_assignment(scores.cpu(), maximize=True)
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))
