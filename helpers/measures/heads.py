"""All attention heads of a model at once, judged by their parameters; the model is not run.

A table of all pairs of items is never formed: a score needs the products of a head's factors with the embeddings. Each
is a number of standard deviations (z), and each has its random control: heads with the same factors, one of them
rotated, or the same words, paired otherwise.

Source: copying and composition as in Elhage et al., "A mathematical framework for transformer circuits", 2021; scores
for relations from parameters as in Elhelo and Geva, arXiv 2412.11965. The controls are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import norm
from torch import Tensor

from helpers.equivalence import create_generator
from helpers.measures.sweeps import correct_by_holm
from helpers.resources.display import table_html
from helpers.vocabulary import EmbeddingSpace, Reading, embedding_space
from helpers.weights import FactoredMatrix, Weights
from helpers.weights.families import FAMILIES

DRAWS = 50_000  # shuffled pairings or signs; with 270 heads, the smallest p-value after Holm's correction is then 0.005
CHUNK = 2500  # shuffled pairings at once, to bound the memory
ROTATIONS = 40  # random heads per head for attention to positions
POSITIONS = 64  # tokens over which attention to the previous position is averaged

Heads = Float[Tensor, "layers heads"]


@dataclass(frozen=True, eq=False, repr=False)
class HeadScores:
    """One score per attention head of a model, with its random control.

    Attributes:
        quantity: what is scored.
        scores: the higher, the more; in standard deviations of the control, but for shares of attention.
        p: p-values; ``holm`` corrects them for the number of heads.
        controls: scores of random heads, or of heads on shuffled pairs.
        parts: for a relation, p-values of its two tests.
        note: the model, and what the control is.
    """

    quantity: str
    scores: Heads
    p: Heads
    controls: Float[Tensor, " n"]
    note: str
    parts: Mapping[str, Heads]

    @cached_property
    def holm(self) -> Heads:
        """The p-values corrected for the number of heads."""
        return torch.tensor(correct_by_holm(self.p.flatten().tolist())).reshape(self.p.shape)

    @property
    def table(self) -> pd.DataFrame:
        """One row per head, the highest score first."""
        layers, heads = np.indices(self.p.shape).reshape(2, -1)
        columns = {"score": self.scores, **self.parts, "p": self.p, "holm": self.holm}
        values = {name: each.flatten().tolist() for name, each in columns.items()}
        table = pd.DataFrame({"layer": layers, "head": heads, **values})
        return table.sort_values("score", ascending=False, ignore_index=True)

    def __repr__(self) -> str:
        found = int((self.holm < 0.05).sum())
        return f"HeadScores({self.quantity}: {found} of {self.p.numel()} heads with p < 0.05 after Holm; {self.note})"

    def _repr_html_(self) -> str:
        return table_html(self.table.head(10), repr(self), index=False)


@torch.no_grad()
def score_copying(
    w: Weights, reading: Reading | None = None, seed: int = 0, upper: EmbeddingSpace | None = None
) -> HeadScores:
    """Score how far every head writes what it attends to: the diagonal of W_OV over all items that are listed.

    A negative score says that a head suppresses what it attends to. The p-values are two-sided, by the normal limit of
    random rotations between the factors. ``upper`` is as in ``score_relation``.
    """
    writes, reads = embedding_space(w, reading, "out").rows, embedding_space(w, reading, "in").rows
    spaces = [reads] if upper is None else [reads, upper.rows]  # the last one is read by the upper layers
    relations = [(writes - writes.mean(0)).T @ (rows - rows.mean(0)) for rows in spaces]  # for all items at once
    heads = enumerate(list_heads(w))
    products = torch.stack([head.right.T @ (relations[-(i >= w.n_heads)] @ head.left) for i, head in heads])
    scores, random = _trace_scores(products), _trace_scores(_rotate(products, seed))
    return _by_rotation(w, "copying", scores, random)


@torch.no_grad()
def score_induction(w: Weights, previous: tuple[int, int], reading: Reading | None = None, seed: int = 0) -> HeadScores:
    """Score how far every later head looks for tokens whose *previous* token is the present one, by composition.

    The keys of a head are read from what a previous-token head (layer, head) writes: W_QK (W_OV of that head)^T, on
    the diagonal over all items. Heads of the same layer and below have score 0. p-values as in ``score_copying``.
    """
    reads = embedding_space(w, reading, "in").rows
    gram = (reads - reads.mean(0)).T @ (reads - reads.mean(0))
    carried, products = w.W_OV(*previous), []
    for layer in range(w.n_layers):
        for head in range(w.n_heads):
            match = w.W_QK(layer, head)
            product = (match.right.T @ carried.right) @ (carried.left.T @ gram @ match.left)
            products.append(product if layer > previous[0] else torch.zeros_like(product))
    scores, random = _trace_scores(torch.stack(products)), _trace_scores(_rotate(torch.stack(products), seed))
    return _by_rotation(w, f"induction through head {previous[0]}.{previous[1]}", scores, random)


@torch.no_grad()
def score_relation(
    w: Weights,
    pairs: Mapping[str, str],
    reading: Reading | None = None,
    seed: int = 0,
    upper: EmbeddingSpace | None = None,
) -> HeadScores:
    """Score how far every head writes the second word of a pair where it attends to the first: country to capital.

    The score compares the pairs with all other pairings of the same words. Words of a pair are alike, so a head that
    copies passes this test too. Hence p is the larger of two p-values: of shuffled pairs, and of the difference to
    writing the first word itself, with shuffled signs (parts "p, pairs" and "p, copying"). ``upper`` is what heads
    above the first layer attend to, such as ``embed_through_first_mlp(w)``; None for the embeddings themselves.

    Raises:
        ValueError: a word is no single item of the vocabulary, or fewer than two pairs.
    """
    if len(pairs) < 2:
        raise ValueError(f"pairs: has {len(pairs)}, wanted two or more, better twenty, because they are shuffled")
    reads, writes = embedding_space(w, reading, "in"), embedding_space(w, reading, "out")
    first = [space.rows[[space.find(word) for word in pairs]] for space in (reads, upper or reads)]
    itself, second = (writes.rows[[writes.find(word) for word in words]] for words in (pairs, pairs.values()))
    heads = enumerate(list_heads(w))
    attended = torch.stack([first[i >= w.n_heads] @ head.left @ head.right.T for i, head in heads])
    scores, p, controls = _test_pairing(attended @ second.T, create_generator(seed))
    gains = (attended * (second - itself)).sum(2)
    signs = 2.0 * torch.randint(2, (DRAWS, len(pairs)), generator=create_generator(seed)) - 1
    p_copying = _share_above(gains @ signs.T, gains.sum(1))
    shape = w.n_layers, w.n_heads
    parts = {"p, pairs": p.reshape(shape), "p, copying": p_copying.reshape(shape)}
    note = f"{w.name}, {len(pairs)} pairs, control: pairs shuffled"
    largest = torch.maximum(p, p_copying).reshape(shape)
    return HeadScores("relation", scores.reshape(shape), largest, controls, note, parts)


@torch.no_grad()
def score_previous_token(w: Weights, seed: int = 0) -> HeadScores:
    """Score how much every head attends to the previous position, by its parameters and no words.

    The share of attention, averaged over 64 positions, where the states are the position embeddings alone, or for
    rotary heads the mean embedding at all positions. What lower layers make of positions is not seen. p-values from
    random heads with rotated queries, pooled over the model.
    """
    states = w.W_E.mean(0).expand(POSITIONS, -1) if w.W_pos is None else w.W_pos[:POSITIONS]
    generator, scores, controls = create_generator(seed), [], []
    for layer in range(w.n_layers):
        read = w.apply_norm(w.layers[layer].attention_norm, states)
        scale = FAMILIES[w.config.model_type].score_scale(w.config, layer)
        for head in range(w.n_heads):
            query, key = read @ w.W_Q(layer, head) + w.b_Q(layer, head), read @ w.W_K(layer, head) + w.b_K(layer, head)
            rotations, _ = torch.linalg.qr(torch.randn(ROTATIONS, w.d_head, w.d_head, generator=generator))
            queries = torch.cat([query[None], query @ rotations])
            shares = _attend_to_previous(w, layer, queries * scale, key)
            scores.append(shares[0])
            controls.append(shares[1:])
    own, random = torch.stack(scores).reshape(w.n_layers, w.n_heads), torch.cat(controls)
    p = _share_above(random.expand(own.numel(), -1), own.flatten()).reshape(own.shape)
    note = f"{w.name}, control: random heads with rotated queries"
    return HeadScores("attention to the previous token", own, p, random, note, {})


def _attend_to_previous(w: Weights, layer: int, queries: Tensor, key: Tensor) -> Float[Tensor, " n"]:
    """Return the mean share of attention to the previous position, for several queries (n, positions, d_head)."""
    if w.rotary is not None:
        places = torch.arange(len(key))
        queries = torch.stack([w.rotary(query, layer, places) for query in queries])
        key = w.rotary(key, layer, places)
    causal = torch.full((len(key), len(key)), -torch.inf).triu(1)
    return (queries @ key.T + causal).softmax(-1).diagonal(-1, 1, 2).mean(1)


def list_heads(w: Weights) -> list[FactoredMatrix]:
    """List W_OV of all heads, the lowest layer first."""
    return [w.W_OV(layer, head) for layer in range(w.n_layers) for head in range(w.n_heads)]


def _rotate(products: Float[Tensor, "heads r r"], seed: int) -> Float[Tensor, "heads r r"]:
    """Rotate one factor of each head at random."""
    rotations, _ = torch.linalg.qr(torch.randn(products.shape, generator=create_generator(seed)))
    return products @ rotations


def _trace_scores(products: Float[Tensor, "heads r r"]) -> Float[Tensor, " heads"]:
    """Divide traces by their standard deviation under random rotations: the norm over the root of the width."""
    traces, norms = products.diagonal(dim1=1, dim2=2).sum(1), products.flatten(1).norm(dim=1)
    return traces * products.shape[-1] ** 0.5 / norms.clamp(min=1e-30)


def _by_rotation(w: Weights, quantity: str, scores: Tensor, random: Tensor) -> HeadScores:
    shape = w.n_layers, w.n_heads
    p = torch.tensor(2 * norm.sf(scores.abs().double().numpy())).reshape(shape)
    note = f"{w.name}, control: random rotations between the factors of each head"
    return HeadScores(quantity, scores.reshape(shape), p, random[scores != 0], note, {})


def _test_pairing(products: Float[Tensor, "heads n n"], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Compare the diagonal of each table with random pairings: z-scores, p-values, and z-scores of one pairing each.

    Mean and variance over all pairings are exact (Hoeffding 1951); the p-values are shares of random pairings.
    """
    centred = products - products.mean(1, keepdim=True) - products.mean(2, keepdim=True) + products.mean((1, 2), True)
    count = centred.shape[1]
    spread = (centred.square().sum((1, 2)) / (count - 1)).sqrt().clamp(min=1e-30)
    own, p_sums = centred.diagonal(dim1=1, dim2=2).sum(1), []
    for _ in range(DRAWS // CHUNK):
        orders = torch.rand(CHUNK, count, generator=generator).argsort(1)
        chosen = torch.zeros(CHUNK, count, count).scatter_(2, orders[..., None], 1.0).flatten(1)
        p_sums.append(centred.flatten(1) @ chosen.T)
    sums = torch.cat(p_sums, 1)
    return own / spread, _share_above(sums, own), sums[:, 0] / spread


def _share_above(random: Float[Tensor, "heads draws"], own: Float[Tensor, " heads"]) -> Tensor:
    """Return the share of random sums, the own one among them, that are at least as large."""
    return (1 + (random >= own[:, None] - 1e-6 * own[:, None].abs()).sum(1)).double() / (1 + random.shape[1])
