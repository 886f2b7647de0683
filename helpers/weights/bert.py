"""BERT's parameters under the field's names; its linear maps store (out, in), and its norms come after adding."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import BertForMaskedLM, BertForSequenceClassification

from helpers.weights.base import LayerWeights

HEADS = {
    "BertForMaskedLM": BertForMaskedLM,
    "BertForPreTraining": BertForMaskedLM,
    "BertForSequenceClassification": BertForSequenceClassification,
}


def map_layer(block: Any, n_heads: int) -> LayerWeights:
    """Name the parameters of one ``BertLayer``."""
    attention = block.attention
    width = attention.output.dense.weight.shape[0]

    def by_head(rows: Tensor) -> Tensor:
        return rows.view(n_heads, -1, width).transpose(1, 2)

    return LayerWeights(
        W_Q=by_head(attention.self.query.weight),
        W_K=by_head(attention.self.key.weight),
        W_V=by_head(attention.self.value.weight),
        W_O=by_head(attention.output.dense.weight.T).transpose(1, 2),
        W_in=block.intermediate.dense.weight,
        W_out=block.output.dense.weight.T,
    )


def map_weights(model: Any) -> dict[str, Any]:
    """Name the parameters of a BERT with a masked-word or classification head."""
    body = model.base_model
    layers = tuple(map_layer(block, model.config.num_attention_heads) for block in body.encoder.layer)
    return {"W_E": body.embeddings.word_embeddings.weight, "layers": layers}
