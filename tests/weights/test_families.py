"""Every family: a layer rebuilt from the matrices that are read computes what the library's own model computes."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from helpers.resources import ModelNotFoundError
from helpers.weights import FAMILIES, certificate, load_weights, name_weights
from tests.adapters.families import make_model, save_tokenizer

MODELS = {  # family -> a model of it
    "gpt2": "GPT2LMHeadModel",
    "gpt_neo": "GPTNeoForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "opt": "OPTForCausalLM",
    "bert": "BertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "xlm-roberta": "XLMRobertaForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "vit": "ViTForImageClassification",
    "deit": "DeiTForImageClassification",
}
TEXTS = [kind for kind in MODELS if kind not in ("vit", "deit")]
POST_NORM = ("bert", "roberta", "xlm-roberta", "distilbert")


def randomise(folder, tokens=8192):
    """Change the norms and biases of a saved model, which start as ones and zeros, and keep its first items only."""
    generator, path = torch.Generator().manual_seed(1), folder / "model.safetensors"
    tensors = load_file(path)
    for tensor in tensors.values():
        if tensor.ndim == 1:
            tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
    kept = {name: x[:tokens].clone() if len(x) == 8192 else x for name, x in tensors.items()}
    save_file(kept, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    changes = {"vocab_size": tokens} if config.get("vocab_size") == 8192 else {}
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small models of all families with random parameters, few items."""
    return {k: randomise(make_model(name, tmp_path_factory.mktemp(k)), 300) for k, name in MODELS.items()}


def test_every_family_is_tested():
    assert list(MODELS) == list(FAMILIES)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_rebuilt_from_what_is_read_is_the_model(folders, kind):
    plain = load_weights(folders[kind])
    for w in (plain, plain.fold_norms()) if kind not in POST_NORM else (plain,):
        found = certificate(w, seed=3)
        assert found.largest < 1e-6, repr(found)
        assert list(found.table) == ["attention pattern", "attention output", "MLP output", "logits"]
        assert len(found.table) == w.n_layers
    if kind in POST_NORM:
        with pytest.raises(ValueError, match="fold=True"):
            plain.fold_norms()


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind not in POST_NORM])
@torch.no_grad()
def test_a_token_enters_as_its_embedding_and_its_position(folders, kind):
    w, ids = load_weights(folders[kind]), torch.tensor([[7, 5, 290, 11]])
    model = getattr(transformers, MODELS[kind]).from_pretrained(folders[kind])
    entered = model(input_ids=ids, output_hidden_states=True).hidden_states[0][0]
    positions = 0 if w.W_pos is None else w.W_pos[:4]
    assert torch.allclose(w.W_E[ids[0]] + positions, entered, atol=1e-5)
    assert (w.W_pos is None) == (w.rotary is not None)


@pytest.mark.parametrize("kind", [kind for kind in MODELS if FAMILIES[kind].rotary])
def test_a_rotary_head_reads_pairs_at_every_distance(folders, kind):
    w, (m, n) = load_weights(folders[kind], fold=True), (9, 4)
    x, y = torch.randn(2, w.d_model, generator=torch.Generator().manual_seed(0))
    for layer in range(w.n_layers):
        query, key = w.rotary((x @ w.W_Q(layer, 3))[None], layer, m), w.rotary((y @ w.W_K(layer, 3))[None], layer, n)
        score = x @ (w.W_QK(layer, 3, offset=m - n) @ y)
        assert float(score) == pytest.approx(float(query @ key.T), rel=1e-4, abs=1e-4)
        assert torch.allclose(w.W_QK(layer, 3).to_dense(), w.W_Q(layer, 3) @ w.W_K(layer, 3).T, atol=1e-5)
        assert float(score) != pytest.approx(float(x @ (w.W_QK(layer, 3, offset=n - m) @ y)), rel=1e-2)


def test_heads_that_share_a_key_list_it_once(folders):
    w = load_weights(folders["qwen3"], fold=True)
    assert (w.n_heads, w.n_kv_heads, w.d_head) == (4, 2, 8)
    assert torch.equal(w.W_K(1, 2), w.W_K(1, 3)) and not torch.equal(w.W_K(1, 1), w.W_K(1, 2))
    assert len(w.vectors("W_K", 1)) == len(w.vectors("W_V", 1)) == 16 and len(w.vectors("W_Q", 1)) == 32
    values, outputs = w.partners(("W_V", "W_O"), 1)
    for head in range(4):
        assert torch.equal(values[head * 8 + 5], w.W_V(1, head)[:, 5])
        assert torch.equal(outputs[head * 8 + 5], w.W_O(1, head)[5])
    assert w.kinds == ("W_in", "W_gate", "W_out", "W_Q", "W_K", "W_V", "W_O")
    assert "4 heads over 2 of keys and values" in repr(w)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GPT2Model", {}),
        ("GPT2LMHeadModel", {"tie_word_embeddings": False}),
        ("GPT2LMHeadModel", {"scale_attn_by_inverse_layer_idx": True}),
        ("GPT2DoubleHeadsModel", {}),
        ("GPT2ForTokenClassification", {}),
        ("GPT2ForSequenceClassification", {}),
        ("GPT2ForSequenceClassification", {"state_pooling": "mean"}),
        ("GPTNeoForCausalLM", {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "window_size": 4}),
        ("MistralForCausalLM", {"sliding_window": 3, "num_key_value_heads": 2}),
        ("BertModel", {}),
        ("BertForPreTraining", {}),
        ("BertForMaskedLM", {"tie_word_embeddings": False}),
        ("BertForTokenClassification", {}),
        ("OPTForSequenceClassification", {}),
        ("LlamaForSequenceClassification", {}),
        ("LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 1}),
        ("LlamaForQuestionAnswering", {}),
        (
            "LlamaForCausalLM",
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        ),
        ("BertLMHeadModel", {"is_decoder": True}),
        ("Gemma3ForCausalLM", {"use_bidirectional_attention": True, "num_key_value_heads": 2}),
        ("GPTNeoXForCausalLM", {"use_parallel_residual": False}),
        ("GemmaModel", {"num_key_value_heads": 1}),
        ("ViTModel", {}),
        ("DeiTForImageClassificationWithTeacher", {}),
    ],
)
def test_every_head_of_a_body_is_read(tmp_path, name, options):
    settings = {"vocab_size": 200, "pad_token_id": 0, "image_size": 24, "patch_size": 8, "hidden_size": 32}
    settings |= {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "num_labels": 4}
    settings |= {"ffn_dim": 48, "word_embed_proj_dim": 32, "head_dim": 8, "bos_token_id": 0, "eos_token_id": 0}
    cls = getattr(transformers, name)
    torch.manual_seed(0)
    cls(cls.config_class(**(settings | options))).save_pretrained(tmp_path)
    save_tokenizer("gpt2-reviews", tmp_path)
    w = load_weights(randomise(tmp_path))
    for weights in (w, w.fold_norms()) if w.layers[0].attention_norm else (w,):
        assert certificate(weights).largest < 1e-6


@pytest.mark.parametrize("name", ["RobertaModel", "ViTModel"])
def test_a_body_without_a_pooler_or_the_name_of_its_class_is_read(tmp_path, name):
    settings = {"image_size": 24, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2}
    cls, settings = getattr(transformers, name), settings | {"num_attention_heads": 4, "intermediate_size": 48}
    cls(cls.config_class(**settings), add_pooling_layer=False).save_pretrained(tmp_path)
    save_tokenizer("gpt2-reviews", tmp_path)
    change_config(tmp_path, architectures=None)
    assert certificate(load_weights(tmp_path)).largest < 1e-6


def test_an_untied_model_without_its_head_has_no_unembedding(tmp_path):
    w = load_weights(make_model("LlamaForSequenceClassification", tmp_path))
    assert w.classifier.shape == (4, 32) and w.d_vocab == 8192
    with pytest.raises(ValueError, match=r"W_U: .* has no unembedding"):
        _ = w.W_U


def test_a_certificate_fails_if_what_is_read_is_not_the_model(folders):
    for kind, edited in (("W_Q", "attention pattern"), ("W_O", "attention output"), ("W_gate", "MLP output")):
        w = load_weights(folders["llama"])
        getattr(w.layers[1], kind).mul_(1.01)
        table = certificate(w).table
        assert table[edited][1] > 1e-4 and table[edited][0] < 1e-6
    w = load_weights(folders["gpt2"])
    w.embedding.mul_(1.01)
    assert certificate(w).table["logits"].min() > 1e-3
    shown = certificate(w)._repr_html_()
    assert "largest relative error" in shown and "not folded" in shown


def test_half_precision_in_several_files_is_read_in_its_own_type(folders, tmp_path):
    model = transformers.LlamaForCausalLM.from_pretrained(folders["llama"], dtype=torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size="30KB")
    save_tokenizer("gpt2-reviews", tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    w = load_weights(tmp_path, fold=True)
    assert w.layers[1].W_K.dtype == w.embedding.dtype == torch.bfloat16
    assert {w.W_K(1, 0).dtype, w.W_E.dtype, w.W_U.dtype, w.b_U.dtype, w.b_O(0).dtype} == {torch.float32}
    assert torch.equal(w.W_E, model.model.embed_tokens.weight.float())
    assert certificate(w).largest < 1e-6


def test_names_of_the_oldest_files_are_read(folders, tmp_path):
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(folders["bert"] / "model.safetensors").items()
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((folders["bert"] / file).read_bytes())
    expected = load_weights(folders["bert"]).layers[1].mlp_post_norm.scale
    assert torch.equal(load_weights(tmp_path).layers[1].mlp_post_norm.scale, expected)


def test_what_is_missing_or_not_supported_is_named(folders, tmp_path):
    make_model("OPTForCausalLM", tmp_path, do_layer_norm_before=False)
    with pytest.raises(ValueError, match="has a norm after each layer and projected embeddings"):
        load_weights(tmp_path)
    folder = randomise(make_model("GPT2LMHeadModel", tmp_path / "gpt2"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match=r"is no complete gpt2: it has no h\.1\.mlp\.c_proj\.weight"):
        load_weights(folder)
    for option, message in (
        ({"word_embed_proj_dim": 16}, "projected embeddings"),
        ({"_remove_final_layer_norm": True}, "no final norm"),
        ({"layer_norm_elementwise_affine": False}, "norms without a scale"),
    ):
        with pytest.raises(ValueError, match=f"has {message}, which is not supported"):
            name_weights("mine", transformers.OPTConfig(**option), {})
    with pytest.raises(ValueError, match="name='mine': is a 'electra' model, wanted one of gpt2"):
        name_weights("mine", transformers.ElectraConfig(), {})


def test_a_stored_head_is_not_tied(tmp_path):
    """As in the library, which ties only what is not stored twice with different values."""
    folder = randomise(make_model("LlamaForCausalLM", tmp_path, tie_word_embeddings=False), 300)
    change_config(folder, tie_word_embeddings=True)
    w = load_weights(folder)
    assert torch.equal(w.W_U.T, load_file(folder / "model.safetensors")["lm_head.weight"])
    assert not torch.equal(w.W_U.T, w.W_E)
    assert certificate(w).largest < 1e-6


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 1}, r"has more layers than its config\.json says: layers\.1\."),
        ({"num_hidden_layers": 0}, "num_hidden_layers=0, wanted at least 1"),
        ({"num_attention_heads": 8, "head_dim": 16}, "all heads are 32 wide, wanted 8 times 16"),
        ({"head_dim": 12}, "all heads are 32 wide, wanted 4 times 12"),
        ({"quantization_config": {"quant_method": "fp8"}}, r"quantized \(config\.json has a quantization_config\)"),
    ],
)
def test_a_configuration_of_another_model_is_named(tmp_path, changes, message):
    folder = randomise(make_model("LlamaForCausalLM", tmp_path), 300)
    change_config(folder, **changes)
    with pytest.raises((ValueError, ModelNotFoundError), match=message):
        load_weights(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_quantized_numbers_are_not_read(folders, dtype):
    config = transformers.AutoConfig.from_pretrained(folders["qwen3"])
    tensors = load_file(folders["qwen3"] / "model.safetensors")
    quantized = {name: x.to(dtype) if "proj" in name else x for name, x in tensors.items()}
    with pytest.raises(ValueError, match=f"name='mine': its weights are quantized .*{dtype}"):
        name_weights("mine", config, quantized)


def test_a_part_that_writes_nothing_is_certified(folders, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"].zero_()
    tensors["model.layers.1.self_attn.o_proj.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert certificate(load_weights(folder)).largest < 1e-6
    w = load_weights(folder)
    w.layers[0].W_out[3] = 1
    assert certificate(w).largest > 1
