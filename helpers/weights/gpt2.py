"""The parameters of GPT-2 under the field's names. Its linear maps are stored as (inputs, outputs)."""

from __future__ import annotations

from typing import Any

from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from helpers.weights.base import LayerWeights

MODEL_CLASSES = {cls.__name__: cls for cls in (GPT2LMHeadModel, GPT2ForSequenceClassification, GPT2Model)}


def name_parameters(model: Any) -> dict[str, Any]:
    """Return the fields of ``Weights`` for a GPT-2 with any head."""
    body = model.base_model
    return {
        "W_E": body.wte.weight,
        "layers": tuple(_name_layer(block, model.config.n_head) for block in body.h),
        "classifier": model.score.weight if hasattr(model, "score") else None,
        "final_scale": body.ln_f.weight,
    }


def _name_layer(block: Any, n_heads: int) -> LayerWeights:
    parts = block.attn.c_attn.weight.chunk(3, dim=1)
    query, key, value = (part.unflatten(1, (n_heads, -1)).transpose(0, 1) for part in parts)
    return LayerWeights(
        W_Q=query,
        W_K=key,
        W_V=value,
        W_O=block.attn.c_proj.weight.unflatten(0, (n_heads, -1)),
        W_in=block.mlp.c_fc.weight.T,
        W_out=block.mlp.c_proj.weight,
        attention_scale=block.ln_1.weight,
        mlp_scale=block.ln_2.weight,
    )
