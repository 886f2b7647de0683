"""The parameters of BERT under the field's names. Its linear maps are stored as (outputs, inputs).

Its layer norms stand after the residual stream, so that no scale can be folded into what reads from it.
"""

from __future__ import annotations

from typing import Any

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
    attention = block.attention.self
    query, key, value = (
        part.weight.unflatten(0, (n_heads, -1)).transpose(1, 2)
        for part in (attention.query, attention.key, attention.value)
    )
    return LayerWeights(
        W_Q=query,
        W_K=key,
        W_V=value,
        W_O=block.attention.output.dense.weight.T.unflatten(0, (n_heads, -1)),
        W_in=block.intermediate.dense.weight,
        W_out=block.output.dense.weight.T,
    )
