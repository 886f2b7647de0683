"""The parameters of BERT under the field's names. Its linear maps are stored as (outputs, inputs).

Its layer norms stand after the residual stream, so that no scale can be folded into what reads from it.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import BertForMaskedLM, BertForSequenceClassification

from helpers.weights.base import LayerWeights

MODEL_CLASSES = {
    "BertForMaskedLM": BertForMaskedLM,
    "BertForPreTraining": BertForMaskedLM,
    "BertForSequenceClassification": BertForSequenceClassification,
}


def name_parameters(model: Any) -> dict[str, Any]:
    """Return the fields of ``Weights`` for a BERT with a masked-word or classification head."""
    body = model.base_model
    layers = tuple(_name_layer(block, model.config.num_attention_heads) for block in body.encoder.layer)
    return {"W_E": body.embeddings.word_embeddings.weight, "layers": layers}


def _name_layer(block: Any, n_heads: int) -> LayerWeights:
    """Name the parameters of one ``BertLayer``."""
    attention, output = block.attention.self, block.attention.output.dense
    width = output.weight.shape[0]

    def split_heads(matrix: Float[Tensor, "d_model d_model"]) -> Float[Tensor, "n_heads d_model d_head"]:
        return matrix.view(n_heads, -1, width).transpose(1, 2)

    return LayerWeights(
        W_Q=split_heads(attention.query.weight),
        W_K=split_heads(attention.key.weight),
        W_V=split_heads(attention.value.weight),
        W_O=output.weight.T.view(n_heads, -1, width),
        W_in=block.intermediate.dense.weight,
        W_out=block.output.dense.weight.T,
    )
