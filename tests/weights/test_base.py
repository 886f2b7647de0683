"""Parameters by kind, layer and head, and layer norms folded into them."""

import pytest
import torch
from transformers import GPT2LMHeadModel

from helpers.resources import load_model
from helpers.weights import KINDS, load_weights


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_list_a_kind_head_by_head(kind):
    w = load_weights("gpt2-reviews-b")
    rows = w.vectors(kind, 1)
    assert rows.shape == (w.d_mlp if kind in ("W_in", "W_out") else w.n_heads * w.d_head, w.d_model)
    if kind in ("W_in", "W_out"):
        expected = getattr(w, kind)(1)[3]
        assert torch.equal(rows[3], expected)
    else:
        matrix = getattr(w, kind)(1, 2)
        expected = matrix[5] if kind == "W_O" else matrix[:, 5]
        assert torch.equal(rows[2 * w.d_head + 5], expected)


def test_folded_norms_compute_what_the_norm_and_the_map_compute():
    w, body = load_weights("gpt2-reviews", fold=True), load_model(GPT2LMHeadModel, "gpt2-reviews").transformer
    block = body.h[2]
    x = torch.randn(w.d_model, generator=torch.Generator().manual_seed(0))
    plain = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
    expected = (block.ln_2(x) - block.ln_2.bias) @ block.mlp.c_fc.weight
    assert torch.allclose(w.W_in(2) @ plain, expected, atol=1e-4)
    expected = (block.ln_1(x) - block.ln_1.bias) @ block.attn.c_attn.weight
    assert torch.allclose(plain @ w.W_Q(2, 0), expected[: w.d_head], atol=1e-4)
    assert torch.allclose(w.W_out(2), block.mlp.c_proj.weight * body.ln_f.weight)
    assert torch.allclose(w.layers[2].W_O.flatten(0, 1), block.attn.c_proj.weight * body.ln_f.weight)
    assert w.fold_layer_norms() is w
    assert w.W_U.shape == (w.d_model, 8192) and w.W_U.data_ptr() == w.W_E.data_ptr()
    assert "folded in" in repr(w)


def test_without_norms_before_the_layers_folding_changes_nothing():
    w = load_weights("bert-reviews")
    folded = w.fold_layer_norms()
    assert folded.folded and not w.folded
    for kind in KINDS:
        assert torch.equal(folded.vectors(kind, 1), w.vectors(kind, 1))


def test_another_layer_head_or_kind_is_named():
    w = load_weights("gpt2-reviews-b")
    with pytest.raises(ValueError, match="layer=4: must be between 0 and 3"):
        w.W_in(4)
    with pytest.raises(ValueError, match="head=-1"):
        w.W_OV(0, -1)
    with pytest.raises(ValueError, match="kind='W_OV'"):
        w.vectors("W_OV", 0)
