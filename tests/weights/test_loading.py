"""Weights by bundled name and by folder, with what lies beside the model."""

import shutil

import pytest
from transformers import ElectraConfig, ElectraForMaskedLM, GPT2Config, GPT2LMHeadModel

from helpers.resources import MODELS, ModelNotFoundError
from helpers.weights import load_weights


def test_a_classifier_and_token_counts_come_along():
    sentiment = load_weights("gpt2-sentiment")
    assert sentiment.classifier.shape == (2, sentiment.d_model)
    assert load_weights("gpt2-reviews").classifier is None
    assert sentiment.counts.shape == (8192,)
    assert sentiment.counts[sentiment.tokenizer.convert_tokens_to_ids("Ġthe")] > 500_000
    assert load_weights("bert-sentiment").counts is None


def test_a_folder_is_loaded(tmp_path):
    """A folder as ``save_pretrained`` writes it, no counts beside it, another shape."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8192, n_positions=16, n_embd=24, n_layer=3, n_head=4))
    model.save_pretrained(tmp_path)
    load_weights("gpt2-reviews").tokenizer.save_pretrained(tmp_path)
    w = load_weights(tmp_path)
    assert (w.n_layers, w.n_heads, w.d_head, w.d_mlp, w.counts) == (3, 4, 6, 96, None)


def test_what_cannot_be_read_is_named(tmp_path):
    ElectraForMaskedLM(ElectraConfig(num_hidden_layers=1)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a 'electra' model, wanted one of gpt2, gpt_neo"):
        load_weights(tmp_path)
    with pytest.raises(ValueError, match="device='tpu': is no device"):
        load_weights("gpt2-reviews", device="tpu")
    with pytest.raises(ModelNotFoundError, match="gpt2-nowhere"):
        load_weights("gpt2-nowhere")


def test_damaged_and_missing_files_are_named(tmp_path):
    folder = shutil.copytree(MODELS / "gpt2-reviews", tmp_path / "copy")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ModelNotFoundError, match="cannot load the folder"):
        load_weights(folder)
    file.rename(folder / "pytorch_model.bin")
    with pytest.raises(
        ModelNotFoundError, match=r"its weights are in pytorch_model\.bin, but only safetensors are read"
    ):
        load_weights(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelNotFoundError, match=r"cannot load the folder .*model\.safetensors"):
        load_weights(folder)


def test_what_is_read_may_be_edited_and_the_file_stays(tmp_path):
    w = load_weights("gpt2-reviews")
    w.layers[2].W_out[7] = 0
    assert w.W_out(2)[7].abs().max() == 0 < load_weights("gpt2-reviews").W_out(2)[7].abs().max()
