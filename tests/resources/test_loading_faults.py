"""Checkpoints with faults: each is refused in one line that says what to do, and what hubs commonly store loads."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest
import torch
import transformers
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from helpers.adapters import ImageAdapter, load_adapter
from helpers.resources import ModelNotFoundError, load_model, load_pretrained, resolve
from helpers.stitching import load_body, load_classifier
from tests.adapters.families import make_model

BERT = "BertForSequenceClassification"


def change_config(folder, **settings):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = {key: weight.contiguous() for key, weight in change(load_file(path)).items()}
    save_file(weights, path, metadata={"format": "pt"})


def refusal(folder, **options):
    """Return the message with which a model is refused, which has at most three lines."""
    with pytest.raises((ModelNotFoundError, ValueError)) as caught:
        load_adapter(folder, **options)
    message = str(caught.value).replace(str(folder), "FOLDER")
    assert "\n" not in message and len(message) < 400
    return message


@pytest.mark.parametrize("files", [["config.json"], ["config.json", "tokenizer_config.json"]])
@pytest.mark.parametrize("model_class", [BERT, "GPT2LMHeadModel", "LlamaForCausalLM"])
def test_the_hub_is_asked_for_a_tokenizer_that_the_cache_has_in_part(tmp_path, monkeypatch, model_class, files):
    folder = make_model(model_class, tmp_path / "whole")
    snapshot = tmp_path / "models--someone--model" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--model" / "refs").mkdir()
    (tmp_path / "models--someone--model" / "refs" / "main").write_text("a" * 40)
    for file in files:
        (snapshot / file).write_bytes((folder / file).read_bytes())
    asked = []

    def refuse(self, name, timeout):
        asked.append(name)
        raise HfHubHTTPError("gone", response=httpx.Response(404, request=httpx.Request("GET", "https://hub")))

    monkeypatch.setattr(HfApi, "model_info", refuse)
    with pytest.raises(ModelNotFoundError, match="not complete in the local cache"):
        load_pretrained(AutoTokenizer, "someone/model", cache_dir=tmp_path)
    assert asked == ["someone/model"]
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (snapshot / file).write_bytes((folder / file).read_bytes())
    assert len(load_pretrained(AutoTokenizer, "someone/model", cache_dir=tmp_path)) == 8192
    assert len(asked) == 1, "a complete copy in the cache is used as it is"


def test_threads_that_load_at_once_do_not_disturb_each_other(tmp_path):
    folders = [make_model("GPT2LMHeadModel", tmp_path / "gpt2"), make_model(BERT, tmp_path / "bert")]
    verbosity, hook = transformers_logging.get_verbosity(), transformers_logging.set_tqdm_hook(None)

    def dtypes(k):
        adapter = load_adapter(folders[k % 2], dtype=(torch.float32, torch.float64)[k // 2 % 2])
        return {weight.dtype for weight in adapter.model.parameters()}

    try:
        with ThreadPoolExecutor(8) as threads:
            expected = [{torch.float32}] * 2 + [{torch.float64}] * 2
            assert list(threads.map(dtypes, range(16))) == expected * 4
        assert transformers_logging.get_verbosity() == verbosity
        assert torch.get_default_dtype() == torch.float32
        assert transformers_logging.set_tqdm_hook(None) is None
    finally:
        transformers_logging.set_tqdm_hook(hook)


DROPPED = [
    (BERT, {}, {"num_hidden_layers": 1}, "bert.encoder.layer.1."),
    ("ViTForImageClassification", {}, {"qkv_bias": False}, "vit.layers.0.attention.k_proj.bias"),
    (
        "BeitForImageClassification",
        {"use_relative_position_bias": True},
        {"use_relative_position_bias": False},
        "beit.",
    ),
    ("SwinForImageClassification", {"use_absolute_embeddings": True}, {"use_absolute_embeddings": False}, "position_e"),
    ("ModernBertForSequenceClassification", {"classifier_bias": True}, {"classifier_bias": False}, "head.dense.bias"),
    ("ModernBertForMaskedLM", {}, {"decoder_bias": False}, "decoder.bias"),
    ("DebertaV2ForSequenceClassification", {"conv_kernel_size": 3}, {"conv_kernel_size": 0}, "deberta.encoder.conv."),
    ("DebertaV2ForSequenceClassification", {"type_vocab_size": 2}, {"type_vocab_size": 0}, "token_type_embeddings"),
    ("LlamaForCausalLM", {"attention_bias": True}, {"attention_bias": False}, "self_attn.k_proj.bias"),
    ("Qwen3ForCausalLM", {"attention_bias": True}, {"attention_bias": False}, "self_attn.k_proj.bias"),
    ("GPTNeoXForCausalLM", {}, {"attention_bias": False}, "attention.dense.bias"),
    ("OPTForCausalLM", {}, {"enable_bias": False}, "model.decoder.layers.0.fc1.bias"),
]


@pytest.mark.parametrize(("model_class", "options", "change", "key"), DROPPED)
def test_weights_that_the_configuration_leaves_out_are_an_error(tmp_path, model_class, options, change, key):
    folder = make_model(model_class, tmp_path, **options)
    change_config(folder, **change)
    message = refusal(folder)
    assert "more layers or weights than its config.json says" in message and key in message


COMMON = [
    (
        "BertForMaskedLM",
        "bert.",
        ["bert.embeddings.position_ids", "bert.pooler.dense.weight", "cls.seq_relationship.weight", "classifier.bias"],
    ),
    (BERT, "bert.", ["cls.predictions.bias", "cls.predictions.transform.dense.weight", "cls.seq_relationship.bias"]),
    (
        "RobertaForSequenceClassification",
        "roberta.",
        ["lm_head.dense.weight", "lm_head.bias", "roberta.pooler.dense.bias"],
    ),
    ("AlbertForMaskedLM", "albert.", ["albert.pooler.weight", "sop_classifier.classifier.weight"]),
    ("ElectraForSequenceClassification", "electra.", ["discriminator_predictions.dense.weight"]),
    ("ViTForImageClassification", "vit.", ["vit.pooler.dense.weight", "vit.embeddings.mask_token"]),
    (
        "CLIPForImageClassification",
        "none.",
        ["text_model.final_layer_norm.bias", "logit_scale", "visual_projection.weight"],
    ),
    (
        "GPT2LMHeadModel",
        "transformer.",
        ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias", "score.weight"],
    ),
    ("GPT2ForSequenceClassification", "transformer.", ["transformer.h.1.attn.masked_bias", "lm_head.weight"]),
    (
        "GPTNeoForCausalLM",
        "transformer.",
        ["transformer.h.0.attn.attention.bias", "transformer.h.0.attn.attention.masked_bias"],
    ),
    ("LlamaForSequenceClassification", "model.", ["model.layers.0.self_attn.rotary_emb.inv_freq", "lm_head.weight"]),
]


@pytest.mark.parametrize("has_prefix", [True, False])
@pytest.mark.parametrize(("model_class", "prefix", "keys"), COMMON)
def test_weights_of_other_heads_may_be_left_out(tmp_path, model_class, prefix, keys, has_prefix):
    folder = make_model(model_class, tmp_path)

    def add(weights):
        weights = weights | {key: torch.ones(2) for key in keys}
        return weights if has_prefix else {key.removeprefix(prefix): weight for key, weight in weights.items()}

    change_weights(folder, add)
    load_adapter(folder)


def test_a_part_that_the_body_does_not_have_is_an_error(tmp_path):
    folder = make_model("ElectraForSequenceClassification", tmp_path, embedding_size=32)
    change_weights(folder, lambda weights: weights | {"electra.embeddings_project.weight": torch.eye(32)})
    assert "such as electra.embeddings_project.weight; correct" in refusal(folder)


@pytest.mark.parametrize("prefix", ["transformer.", ""])
@pytest.mark.parametrize("load", [load_adapter, load_body])
def test_a_layer_that_is_left_out_is_found_with_and_without_a_prefix(tmp_path, prefix, load):
    folder = make_model("GPT2LMHeadModel", tmp_path)
    change_weights(
        folder,
        lambda weights: {
            key.replace("transformer.", prefix): weight
            for key, weight in (weights | {"transformer.h.2.ln_1.bias": torch.ones(2)}).items()
        },
    )
    with pytest.raises(
        ModelNotFoundError, match=r"more layers (or weights )?than its config.json says.*h\.2\.ln_1\.bias"
    ):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_numbers_that_need_scales_are_refused(tmp_path, dtype):
    folder = make_model(BERT, tmp_path)
    change_weights(folder, lambda weights: {key: weight.to(dtype) for key, weight in weights.items()})
    assert "its weights are quantized (bert.embeddings" in refusal(folder)
    change_weights(folder, lambda weights: {key: weight.to(torch.bfloat16) for key, weight in weights.items()})
    load_adapter(folder)


def test_a_quantized_checkpoint_is_refused_before_its_weights_are_read(tmp_path):
    folder = make_model(BERT, tmp_path)
    change_config(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    (folder / "model.safetensors").unlink()
    assert "quantized (config.json has a quantization_config)" in refusal(folder)


@pytest.mark.parametrize("stored", [0, 2])
@pytest.mark.parametrize("model_class", [BERT, "GPT2LMHeadModel"])
def test_a_model_without_layers_is_an_error(tmp_path, model_class, stored):
    folder = make_model(model_class, tmp_path)
    if not stored:
        change_weights(folder, lambda weights: {key: each for key, each in weights.items() if ".0." not in key})
    change_config(folder, num_hidden_layers=0, n_layer=0)
    assert "num_hidden_layers=0, wanted at least 1" in refusal(folder)


def test_many_missing_weights_are_counted(tmp_path):
    folder = make_model(BERT, tmp_path)
    change_weights(folder, lambda weights: {key: each for key, each in weights.items() if "layer.1." not in key})
    message = refusal(folder)
    assert message.startswith(f"'FOLDER' is no complete {BERT}: it has no weights for bert.encoder.layer.1.")
    assert message.endswith(" and 13 more") and message.count("bert.") == 3


def test_a_file_that_is_missing_is_named(tmp_path):
    folder = make_model("ViTForImageClassification", tmp_path / "vit")
    (folder / "preprocessor_config.json").unlink()
    assert refusal(folder).endswith("preprocessor_config.json is missing; copy it from the base model")
    (folder / "model.safetensors").unlink()
    assert refusal(folder).endswith("model.safetensors is missing; copy it from the base model")
    (folder / "pytorch_model.bin").touch()
    assert "only safetensors are read" in refusal(folder)
    (folder / "config.json").unlink()
    assert refusal(folder).endswith("config.json is missing")
    folder = make_model("LlamaForCausalLM", tmp_path / "llama")
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json (or vocab.txt" in refusal(folder)


def test_the_hub_names_the_file_that_it_lacks(monkeypatch):
    files = [SimpleNamespace(rfilename=name) for name in ("config.json", "pytorch_model.bin")]
    monkeypatch.setattr(HfApi, "model_info", lambda self, name, timeout: SimpleNamespace(siblings=files))
    monkeypatch.setattr(transformers.BertForMaskedLM, "from_pretrained", Mock(side_effect=OSError("no file")))
    with pytest.raises(ModelNotFoundError, match=r"'someone/model' from the hub: .*only safetensors are read"):
        load_pretrained(transformers.BertForMaskedLM, "someone/model")


def test_another_architecture_is_named_with_the_families(tmp_path):
    sizes = {"d_model": 12, "d_ff": 12, "num_layers": 1, "num_heads": 2, "vocab_size": 50}
    cls = transformers.T5ForConditionalGeneration
    cls(cls.config_class(**sizes)).save_pretrained(tmp_path)
    message = refusal(tmp_path)
    assert "is a 't5' model with head 'T5ForConditionalGeneration', an encoder-decoder, wanted one of vit, " in message
    assert "gemma3_text; walk_class walks any function from a tensor" in message
    assert "BertFor" not in message


def test_another_head_of_a_family_is_named_with_its_heads(tmp_path):
    folder = make_model(BERT, tmp_path)
    change_config(folder, architectures=["BertForQuestionAnswering"])
    message = refusal(folder)
    assert (
        "is a 'bert' model with head 'BertForQuestionAnswering', wanted 'bert' with one of BertForSequence" in message
    )
    assert "vit" not in message


def test_a_model_of_another_type_is_no_classifier_to_stitch():
    with pytest.raises(ValueError, match=r"is a 'bert' model, wanted 'gpt2' \(GPT2ForSequenceClassification\)$"):
        load_classifier("bert-sentiment")


@pytest.mark.parametrize("device", ["cuda:99", "mps:99", "foo", "gpu", "meta", "xpu", "cpu:1", ["cpu"]])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match="device="):
        load_model(transformers.ViTForImageClassification, "vit-digits", device)


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=r"device='cuda': this machine has no such device; it has cpu"):
        load_adapter("vit-digits", device="cuda")


def test_mps_has_no_double_precision(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match=r"does not support torch\.float64"):
        load_adapter("vit-digits", device="mps", dtype=torch.float64)


def test_a_bundled_name_may_be_a_path(tmp_path):
    assert resolve(type(tmp_path)("vit-digits")) == resolve("vit-digits")


@pytest.mark.parametrize("model_class", ["CLIPModel", "SiglipModel"])
def test_prompts_that_cannot_be_used_are_refused_before_loading(tmp_path, model_class):
    folder = make_model(model_class, tmp_path)
    (folder / "model.safetensors").unlink()
    assert "such as load_adapter('FOLDER', prompts=['a cat', 'a dog'])" in refusal(folder)
    for prompts in ("a cat", [], [7, 8], [" ", "a dog"]):
        assert "wanted a list of texts" in refusal(folder, prompts=prompts)
        with pytest.raises(ValueError, match="wanted a list of texts"):
            ImageAdapter.load(folder, prompts=prompts)
    expected = "one class has probability 1" if model_class == "CLIPModel" else "model.safetensors is missing"
    assert expected in refusal(folder, prompts=["a cat"])
