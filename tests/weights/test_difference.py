"""Differences: what was changed and nothing else, as products where a head is one, and read like any weights."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

from helpers.vocabulary import read_parameter
from helpers.weights import difference, load_weights, merge_lora, name_weights
from tests.adapters.families import make_model


@pytest.fixture(scope="module")
def tuned():
    return difference(load_weights("gpt2-sentiment", fold=True), load_weights("gpt2-reviews", fold=True))


def test_only_what_was_finetuned_differs_and_a_heads_matrix_is_that_of_both(tuned):
    after, before = tuned.after, tuned.before
    assert [bool(tuned.W_out(layer).any()) for layer in range(4)] == [False, False, True, True]
    assert torch.equal(tuned.W_in(3), after.W_in(3) - before.W_in(3)) and torch.equal(tuned.b_in(1), torch.zeros(768))
    for head in ("W_OV", "W_QK"):
        dense = getattr(after, head)(3, 2).to_dense() - getattr(before, head)(3, 2).to_dense()
        assert torch.allclose(getattr(tuned, head)(3, 2).to_dense(), dense, atol=1e-5)
    assert tuned.W_OV(3, 2).left.shape == (192, 64)
    assert torch.equal(tuned.vectors("W_V", 3), after.vectors("W_V", 3) - before.vectors("W_V", 3))


def test_a_difference_is_read_and_tested_like_any_weights(tuned):
    table = read_parameter(tuned, "W_out", 3, int(tuned.W_out(3).norm(dim=1).argmax()), k=5)
    assert len(table.tokens) == 5 and table.p.shape == (5,) and "gpt2-sentiment minus gpt2-reviews" in table.note
    assert tuned.classifier is None and torch.equal(tuned.W_U, tuned.before.W_U)


def test_differences_fold_as_their_models_do(tuned):
    plain = difference(load_weights("gpt2-sentiment"), load_weights("gpt2-reviews"))
    assert torch.allclose(plain.fold_norms().W_Q(3, 1), tuned.W_Q(3, 1)) and plain.fold_norms().folded
    with pytest.raises(ValueError, match="norms folded in both or none"):
        difference(load_weights("gpt2-sentiment"), tuned.before)
    with pytest.raises(ValueError, match="wanted one shape"):
        difference(load_weights("gpt2-reviews-b"), load_weights("gpt2-reviews"))


def test_a_step_of_training_is_minus_the_gradient(tmp_path):
    model = GPT2LMHeadModel.from_pretrained(make_model("GPT2LMHeadModel", tmp_path))
    ids = torch.tensor([[5, 9, 200, 7]])
    model(input_ids=ids, labels=ids).loss.backward()
    stepped = {name: p.detach() - 0.5 * p.grad for name, p in model.named_parameters()}
    before = name_weights("model", model.config, model.state_dict())
    step = difference(name_weights("stepped", model.config, stepped), before)
    gradient = model.transformer.h[1].mlp.c_fc.weight.grad
    assert torch.allclose(step.W_in(1), -0.5 * gradient, atol=1e-7) and gradient.any()


def save_lora(folder):
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 192, generator=g), torch.randn(768, 4, generator=g)
    folder.mkdir()
    prefix = "base_model.model.transformer.h.2.mlp.c_fc"
    save_file({f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}, folder / "adapter_model.safetensors")
    settings = {"r": 4, "lora_alpha": 8, "fan_in_fan_out": True}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return (b @ a).T


def test_a_lora_is_a_difference_of_low_rank(tmp_path):
    product = save_lora(tmp_path / "lora")
    base = load_weights("gpt2-reviews")
    found = difference(merge_lora("gpt2-reviews", tmp_path / "lora"), base)
    assert torch.allclose(found.W_in(2), 2 * product, atol=1e-4) and not found.W_in(1).any()
    assert torch.linalg.matrix_rank(found.W_in(2), rtol=1e-4) == 4


def test_a_lora_of_another_model_is_named(tmp_path):
    save_lora(tmp_path / "lora")
    with pytest.raises(ValueError, match=r"changes transformer\.h\.2\.mlp\.c_fc\.weight, which .* does not have"):
        merge_lora("bert-reviews", tmp_path / "lora")
