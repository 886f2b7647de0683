"""Attention rollout and relevance against closed forms and against plain loops over the library's own maps."""

import copy

import numpy as np
import pytest
import torch

from helpers.adapters import BertAdapter, ViTAdapter, attention_relevance, attention_rollout
from helpers.datasets import read_sentences


def test_uniform_attention_points_to_every_patch_alike(vit, digits):
    model = copy.deepcopy(vit.model)
    for name, weights in model.named_parameters():
        if "query" in name or "q_proj" in name:
            torch.nn.init.zeros_(weights)
    uniform = ViTAdapter("uniform", model, vit.processor)
    scores = attention_rollout(uniform, uniform.encode(digits.images[0]))
    assert torch.allclose(scores, torch.full((49,), (1 - 0.5**4) / 50), rtol=1e-4), "what four layers of a half leave"


@pytest.mark.parametrize("kind", ["image", "text"])
def test_both_measures_agree_with_plain_loops(kind, vit, bert, digits):
    adapter, raw = (vit, digits.images[1]) if kind == "image" else (bert, read_sentences("review").text[0])
    point = adapter.encode(raw)
    inputs = (
        {"pixel_values": torch.tensor(raw)[None, None] * adapter._range + adapter._black} if kind == "image" else {}
    )
    inputs = inputs or dict(adapter.tokenizer(raw, return_tensors="pt"))
    for weights in adapter.model.parameters():
        weights.requires_grad_()
    output = adapter.model(**inputs, output_attentions=True)
    gradients = torch.autograd.grad(output.logits.max(), output.attentions)
    for weights in adapter.model.parameters():
        weights.requires_grad_(False)
    rows = output.attentions[0].shape[-1]
    rollout, relevance = np.eye(rows), np.eye(rows)
    for attention, gradient in zip(output.attentions, gradients, strict=True):
        a, g = attention[0].detach().double().numpy(), gradient[0].double().numpy()
        rollout = (a.mean(0) / 2 + np.eye(rows) / 2) @ rollout
        relevance = relevance + np.maximum(a * g, 0).mean(0) @ relevance
    first = rows - len(point)
    assert attention_rollout(adapter, point).numpy() == pytest.approx(rollout[0, first:], rel=1e-3)
    assert attention_relevance(adapter, point).numpy() == pytest.approx(relevance[0, first:], rel=1e-3, abs=1e-6)


def test_a_masked_word_is_read_at_the_mask(masked_bert):
    text = read_sentences("occupation").text[0]
    point = masked_bert.encode(text)
    mask = masked_bert.token_ids(text).index(masked_bert.tokenizer.mask_token_id)
    scores = attention_rollout(masked_bert, point)
    assert scores.argmax() == mask, "half of each layer's weight stays in the row that the head reads"
    assert float(scores.sum()) == pytest.approx(1)


def test_a_model_without_attention_maps_is_named(bert):
    model = copy.deepcopy(bert.model)
    model.set_attn_implementation("sdpa")
    fast = BertAdapter("fast", model, bert.tokenizer)
    with pytest.raises(ValueError, match="fast gives no attention maps"):
        attention_rollout(fast, fast.encode("a good film"))
