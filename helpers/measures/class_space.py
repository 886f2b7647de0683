"""A Vision Transformer in class space: its states and parameters read by the final norm and the class head.

Each measure is one number per layer and image. ``compare_class_space`` sets it beside the same measure of models with
random weights, or of labels that are not the image's own.

Source: Vilas, Schaumlöffel and Roig, "Analyzing Vision Transformers for Image Classification in Class Embedding
Space", NeurIPS 2023, arXiv 2310.18969. That a walk is read layer by layer is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize
from transformers.activations import ACT2FN

from helpers.adapters import ImageAdapter
from helpers.measures.parameters import compare_with_control
from helpers.weights import Weights

N_TOP = 5  # coefficients of a row, and values of a class, that count as its largest; as in the paper
WRITERS = {"attention": "W_O", "MLP": "W_out"}  # part of a block -> the kind of its values

Measures = dict[str, Float[Tensor, "layers n"]]


@dataclass(frozen=True, eq=False, repr=False)
class ClassTrace:
    """What an image classifier computes on one image. Row 0 is [CLS]; the patches are the last rows.

    Attributes:
        states: the residual stream before each block and after the last, (n_layers + 1, rows, d_model).
        middle: the residual stream of each block between attention and MLP, (n_layers, rows, d_model).
        coefficients: per part of a block, what multiplies each of its values: activations of neurons for "MLP", the
            attended values head by head for "attention"; (n_layers, rows, values).
        patterns: how much each row attends to each other, (n_layers, n_heads, rows, rows).
        values: of each head at each row, (n_layers, n_heads, rows, d_head).
        n_patches: number of patches.
    """

    states: Float[Tensor, "states rows d_model"]
    middle: Float[Tensor, "layers rows d_model"]
    coefficients: dict[str, Float[Tensor, "layers rows values"]]
    patterns: Float[Tensor, "layers heads rows rows"]
    values: Float[Tensor, "layers heads rows d_head"]
    n_patches: int


@torch.no_grad()
def trace_classes(adapter: ImageAdapter, w: Weights, point: Float[Tensor, "parts d_model"]) -> ClassTrace:
    """Run an image classifier on a point of layer 0 and record what its blocks compute; a pixel adapter's works too.

    The weights are those of the same model, not folded.

    Raises:
        ValueError: weights with norms folded in, whose attended values lack a constant.
    """
    if w.folded:
        raise ValueError(f"w: {w.name} has its norms folded in; wanted load_weights(name) with fold=False")
    output = adapter.run_with_attentions(point)[1]
    states, patterns = (torch.stack([each[0] for each in part]) for part in (output.hidden_states, output.attentions))
    activation, recorded = ACT2FN[w.config.hidden_act], []
    for layer, (state, pattern) in enumerate(zip(states[:-1], patterns, strict=True)):
        stored = w.layers[layer]
        read = w.apply_norm(stored.attention_norm, state)
        values = read @ stored.matrix("W_V") + stored.bias("W_V")[:, None]
        attended = (pattern @ values).transpose(0, 1).flatten(1)
        middle = state + attended @ w.vectors("W_O", layer) + w.b_O(layer)
        neurons = activation(w.apply_norm(stored.mlp_norm, middle) @ w.W_in(layer) + w.b_in(layer))
        recorded.append((middle, attended, neurons, values))
    middles, attentions, neurons, values = (torch.stack(part) for part in zip(*recorded, strict=True))
    n_patches = adapter.grid[0] * adapter.grid[1]
    return ClassTrace(states, middles, {"attention": attentions, "MLP": neurons}, patterns, values, n_patches)


def read_classes(w: Weights, states: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n classes"]:
    """Read states as logits of classes, by the final norm and the class head."""
    folded = w.fold_norms()
    return folded.apply_norm(folded.final_norm, states) @ folded.W_U + folded.b_U


def class_identifiability(logits: Float[Tensor, "*n classes"], label: int) -> Float[Tensor, "*n"]:
    """Return 1 for the class with the highest logit, 1/k for the lowest of k; 0.5 + 0.5/k is expected by chance."""
    above = (logits > logits[..., label, None]).sum(-1)
    return 1 - above / logits.shape[-1]


def class_value_agreement(w: Weights, part: str, layer: int) -> Float[Tensor, " classes"]:
    """Return for each class its largest cosine with a value of a block's "attention" or "MLP"."""
    return (normalize(w.W_U.T, dim=1) @ normalize(w.vectors(WRITERS[part], layer), dim=1).T).amax(1)


def key_value_agreement(trace: ClassTrace, w: Weights, part: str, label: int) -> Bool[Tensor, "layers rows"]:
    """Return whether one of the five largest coefficients of a row is at one of the class's five strongest values."""
    matches = []
    for layer, coefficients in enumerate(trace.coefficients[part]):
        strongest = (w.vectors(WRITERS[part], layer) @ w.W_U[:, label]).topk(N_TOP).indices
        matches.append(torch.isin(coefficients.topk(N_TOP, dim=-1).indices, strongest).any(-1))
    return torch.stack(matches)


def map_classes(trace: ClassTrace, w: Weights, label: int) -> Float[Tensor, "layers heads patches"]:
    """Return what each head writes into [CLS] from each patch, in the direction of a class against all classes.

    The sum over patches is the head's contribution to the class before the final norm divides, special rows aside.
    """
    rows = w.fold_norms().W_U.T
    direction = rows[label] - rows.mean(0)
    written = torch.stack([layer.matrix("W_O") @ direction for layer in w.layers])  # (layers, heads, d_head)
    contributions = trace.patterns[:, :, 0] * torch.einsum("lhrd,lhd->lhr", trace.values, written)
    return contributions[..., -trace.n_patches :]


@torch.no_grad()
def measure_class_space(
    adapter: ImageAdapter, w: Weights, images: Sequence[Any], labels: Int[Tensor, " n"] | np.ndarray
) -> Measures:
    """Measure a model in class space on labelled images, in the paper's terms.

    Returns:
        Name of a measure -> its value per layer and image, averaged over the rows of the image that it names: class
        identifiability after each block, the share of rows whose probability of the class rises by attention or MLP
        (change rate), and key-value agreement. Class-value agreement has one value per class instead of per image.
    """
    rows = []
    for image, label in zip(images, np.asarray(labels).tolist(), strict=True):
        trace = trace_classes(adapter, w, adapter.encode(image))
        rows.append(_measure_image(trace, w, label))
    measures = {name: torch.stack([row[name] for row in rows], dim=1) for name in rows[0]}
    for part in WRITERS:
        agreements = [class_value_agreement(w, part, layer) for layer in range(w.n_layers)]
        measures[f"class-value agreement, {part}"] = torch.stack(agreements)
    return measures


def _measure_image(trace: ClassTrace, w: Weights, label: int) -> dict[str, Float[Tensor, " layers"]]:
    logits, between = read_classes(w, trace.states), read_classes(w, trace.middle)
    probabilities, half = (each.softmax(-1)[..., label] for each in (logits, between))
    by_row = {"identifiability": class_identifiability(logits[1:], label)}
    by_row["change rate, attention"], by_row["change rate, MLP"] = half > probabilities[:-1], probabilities[1:] > half
    for part in WRITERS:
        by_row[f"key-value agreement, {part}"] = key_value_agreement(trace, w, part, label)
    measured = {}
    for name, values in by_row.items():
        measured[f"{name}, [CLS]"] = values[:, 0].double()
        measured[f"{name}, patches"] = values[:, -trace.n_patches :].double().mean(1)
    return measured


def compare_class_space(measures: Measures, controls: Sequence[Measures], seed: int = 0) -> dict[str, pd.DataFrame]:
    """Compare measures with those of controls, such as models with random weights, on the same images.

    Returns:
        Name of a measure -> a table with one row per layer (the first block is 0): mean value, mean control and their
        difference, and (low, high): of the 95% bootstrap intervals of the difference from each control, paired by
        image or class, the lowest and the highest end, because random models differ.
    """
    over_controls = {"value": "mean", "control": "mean", "difference": "mean", "low": "min", "high": "max"}
    tables = {}
    for name, values in measures.items():
        layers = [zip(range(len(values)), values, each[name], strict=True) for each in controls]
        rows = [compare_with_control(*layer, seed) for control in layers for layer in control]
        tables[name] = pd.DataFrame(rows).groupby("layer", as_index=False).agg(over_controls)
    return tables


@torch.no_grad()
def compare_readings(first: ClassTrace, second: ClassTrace, w: Weights) -> Mapping[str, Float[Tensor, " states"]]:
    """Compare two inputs layer by layer, such as the ends of a walk; the first layer is the embedded input.

    Returns:
        Per layer, for [CLS] and as a mean over patches: the total variation between the class probabilities read from
        both states, and the length of the states' difference over the length of the first state.
    """
    readings = [read_classes(w, trace.states).softmax(-1) for trace in (first, second)]
    variation = (readings[1] - readings[0]).abs().sum(-1) / 2
    change = (second.states - first.states).norm(dim=-1) / first.states.norm(dim=-1)
    compared = {}
    for name, values in (("reading", variation), ("state", change)):
        compared[f"{name}, [CLS]"] = values[:, 0]
        compared[f"{name}, patches"] = values[:, -first.n_patches :].mean(1)
    return compared
