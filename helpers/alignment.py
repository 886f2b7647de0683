"""Layers of two models that share a vocabulary, matched by what their parameters say of its items.

Parameters of two models live in two unrelated spaces; multiplied by the embeddings they become vectors over the same
items. Those e-long vectors are never formed: their correlations follow from three kernels of model width.

Source: arXiv 2209.02535, section 5.1 and appendix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from tqdm import tqdm

from helpers.vocabulary import Reading, embedding_space
from helpers.weights import Weights

SEEN_ITEMS = Reading(clean=False, ascii_only=False, words_only=False, offensive=True)  # 200 times or more, if counted
ROWS = 4096  # items whose embeddings are multiplied at once, in float64
SLOW = 2  # seconds after which a progress bar shows


@dataclass(frozen=True, eq=False, repr=False)
class SharedSpace:
    """Two models' vectors made comparable: x of A and y of B correlate as (x factor_a) cross (y factor_b)^T.

    Attributes:
        factor_a, factor_b: a vector times its factor is as long as its centred projection, (d_a, r_a) and (d_b, r_b).
        cross: correlations of the two models' whitened embeddings, (r_a, r_b); no singular value exceeds 1.
        note: what the vectors are compared over.
    """

    factor_a: Tensor
    factor_b: Tensor
    cross: Tensor
    note: str

    def correlate(self, vectors_a: Tensor, vectors_b: Tensor) -> Tensor:
        """Correlate every projected vector of A (N_a, d_a) with every one of B (N_b, d_b): (N_a, N_b)."""
        return (_unit(vectors_a, self.factor_a) @ self.cross) @ _unit(vectors_b, self.factor_b).T


def shared_vocabulary(
    w_a: Weights, w_b: Weights, reading: Reading = SEEN_ITEMS, shuffle: torch.Generator | None = None
) -> SharedSpace:
    """Compare over the vocabulary items that a reading lists in both models.

    Args:
        w_a: model A.
        w_b: model B, with the same tokens.
        reading: the items, and whether their embeddings are cleaned; they are centred in any case.
        shuffle: permute B's items, for a control: the same kernels within each model, nothing shared between them.

    Raises:
        ValueError: the vocabularies differ.
    """
    _check_vocabularies(w_a, w_b)
    space_a, space_b = embedding_space(w_a, reading), embedding_space(w_b, reading)
    rows_a = space_a.rows[torch.isin(space_a.ids, space_b.ids).to(space_a.rows.device)]
    rows_b = space_b.rows[torch.isin(space_b.ids, space_a.ids).to(space_b.rows.device)]
    order = torch.arange(len(rows_b)) if shuffle is None else torch.randperm(len(rows_b), generator=shuffle)
    kind = f"{len(rows_b):,} shared items, embeddings {'cleaned' if reading.clean else 'centred'}"
    return _space(rows_a, rows_b[order.to(rows_b.device)], kind + (", B's shuffled" if shuffle else ""))


def shared_coordinates(w_a: Weights, w_b: Weights) -> SharedSpace:
    """Compare the vectors as they are, over the first coordinates that both models have: the control without words.

    The axes of models that were trained apart mean nothing to each other.
    """
    width = min(w_a.d_model, w_b.d_model)
    rows_a, rows_b = (torch.eye(width, w.d_model).to(w.W_E) for w in (w_a, w_b))
    return _space(rows_a, rows_b, f"the first {width} coordinates, no projection")


def mean_correlation(correlations: Tensor) -> Tensor:
    """Mean absolute correlation over all pairs, as the paper scores two layers."""
    return correlations.abs().mean()


def best_partners(correlations: Tensor) -> Tensor:
    """Mean absolute correlation of every vector with the best partner that it finds, both ways round."""
    strengths = correlations.abs()
    return (strengths.amax(0).mean() + strengths.amax(1).mean()) / 2


@dataclass(frozen=True, eq=False, repr=False)
class LayerAlignment:
    """How alike every layer of model A is to every layer of model B, for one kind of parameter.

    Attributes:
        kind: of parameter.
        scores: the higher the more alike, (layers_a, layers_b).
        note: how they were compared.
    """

    kind: str
    scores: Tensor
    note: str

    @cached_property
    def matching(self) -> tuple[tuple[int, int], ...]:
        """Pairs (layer of A, layer of B), each layer used at most once, with the largest sum of scores."""
        return _assign(self.scores)

    @property
    def on_diagonal(self) -> float:
        """Share of the matched pairs that stand at the same depth."""
        return sum(a == b for a, b in self.matching) / len(self.matching)

    @cached_property
    def margin(self) -> float:
        """By how much the pairs' mean score falls under the next-best matching; 0 on a tie, nan where there is none."""
        if self.scores.shape == (1, 1):
            return float("nan")
        best, span = self._mean_score(self.matching), 1 + self.scores.abs().sum()
        forbidden = [self.scores.index_put(tuple(map(torch.tensor, pair)), -span) for pair in self.matching]
        return best - max(self._mean_score(_assign(scores)) for scores in forbidden)

    def _mean_score(self, pairs: tuple[tuple[int, int], ...]) -> float:
        return sum(float(self.scores[pair]) for pair in pairs) / len(pairs)

    def without_levels(self) -> LayerAlignment:
        """Return what is left of the scores' logarithms when every layer's mean is taken out, of A and of B.

        A layer whose vectors all point alike scores high with every other; that alone can order a matching.
        """
        logs = self.scores.log()
        left = logs - logs.mean(0) - logs.mean(1, keepdim=True) + logs.mean()
        return replace(self, scores=left, note=f"{self.note}, logarithms without the layers' levels")

    def __repr__(self) -> str:
        pairs = ", ".join(f"{a}-{b}" for a, b in self.matching)
        return f"LayerAlignment({self.kind}: {pairs}; margin {self.margin:.3g}; {self.note})"

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self.scores.tolist()).rename("A {}".format).rename("B {}".format, axis=1)
        return f"{table.to_html(border=0, float_format='{:.3f}'.format)}<p style='font-size: 85%'>{self!r}</p>"


def align_layers(
    w_a: Weights,
    w_b: Weights,
    kind: str,
    space: SharedSpace | None = None,
    statistic: Callable[[Tensor], Tensor] = mean_correlation,
) -> LayerAlignment:
    """Score every layer of A against every layer of B by the correlations of one kind of parameter.

    Args:
        w_a: model A.
        w_b: model B.
        kind: one of ``helpers.weights.KINDS``.
        space: what vectors are compared over; the shared vocabulary's seen items by default.
        statistic: sums up the correlations (N_a, N_b) of two layers.

    Raises:
        ValueError: no such kind; the vocabularies differ.

    Source: arXiv 2209.02535, section 5.1.
    """
    space = space or shared_vocabulary(w_a, w_b)
    units_b = [_unit(w_b.vectors(kind, j).detach(), space.factor_b) for j in range(w_b.n_layers)]
    scores = torch.empty(w_a.n_layers, w_b.n_layers)
    with tqdm(total=scores.numel(), desc=f"aligning {kind}", unit=" pairs", delay=SLOW, leave=False) as bar:
        for i in range(w_a.n_layers):
            carried = _unit(w_a.vectors(kind, i).detach(), space.factor_a) @ space.cross
            for j, unit in enumerate(units_b):
                scores[i, j] = statistic(carried @ unit.T)
                bar.update()
    how = statistic.__name__.replace("_", " ")
    return LayerAlignment(kind, scores, f"{how}, A {w_a.name} and B {w_b.name} over {space.note}")


def _space(rows_a: Tensor, rows_b: Tensor, note: str) -> SharedSpace:
    """Build the kernels from two models' rows for the same items, (n, d_a) and (n, d_b)."""
    factor_a, inverse_a = _factor(_centred_product(rows_a, rows_a))
    factor_b, inverse_b = _factor(_centred_product(rows_b, rows_b))
    cross = inverse_a.T @ _centred_product(rows_a, rows_b) @ inverse_b
    return SharedSpace(factor_a.to(rows_a), factor_b.to(rows_b), cross.to(rows_a), note)


def _centred_product(rows_a: Tensor, rows_b: Tensor) -> Tensor:
    """Multiply (n, d_a)^T by (n, d_b), both minus their means, block by block in float64: (d_a, d_b) on the CPU."""
    blocks = zip(rows_a.split(ROWS), rows_b.split(ROWS), strict=True)
    product = sum(a.cpu().double().T @ b.cpu().double() for a, b in blocks)
    means = [rows.mean(0, dtype=torch.float64) for rows in (rows_a.cpu(), rows_b.cpu())]
    return product - len(rows_a) * torch.outer(*means)


def _factor(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return F (d, r) with F F^T a Gram matrix, and F (F^T F)^-1; directions that it does not have are left out."""
    values, vectors = torch.linalg.eigh(gram)
    kept = values > values[-1] * 1e-12
    root = values[kept].sqrt()
    return vectors[:, kept] * root, vectors[:, kept] / root


def _unit(vectors: Tensor, factor: Tensor) -> Tensor:
    """Express vectors (N, d) by a factor (d, r), at unit length."""
    return torch.nn.functional.normalize(vectors @ factor, dim=1)


def _assign(scores: Tensor) -> tuple[tuple[int, int], ...]:
    rows, columns = linear_sum_assignment(scores.cpu(), maximize=True)
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))


def _check_vocabularies(w_a: Weights, w_b: Weights) -> None:
    a, b = w_a.tokenizer.get_vocab(), w_b.tokenizer.get_vocab()
    if a != b or len(w_a.W_E) != len(w_b.W_E):
        same = sum(b.get(token) == i for token, i in a.items())
        raise ValueError(
            f"w_b: {w_b.name} has {len(w_b.W_E):,} items, {same:,} of them {w_a.name}'s with the same number; "
            f"wanted the same vocabulary of {len(w_a.W_E):,}"
        )
