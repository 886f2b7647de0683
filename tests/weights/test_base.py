"""Parameters by kind, layer and head, and norms folded into them."""

from dataclasses import replace

import pytest
import torch
from transformers import GPT2LMHeadModel

from helpers.resources import load_model
from helpers.weights import KINDS, load_weights


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "W_gate"])
def test_vectors_list_a_kind_head_by_head(kind):
    w = load_weights("gpt2-reviews-b")
    rows = w.vectors(kind, 1)
    assert rows.shape == (w.d_mlp if kind in ("W_in", "W_out") else w.n_heads * w.d_head, w.d_model)
    if kind in ("W_in", "W_out"):
        expected = w.W_in(1)[:, 3] if kind == "W_in" else w.W_out(1)[3]
        assert torch.equal(rows[3], expected)
    else:
        matrix = getattr(w, kind)(1, 2)
        expected = matrix[5] if kind == "W_O" else matrix[:, 5]
        assert torch.equal(rows[2 * w.d_head + 5], expected)


def test_folded_norms_compute_what_the_norm_and_the_map_compute():
    w, model = load_weights("gpt2-reviews", fold=True), load_model(GPT2LMHeadModel, "gpt2-reviews")
    block, x = model.transformer.h[2], torch.randn(w.d_model, generator=torch.Generator().manual_seed(0))
    plain = x / (x.var(correction=0) + 1e-5).sqrt()  # not centred: the folded matrices do not see the mean
    assert torch.allclose(plain @ w.W_in(2) + w.b_in(2), block.mlp.c_fc(block.ln_2(x)), atol=1e-4)
    expected = block.attn.c_attn(block.ln_1(x))
    assert torch.allclose(plain @ w.W_Q(2, 0) + w.b_Q(2, 0), expected[: w.d_head], atol=1e-4)
    values = block.mlp.c_proj.weight
    assert torch.allclose(w.W_out(2), values - values.mean(1, keepdim=True), atol=1e-6)
    logits = model.lm_head(model.transformer.ln_f(x))
    assert torch.allclose(plain @ w.W_U + w.b_U, logits, atol=1e-4)
    assert w.fold_norms() is w
    assert "norms folded in" in repr(w)


def test_the_direction_that_no_norm_lets_through_is_in_no_folded_parameter():
    w = load_weights("gpt2-reviews", fold=True)
    vectors = [w.vectors(kind, layer) for kind in w.kinds for layer in range(w.n_layers)]
    for part in (*vectors, w.W_E, w.W_U.T, w.W_pos, w.b_O(1)[None], w.b_out(1)[None]):
        assert part.sum(1).abs().max() < 1e-4 * part.norm(dim=1).max()


def test_a_bias_of_values_is_in_that_of_the_output_once_it_is_folded():
    plain = load_weights("gpt2-reviews")
    w = plain.fold_norms()
    heads = [plain.b_V(1, h) + plain.layers[1].attention_norm.bias @ plain.W_V(1, h) for h in range(w.n_heads)]
    expected = plain.b_O(1) + sum(bias @ plain.W_O(1, h) for h, bias in enumerate(heads))
    assert torch.allclose(w.b_O(1), expected - expected.mean(), atol=1e-5)
    assert w.b_V(1, 0).abs().max() == 0 < plain.b_V(1, 0).abs().max()


def test_a_classifier_that_never_meets_the_final_norm_keeps_what_is_written():
    plain = load_weights("gpt2-sentiment")
    w = plain.fold_norms()
    assert w.folded and w.final_norm is None
    for part in ("W_U", "W_E", "classifier"):
        assert torch.equal(getattr(w, part), getattr(plain, part))
    assert torch.equal(w.W_out(3), plain.W_out(3)) and not torch.equal(w.W_in(3), plain.W_in(3))


def test_norms_in_the_residual_stream_are_not_folded():
    with pytest.raises(ValueError, match=r"fold=True: bert-reviews normalises the residual stream itself"):
        load_weights("bert-reviews", fold=True)


def test_tied_embeddings_are_one_table_until_they_are_folded():
    w = load_weights("gpt2-reviews")
    assert w.embedding is w.unembedding and w.W_U.shape == (w.d_model, 8192)
    assert torch.equal(w.W_U.T, w.W_E)
    assert not torch.allclose(w.fold_norms().W_U.T, w.fold_norms().W_E)


def test_classes_of_images_are_the_items_of_a_vit():
    w = load_weights("vit-digits", fold=True)
    assert w.W_U.shape == (w.d_model, 10) and w.item_names[3] == "3" and "10 classes" in repr(w)
    with pytest.raises(ValueError, match="vit-digits reads images"):
        _ = w.W_E
    with pytest.raises(ValueError, match="has no unembedding"):
        _ = replace(w, unembedding=None).W_U


def test_another_layer_head_kind_or_offset_is_named():
    w = load_weights("gpt2-reviews-b")
    with pytest.raises(ValueError, match="layer=4: must be between 0 and 3"):
        w.W_in(4)
    with pytest.raises(ValueError, match="head=-1"):
        w.W_OV(0, -1)
    with pytest.raises(ValueError, match=r"layer=3\.0: must be between 0 and 3, and an integer"):
        w.W_out(3.0)
    with pytest.raises(ValueError, match="kind='W_gate': must be one of W_in, W_out"):
        w.b_gate(0)
    with pytest.raises(ValueError, match="tokenizer: gpt2-reviews-b has none"):
        _ = replace(w, tokenizer=None).item_names
    for kind in ("W_OV", "W_gate"):
        with pytest.raises(ValueError, match=f"kind='{kind}': must be one of W_in, W_out"):
            w.vectors(kind, 0)
    with pytest.raises(ValueError, match="offset=1: must be 0, because the heads of gpt2-reviews-b are not rotary"):
        w.W_QK(0, 0, offset=1)
