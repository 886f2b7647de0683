"""GPT-2's parameters under the field's names; its linear maps store (in, out)."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from helpers.weights.base import LayerWeights

HEADS = {cls.__name__: cls for cls in (GPT2LMHeadModel, GPT2ForSequenceClassification, GPT2Model)}


def map_layer(block: Any, n_heads: int) -> LayerWeights:
    """Name the parameters of one ``GPT2Block``."""
    width = block.attn.c_proj.weight.shape[0]

    def by_head(columns: Tensor) -> Tensor:
        return columns.reshape(width, n_heads, -1).permute(1, 0, 2)

    query, key, value = (by_head(part) for part in block.attn.c_attn.weight.split(width, dim=1))
    return LayerWeights(
        W_Q=query,
        W_K=key,
        W_V=value,
        W_O=block.attn.c_proj.weight.view(n_heads, -1, width),
        W_in=block.mlp.c_fc.weight.T,
        W_out=block.mlp.c_proj.weight,
        attention_scale=block.ln_1.weight,
        mlp_scale=block.ln_2.weight,
    )


def map_weights(model: Any) -> dict[str, Any]:
    """Name the parameters of a GPT-2 with any head."""
    body = model.base_model
    score = dict(model.named_children()).get("score")
    return {
        "W_E": body.wte.weight,
        "layers": tuple(map_layer(block, model.config.n_head) for block in body.h),
        "classifier": None if score is None else score.weight,
        "final_scale": body.ln_f.weight,
    }
