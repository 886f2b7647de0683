"""Weights by bundled name and by folder, with what lies beside the model."""

import pytest
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from helpers.resources import ModelNotFoundError
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
    with pytest.raises(ValueError, match="is a 'vit' model"):
        load_weights("vit-digits")
    with pytest.raises(ModelNotFoundError, match="gpt2-nowhere"):
        load_weights("gpt2-nowhere")
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config.tie_word_embeddings = False
    BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="are not tied"):
        load_weights(tmp_path)
