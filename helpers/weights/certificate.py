"""A certificate that the parameters that are read are those that the model computes with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from transformers.activations import ACT2FN

from helpers.resources.display import table_html
from helpers.weights.base import Weights
from helpers.weights.families import FAMILIES
from helpers.weights.norm import Norm
from helpers.weights.reference import LayerRecord, ReferenceModel, States


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """How far a model rebuilt from the matrices that are read is from the model itself, on random states.

    Attributes:
        table: one row per layer: relative errors (norm of the difference, divided by the norm of the model's own
            result) of how much each token attends to each other, of what attention and the feed-forward layer write,
            and of the logits after the layer.
        note: the model, and how its weights were read.
    """

    table: pd.DataFrame
    note: str

    @property
    def largest(self) -> float:
        """The largest error of all layers."""
        return float(self.table.to_numpy().max())

    def __repr__(self) -> str:
        return f"Certificate(largest relative error {self.largest:.1e}; {self.note})"

    def _repr_html_(self) -> str:
        return table_html(self.table, repr(self), "{:.1e}")


@torch.no_grad()
def certificate(w: Weights, seed: int = 0) -> Certificate:
    """Rebuild every layer of a model from the matrices that are read, and compare it with the model itself.

    The whole model is loaded in float32, and its own modules run on random states that enter each layer. Logits are
    those of the model's classifier if it has a linear one, and of its vocabulary items otherwise; the head of a BERT
    transforms states before it, which is left out.

    Raises:
        ModelNotFoundError: the model that ``w.name`` says cannot be loaded.
    """
    model = ReferenceModel.load(w)
    rows = [_compare_layer(w, model, layer, record) for layer, record in enumerate(model.run(seed))]
    note = f"{w.name}, norms {'folded in' if w.folded else 'not folded'}, float32, seed {seed}"
    return Certificate(pd.DataFrame(rows).rename_axis("layer"), note)


def _compare_layer(w: Weights, model: ReferenceModel, layer: int, record: LayerRecord) -> dict[str, float]:
    """Return the relative errors of one layer."""
    patterns = torch.stack([_attention_pattern(w, layer, head, record.states) for head in range(w.n_heads)])
    attention = _attention_output(w, layer, record.states, patterns)
    mlp = mlp_output(w, layer, record.mlp_input)
    errors = {
        "attention pattern": _relative_error(patterns, record.patterns),
        "attention output": _relative_error(attention, w.centre_written(record.attention)),
        "MLP output": _relative_error(mlp, w.centre_written(record.mlp)),
    }
    logits = model.logits(record.output)
    if logits is not None:
        errors["logits"] = _relative_error(_logits(w, layer, record.states, attention, mlp), logits)
    return errors


def _relative_error(rebuilt: Tensor, own: Tensor) -> float:
    return float((rebuilt - own).norm() / own.norm().clamp(min=1e-30))  # a part that writes nothing has no error


def _apply_post_norm(w: Weights, norm: Norm | None, written: Tensor, unfolded: Tensor) -> Tensor:
    """Normalise what was written; a folded norm divides by the size of what is written by the unfolded matrices."""
    if norm is None:
        return written
    return written / norm.size(unfolded) if w.folded else norm(written)


def _attention_pattern(w: Weights, layer: int, head: int, states: States) -> Float[Tensor, "tokens tokens"]:
    """Return how much each token attends to each other, from W_Q and W_K."""
    family, stored = FAMILIES[w.config.model_type], w.layers[layer]
    as_stored, positions = replace(w, folded=False), torch.arange(len(states), device=states.device)
    sides = []
    for kind, norm in (("Q", stored.query_norm), ("K", stored.key_norm)):
        rows, unfolded = (
            v.apply_norm(stored.attention_norm, states) @ getattr(v, f"W_{kind}")(layer, head)
            + getattr(v, f"b_{kind}")(layer, head)
            for v in (w, as_stored)
        )
        rows = _apply_post_norm(w, norm, rows, unfolded)
        sides.append(rows if w.rotary is None else w.rotary(rows, layer, positions))
    scores = sides[0] @ sides[1].T * family.score_scale(w.config, layer)
    if cap := getattr(w.config, "attn_logit_softcapping", None):
        scores = cap * (scores / cap).tanh()
    if family.causal(w.config):
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    return scores.softmax(-1)


def _attention_output(
    w: Weights, layer: int, states: States, patterns: Float[Tensor, "n_heads tokens tokens"]
) -> States:
    """Return what attention writes, from W_V and W_O of all heads."""
    stored, written = w.layers[layer], []
    for v in (w, replace(w, folded=False)):
        read = v.apply_norm(stored.attention_norm, states)
        heads = [
            pattern @ (read @ v.W_V(layer, head) + v.b_V(layer, head)) @ v.W_O(layer, head)
            for head, pattern in enumerate(patterns)
        ]
        written.append(torch.stack(heads).sum(0) + v.b_O(layer))
    return _apply_post_norm(w, stored.attention_post_norm if stored.attention_norm else None, *written)


def mlp_output(w: Weights, layer: int, states: States) -> States:
    """Return what the feed-forward layer writes, from W_in, W_gate and W_out."""
    stored, written = w.layers[layer], []
    activation = ACT2FN[getattr(w.config, FAMILIES[w.config.model_type].activation)]
    for v in (w, replace(w, folded=False)):
        read = v.apply_norm(stored.mlp_norm, states)
        neurons = read @ v.W_in(layer) + v.b_in(layer)
        if stored.W_gate is None:
            neurons = activation(neurons)
        else:
            neurons = neurons * activation(read @ v.W_gate(layer) + v.b_gate(layer))
        written.append(neurons @ v.W_out(layer) + v.b_out(layer))
    return _apply_post_norm(w, stored.mlp_post_norm if stored.mlp_norm else None, *written)


def _logits(w: Weights, layer: int, states: States, attention: States, mlp: States) -> Tensor:
    """Return the logits of the rebuilt states after a layer."""
    stored, output = w.layers[layer], states + attention + mlp
    if stored.attention_norm is None and stored.attention_post_norm and stored.mlp_post_norm:  # norms in the stream
        output = stored.mlp_post_norm(stored.attention_post_norm(states + attention) + mlp)
    read = w.apply_norm(w.final_norm, output)
    classes, bias = w.classifier, w.classifier_bias
    return read @ w.W_U + w.b_U if classes is None or bias is None else read @ classes.T + bias
