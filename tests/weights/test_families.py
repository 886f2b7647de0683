"""Parameters under the field's names are the ones the model computes with, in every family."""

import torch
from transformers import BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from helpers.resources import MODELS
from helpers.weights import load_weights
from helpers.weights.gpt2 import name_parameters


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


def test_gpt2s_names_compute_what_its_modules_compute():
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
