"""Measures of parameters in embedding space, each beside its control.

Source: arXiv 2209.02535, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import bootstrap
from torch import Tensor

from helpers.adapters import Trace
from helpers.equivalence import create_generator
from helpers.geometry.arguments import check_whole
from helpers.vocabulary import EmbeddingSpace, Reading, embedding_space
from helpers.weights import KINDS, Weights

ACTIVATIONS = {"W_in": "neurons", "W_out": "neurons", "W_V": "subheads", "W_O": "subheads"}  # kind -> field of a trace
N_ACTIVE = 5  # parameters that count as active for a hidden state: those of the largest absolute activation
CHUNK = 512  # vectors projected at once, to bound the memory
STATE_ITEMS = 50  # top items of states and of the parameters active in them, as in the paper
N_SHUFFLES = 5  # permutations of the partners over which a control is averaged
RESAMPLES = 2000  # of the bootstrap; the ends of an interval then vary by about 2% of its width

Vectors = Float[Tensor, "n d_model"]
Rows = Float[Tensor, "items d_model"]  # of an embedding space
Items = Int[Tensor, "n k"]  # numbers of rows, k different ones per vector


@torch.no_grad()
def top_items(vectors: Vectors, rows: Rows, k: int, signed: bool = False) -> Items:
    """Return the k items with the largest absolute scores, or the highest, for each hidden vector or parameter.

    Raises:
        ValueError: k is not between 1 and the number of items.
    """
    check_whole("k", k, 1, len(rows))
    scores = (chunk.to(rows) @ rows.T for chunk in vectors.split(CHUNK))
    return torch.cat([(each if signed else each.abs()).topk(k, dim=1).indices for each in scores])


def jaccard(a: Items, b: Items, count: int) -> Float[Tensor, " n"]:
    """Return the Jaccard similarity of the sets a[i] and b[i] of indices below ``count``."""
    in_a, in_b = _membership(a, count), _membership(b, count)
    return (in_a & in_b).sum(1) / (in_a | in_b).sum(1)


def top_item_recall(states: Items, active: Int[Tensor, "n active k"], count: int) -> Float[Tensor, " n"]:
    """R_k: return the share of each state's top items that are top items of any parameter active in it.

    ``active`` holds the top items of each of these parameters; ``count`` is the size of the embedding space.
    """
    return _membership(active.flatten(1), count).gather(1, states).double().mean(1)


def _membership(sets: Items, count: int) -> Bool[Tensor, "n count"]:
    """Turn sets of indices into indicator vectors."""
    return torch.zeros(len(sets), count, dtype=torch.bool, device=sets.device).scatter_(1, sets, True)


def keep_largest(scores: Float[Tensor, "n items"], k: int) -> Float[Tensor, "n items"]:
    """Set all but the k entries of the largest absolute value in each row to zero."""
    largest = scores.abs().topk(k, dim=1).indices
    return torch.zeros_like(scores).scatter(1, largest, scores.gather(1, largest))


def compare_inner_products(vectors: Vectors, rows: Rows, inverse_rows: Rows, k: int) -> float:
    """Measure how well inner products survive projection to the items if k entries of each vector are kept.

    Returns:
        The cosine between X X^T and keep_k(X E^T) keep_k(X E'^T)^T as long vectors; 1 is perfect. X are the vectors,
        and the rows are E and E', one per item.

    Source: arXiv 2209.02535, appendix on the choice of E'.
    """
    products = keep_largest(vectors @ rows.T, k) @ keep_largest(vectors @ inverse_rows.T, k).T
    return float(torch.nn.functional.cosine_similarity((vectors @ vectors.T).flatten(), products.flatten(), dim=0))


class MeanInterval(NamedTuple):
    """A mean and the ends of its 95% bootstrap interval; an f-string writes all three."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Write the three numbers, each in this format."""
        return f"{self.mean:{spec}}, 95% interval {self.low:{spec}} to {self.high:{spec}}"


def mean_interval(values: Iterable[SupportsFloat], seed: int = 0) -> MeanInterval:
    """Return the mean and the ends of its 95% bootstrap interval, which are nan for a single value.

    >>> f"{mean_interval([0.25, 0.5, 0.5, 0.75]):.2f}"
    '0.50, 95% interval 0.31 to 0.69'
    """
    numbers = np.array([float(value) for value in values])
    if len(numbers) == 1:
        return MeanInterval(float(numbers[0]), float("nan"), float("nan"))
    result = bootstrap((numbers,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed)
    low, high = result.confidence_interval
    return MeanInterval(float(numbers.mean()), float(low), float(high))


def compare_partners(
    w: Weights, kinds: tuple[str, str], reading: Reading | None = None, k: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Compare the top items of partners: a neuron's key and value, or the two vectors of a subhead.

    The kinds of partners are those of ``helpers.weights.RELATED_KINDS``. Of each vector, the k items with the largest
    absolute scores count, or with the highest if the reading is signed. The control permutes the partners of a layer.

    Returns:
        One row per layer: mean Jaccard similarity of partners (value) and of permuted partners (control, mean of
        five permutations), and the mean paired difference with its 95% bootstrap interval (low, high).
    """
    reading = reading or Reading()
    spaces = [embedding_space(w, reading, KINDS[kind]) for kind in kinds]
    generator, rows, count = create_generator(seed), [], len(spaces[0])
    for layer in range(w.n_layers):
        first, second = _partner_items(w.partners(kinds, layer), kinds, spaces, k, reading.signed)
        values = jaccard(first, second, count)
        orders = [torch.randperm(len(second), generator=generator).to(second.device) for _ in range(N_SHUFFLES)]
        controls = torch.stack([jaccard(first, second[order], count) for order in orders]).mean(0)
        rows.append(compare_with_control(layer, values, controls, seed))
    return pd.DataFrame(rows)


def list_related_partners(
    w: Weights, kinds: tuple[str, str], threshold: float = 0.1, reading: Reading | None = None, k: int = 100
) -> pd.DataFrame:
    """List the partners, of all layers, whose top items overlap by more than a threshold, the most similar first.

    Kinds and top items are those of ``compare_partners``, whose control says how many overlap by chance.

    Returns:
        One row per pair of partners: layer, index, their Jaccard similarity, and the names of the shared items, of
        the largest product of absolute scores first.
    """
    reading = reading or Reading()
    spaces, rows = [embedding_space(w, reading, KINDS[kind]) for kind in kinds], []
    for layer in range(w.n_layers):
        partners = w.partners(kinds, layer)
        first, second = _partner_items(partners, kinds, spaces, k, reading.signed)
        similarities = jaccard(first, second, len(spaces[0]))
        for index in (similarities > threshold).nonzero()[:, 0].tolist():
            shared = sorted(set(first[index].tolist()) & set(second[index].tolist()))
            scores = [space.rows[shared] @ vectors[index] for space, vectors in zip(spaces, partners, strict=True)]
            order = (scores[0] * scores[1]).abs().argsort(descending=True)
            names = [spaces[0].names[shared[i]] for i in order.tolist()]
            rows.append((layer, index, float(similarities[index]), ", ".join(names)))
    table = pd.DataFrame(rows, columns=["layer", "index", "jaccard", "shared"])
    return table.sort_values("jaccard", ascending=False, kind="stable", ignore_index=True)


def _partner_items(
    partners: tuple[Vectors, Vectors], kinds: tuple[str, str], spaces: Sequence[EmbeddingSpace], k: int, signed: bool
) -> tuple[Items, Items]:
    """Return the top items of both kinds of partners in a layer."""
    first, second = partners
    if len(first) != len(second):
        raise ValueError(f"kinds={kinds}: have {len(first):,} and {len(second):,} vectors in a layer, wanted as many")
    return top_items(first, spaces[0].rows, k, signed), top_items(second, spaces[1].rows, k, signed)


@torch.no_grad()
def compare_active_parameters(
    w: Weights, traces: Sequence[Trace], kind: str, reading: Reading | None = None, seed: int = 0
) -> pd.DataFrame:
    """Measure R_k: how many of a hidden state's 50 top items are top items of the parameters active in it.

    Active are the five neurons (W_in, W_out) or subheads (W_V, W_O) of the largest activation; the control takes
    those of a random other state of the layer. Returns a table like that of ``compare_partners``, over texts.

    Args:
        w: the model of the traces. Unfolded weights read the states after the whole final norm, as in the paper.
        traces: of its runs on some texts.
        kind: W_in, W_out, W_V or W_O.
        reading: how states and parameters are read; ``Reading.paper()`` for the paper's way.
        seed: of the control.

    Raises:
        ValueError: another kind, no final norm, traces of another model, or fewer than two tokens in all.
    """
    lengths = _check_traces(w, traces, kind)
    reading = reading or Reading()
    states_space, space = embedding_space(w, reading), embedding_space(w, reading, KINDS[kind])
    generator, rows = create_generator(seed), []
    for layer in range(w.n_layers):
        states = torch.cat([trace.states[layer] for trace in traces])
        activations = torch.cat([getattr(trace, ACTIVATIONS[kind])[layer] for trace in traces])
        active = activations.abs().topk(N_ACTIVE, dim=1).indices
        state_items = top_items(w.apply_norm(w.final_norm, states), states_space.rows, STATE_ITEMS, reading.signed)
        parameter_items = top_items(w.vectors(kind, layer), space.rows, STATE_ITEMS, reading.signed)[active]
        shift = torch.randint(1, len(states), (len(states),), generator=generator)
        other_items = parameter_items[(torch.arange(len(states)) + shift) % len(states)]
        recalls = (top_item_recall(state_items, items, len(space)) for items in (parameter_items, other_items))
        # States of one text are not independent, so they are averaged before the bootstrap.
        values, controls = (torch.stack([text.mean() for text in recall.split(lengths)]) for recall in recalls)
        rows.append(compare_with_control(layer, values, controls, seed))
    return pd.DataFrame(rows)


def _check_traces(w: Weights, traces: Sequence[Trace], kind: str) -> list[int]:
    """Return the numbers of tokens of traces that ``compare_active_parameters`` can use."""
    if kind not in ACTIVATIONS:
        raise ValueError(f"kind={kind!r}: must be one of {', '.join(ACTIVATIONS)}")
    if w.final_norm is None:
        raise ValueError(f"w: {w.name} has no final norm to read states with; wanted a GPT-2")
    if widths := {trace.states.shape[-1] for trace in traces} - {w.d_model}:
        raise ValueError(f"traces: have states {widths.pop()} wide, wanted {w.d_model}, from runs of {w.name}")
    lengths = [trace.states.shape[1] for trace in traces]
    if sum(lengths) < 2:
        raise ValueError(f"traces: have {sum(lengths)} tokens, wanted two or more, because the control needs another")
    return lengths


def compare_with_control(
    layer: int, values: Float[Tensor, " n"], controls: Float[Tensor, " n"], seed: int
) -> dict[str, float]:
    """Return a row of a table: the means of paired values and controls, and their difference with its interval."""
    difference, low, high = mean_interval(values - controls, seed)
    means = {"value": float(values.double().mean()), "control": float(controls.double().mean())}
    return {"layer": layer, **means, "difference": difference, "low": low, "high": high}
