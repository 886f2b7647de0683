"""Measures of parameters in embedding space, each beside its control."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from scipy.stats import bootstrap
from torch import Tensor

from helpers.adapters import Trace
from helpers.vocabulary import Reading, embedding_space
from helpers.weights import Weights

ACTIVATED = 5  # parameters taken for each hidden state
CHUNK = 512  # vectors projected at once
SHUFFLES = 5  # of partners, for the control


@torch.no_grad()
def top_items(vectors: Tensor, rows: Tensor, k: int) -> Tensor:
    """Return the k items with the largest absolute scores for each vector.

    Args:
        vectors: (N, d_model).
        rows: of an embedding space, (items, d_model).
        k: how many.

    Returns:
        Row indices, (N, k).

    Source: arXiv 2209.02535, section 5.
    """
    return torch.cat([(part @ rows.T).abs().topk(k, dim=1).indices for part in vectors.split(CHUNK)])


def memberships(sets: Tensor, count: int) -> Tensor:
    """Turn sets of indices (N, k) into boolean memberships (N, count)."""
    return torch.zeros(len(sets), count, dtype=torch.bool, device=sets.device).scatter_(1, sets, True)


def jaccard(a: Tensor, b: Tensor, count: int) -> Tensor:
    """Jaccard similarity of the sets a[i] and b[i] of indices below ``count``, both (N, k): (N,).

    Source: arXiv 2209.02535, section 5.
    """
    first, second = memberships(a, count), memberships(b, count)
    return (first & second).sum(1) / (first | second).sum(1)


def shared_items(states: Tensor, activated: Tensor, count: int) -> Tensor:
    """R_k: the share of each state's top items that are among those of any parameter that it activates.

    Args:
        states: top items of hidden states, (N, k).
        activated: top items of the parameters that each one activates, (N, m, k).
        count: items in all.

    Returns:
        (N,).

    Source: arXiv 2209.02535, section 5.
    """
    union = memberships(activated.flatten(1), count)
    return union.gather(1, states).double().mean(1)


def keep_largest(scores: Tensor, k: int) -> Tensor:
    """Set all but the k entries of largest absolute value of each row (N, items) to zero."""
    kept = scores.abs().topk(k, dim=1).indices
    return torch.zeros_like(scores).scatter(1, kept, scores.gather(1, kept))


def kept_geometry(vectors: Tensor, rows: Tensor, inverse_rows: Tensor, k: int) -> float:
    """Say how much of the inner products of hidden vectors survives projection when k items of each are kept.

    Args:
        vectors: X, (N, d_model).
        rows: E^T, (items, d_model).
        inverse_rows: E'^T, (items, d_model).
        k: items kept of each projected vector.

    Returns:
        Cosine between X X^T and keep_k(X E) keep_k(X E')^T, both as long vectors.

    Source: arXiv 2209.02535, appendix on the choice of E'.
    """
    kept = keep_largest(vectors @ rows.T, k) @ keep_largest(vectors @ inverse_rows.T, k).T
    return float(torch.nn.functional.cosine_similarity((vectors @ vectors.T).flatten(), kept.flatten(), dim=0))


def mean_interval(values: Tensor, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of values (N,) and the ends of its 95% bootstrap interval, which a single value does not have."""
    numbers = values.double().cpu().numpy()
    if len(numbers) == 1:
        return float(numbers[0]), float("nan"), float("nan")
    found = bootstrap((numbers,), lambda v, axis: v.mean(axis), n_resamples=2000, method="percentile", rng=seed)
    return float(numbers.mean()), float(found.confidence_interval.low), float(found.confidence_interval.high)


def related_parameters(
    w: Weights, kinds: tuple[str, str], reading: Reading | None = None, k: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Compare the top items of partners (a neuron's key and value, a subhead's two vectors), layer by layer.

    Args:
        w: the model.
        kinds: of the partners, as in ``helpers.weights.PARTNERS``.
        reading: as ``top_tokens`` takes it.
        k: items of each, by absolute score.
        seed: of the control, in which partners are shuffled within the layer.

    Returns:
        A row a layer: Jaccard similarity of partners, of shuffled ones (mean of five shuffles), and the mean paired
        difference with its 95% bootstrap interval.

    Source: arXiv 2209.02535, section 5.
    """
    space, generator, found = embedding_space(w, reading), torch.Generator().manual_seed(seed), []
    for layer in range(w.n_layers):
        first, second = (top_items(w.vectors(kind, layer), space.rows, k) for kind in kinds)
        own = jaccard(first, second, len(space))
        orders = [torch.randperm(len(second), generator=generator).to(second.device) for _ in range(SHUFFLES)]
        control = torch.stack([jaccard(first, second[order], len(space)) for order in orders]).mean(0)
        found.append({"layer": layer} | _beside(own, control, seed))
    return pd.DataFrame(found)


def _beside(own: Tensor, control: Tensor, seed: int) -> dict[str, float]:
    """Tabulate values beside their paired controls, both (N,)."""
    difference, low, high = mean_interval(own - control, seed)
    values = {"value": float(own.double().mean()), "control": float(control.double().mean())}
    return values | {"difference": difference, "low": low, "high": high}


@torch.no_grad()
def activated_parameters(
    w: Weights, traces: Sequence[Trace], kind: str, last: bool = False, k: int = 50, seed: int = 0
) -> pd.DataFrame:
    """Score R_k: how much of what hidden states read as is said by the parameters that they activate.

    For each state, the five most activated neurons (W_in, W_out) or subheads (W_V, W_O); the control takes those
    that a random other state of the same layer activates. States of one text are not independent: they are averaged
    first, and the interval is over texts.

    Args:
        w: the model, layer norms folded in.
        traces: of its runs on some texts.
        kind: W_in, W_out, W_V or W_O.
        last: score against the last layer's state at the same token instead.
        k: top items of states and parameters.
        seed: of the control.

    Returns:
        A row a layer, as ``related_parameters``.

    Raises:
        ValueError: for another kind, a model without a final layer norm, or texts of less than two tokens in all.

    Source: arXiv 2209.02535, section 5.
    """
    if kind not in ("W_in", "W_out", "W_V", "W_O"):
        raise ValueError(f"kind={kind!r}: must be W_in, W_out, W_V or W_O")
    lengths = [trace.states.shape[1] for trace in traces]
    if sum(lengths) < 2:
        raise ValueError("traces: hold less than two tokens, wanted another one for the control")
    if w.final_scale is None:
        raise ValueError(f"w: {w.name} has no final layer norm to read states with; wanted a GPT-2")
    space, generator, found = embedding_space(w), torch.Generator().manual_seed(seed), []
    for layer in range(w.n_layers):
        states = torch.cat([trace.states[-1 if last else layer] for trace in traces])
        fired = torch.cat([(t.neurons if kind in ("W_in", "W_out") else t.subheads)[layer] for t in traces])
        said = top_items((states - states.mean(1, keepdim=True)) * w.final_scale, space.rows, k)
        parameters = top_items(w.vectors(kind, layer), space.rows, k)[fired.abs().topk(ACTIVATED, dim=1).indices]
        shift = torch.randint(1, len(said), (len(said),), generator=generator)
        others = parameters[(torch.arange(len(said)) + shift) % len(said)]
        shares = torch.stack([shared_items(said, each, len(space)) for each in (parameters, others)], dim=1)
        by_text = torch.stack([some.mean(0) for some in shares.split(lengths)])
        found.append({"layer": layer} | _beside(*by_text.T, seed))
    return pd.DataFrame(found)
