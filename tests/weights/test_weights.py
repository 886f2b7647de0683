"""Parameters under the field's names are the ones the model computes with, in every architecture."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from helpers.adapters import GPT2Adapter
from helpers.resources import MODELS, ModelNotFoundError
from helpers.weights import KINDS, load_weights
from helpers.weights.gpt2 import name_parameters


@pytest.fixture(scope="module")
def gpt2():
    return GPT2Adapter.load("gpt2-reviews")


def attention_output(w, layer, states, causal):
    """What the heads of a layer add to the residual stream, from the named weights alone (no biases)."""
    total = 0
    for head in range(w.n_heads):
        scores = states @ (w.W_QK(layer, head) @ states.T) / w.d_head**0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -torch.inf)
        total = total + scores.softmax(-1) @ states @ w.W_OV(layer, head)
    return total


def without_biases(module):
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    return module


def test_gpt2s_names_compute_what_its_modules_compute(gpt2):
    w = load_weights("gpt2-reviews")
    model = without_biases(GPT2LMHeadModel.from_pretrained(MODELS / "gpt2-reviews", dtype=torch.float32)).eval()
    states = torch.randn(5, w.d_model, generator=torch.Generator().manual_seed(0))
    for layer, block in enumerate(model.transformer.h):
        with torch.no_grad():
            attended, fed = block.attn(states[None])[0][0], block.mlp(states)
        assert torch.allclose(attention_output(w, layer, states, causal=True), attended, atol=1e-4)
        active = torch.nn.functional.gelu(states @ w.W_in(layer).T, approximate="tanh")
        assert torch.allclose(active @ w.W_out(layer), fed, atol=1e-4)


def test_berts_names_compute_what_its_modules_compute():
    w = load_weights("bert-reviews")
    model = without_biases(BertForMaskedLM.from_pretrained(MODELS / "bert-reviews", dtype=torch.float32)).eval()
    states = torch.randn(5, w.d_model, generator=torch.Generator().manual_seed(0))
    for layer, block in enumerate(model.bert.encoder.layer):
        with torch.no_grad():
            attended = block.attention.output.dense(block.attention.self(states[None])[0][0])
            fed = block.output.dense(block.intermediate(states))
        assert torch.allclose(attention_output(w, layer, states, causal=False), attended, atol=1e-4)
        active = torch.nn.functional.gelu(states @ w.W_in(layer).T)
        assert torch.allclose(active @ w.W_out(layer), fed, atol=1e-4)


def test_they_are_views_of_the_models_own_numbers():
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=11, n_positions=8, n_embd=6, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    )
    model.requires_grad_(False)
    fields = name_parameters(model)
    layer, block = fields["layers"][0], model.transformer.h[0]
    block.attn.c_attn.weight[2, 5] = 7.0  # W_Q: column 5 is head 1's third
    block.attn.c_attn.weight[1, 6 + 0] = 8.0  # W_K
    block.attn.c_proj.weight[4, 3] = 9.0  # W_O: row 4 is head 1's second
    block.mlp.c_fc.weight[3, 20] = 10.0  # W_in: neuron 20
    assert layer.W_Q[1, 2, 2] == 7.0
    assert layer.W_K[0, 1, 0] == 8.0
    assert layer.W_O[1, 1, 3] == 9.0
    assert layer.W_in[20, 3] == 10.0
    assert fields["W_E"].data_ptr() == model.transformer.wte.weight.data_ptr()


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


def test_folded_norms_compute_what_the_norm_and_the_map_compute(gpt2):
    w, block = load_weights("gpt2-reviews", fold=True), gpt2.model.transformer.h[2]
    x = torch.randn(w.d_model, generator=torch.Generator().manual_seed(0))
    plain = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
    expected = (block.ln_2(x) - block.ln_2.bias) @ block.mlp.c_fc.weight
    assert torch.allclose(w.W_in(2) @ plain, expected, atol=1e-4)
    expected = (block.ln_1(x) - block.ln_1.bias) @ block.attn.c_attn.weight
    assert torch.allclose(plain @ w.W_Q(2, 0), expected[: w.d_head], atol=1e-4)
    assert torch.allclose(w.W_out(2), block.mlp.c_proj.weight * gpt2.model.transformer.ln_f.weight)
    assert w.fold_layer_norms() is w
    assert w.W_U.shape == (w.d_model, 8192) and w.W_U.data_ptr() == w.W_E.data_ptr()
    assert "folded in" in repr(w)


def test_a_classifier_and_token_counts_come_along():
    sentiment = load_weights("gpt2-sentiment")
    assert sentiment.classifier.shape == (2, sentiment.d_model)
    assert load_weights("gpt2-reviews").classifier is None
    assert sentiment.counts.shape == (8192,)
    assert sentiment.counts[sentiment.tokenizer.convert_tokens_to_ids("Ġthe")] > 500_000
    assert load_weights("bert-sentiment").counts is None


def test_a_hub_id_takes_the_same_way(tmp_path, monkeypatch):
    """A folder as ``save_pretrained`` writes it, no counts beside it, another shape."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8192, n_positions=16, n_embd=24, n_layer=3, n_head=4))
    model.save_pretrained(tmp_path)
    load_weights("gpt2-reviews").tokenizer.save_pretrained(tmp_path)
    w = load_weights(tmp_path)
    assert (w.n_layers, w.n_heads, w.d_head, w.d_mlp, w.counts) == (3, 4, 6, 96, None)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match="is a 'vit' model"):
        load_weights("vit-digits")
    with pytest.raises(ModelNotFoundError, match="gpt2-nowhere"):
        load_weights("gpt2-nowhere")
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config.tie_word_embeddings = False
    BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="are not tied"):
        load_weights(tmp_path)
    w = load_weights("gpt2-reviews-b")
    with pytest.raises(ValueError, match="layer=4: must be between 0 and 3"):
        w.W_in(4)
    with pytest.raises(ValueError, match="head=-1"):
        w.W_OV(0, -1)
    with pytest.raises(ValueError, match="kind='W_OV'"):
        w.vectors("W_OV", 0)
