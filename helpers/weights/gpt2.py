"""The parameters of GPT-2 under the field's names. Its linear maps are stored as (inputs, outputs)."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from helpers.weights.base import LayerWeights

MODEL_CLASSES = {cls.__name__: cls for cls in (GPT2LMHeadModel, GPT2ForSequenceClassification, GPT2Model)}


def name_parameters(model: Any) -> dict[str, Any]:
    """Return the fields of ``Weights`` for a GPT-2 with any head."""
    body = model.base_model
    score = dict(model.named_children()).get("score")
    return {
        "W_E": body.wte.weight,
        "layers": tuple(_name_layer(block, model.config.n_head) for block in body.h),
        "classifier": None if score is None else score.weight,
        "final_scale": body.ln_f.weight,
    }


def _name_layer(block: Any, n_heads: int) -> LayerWeights:
    """Name the parameters of one ``GPT2Block``."""
    width = block.attn.c_proj.weight.shape[0]

    def split_heads(matrix: Float[Tensor, "d_model d_model"]) -> Float[Tensor, "n_heads d_model d_head"]:
        return matrix.reshape(width, n_heads, -1).permute(1, 0, 2)

    query, key, value = (split_heads(part) for part in block.attn.c_attn.weight.split(width, dim=1))
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
