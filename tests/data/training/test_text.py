"""Text for the language models: nothing of a test part reaches a training, and tokenizers do what they promise."""

import csv

import numpy as np
import pandas as pd
import pytest
import torch

from data.training import bert, text
from helpers.resources import MODELS

SENTENCES = [
    "The nurse said that she was late, and the doctor laughed.",
    "A film about friendship isn't always a good film!",
    "Was the ending sad? It was, but the music was lovely.",
] * 40


@pytest.fixture(scope="module")
def bert_tokenizer():
    return text.make_bert_tokenizer(SENTENCES)


@pytest.fixture(scope="module")
def gpt2_tokenizer():
    return text.make_gpt2_tokenizer(SENTENCES)


@pytest.fixture
def tables(monkeypatch):
    """Stand-ins for the public data sets, with copies of test texts among the training texts."""
    rows = {
        ("imdb", "train"): [("A fine film.", 1), ("Seen in the TEST part<br />twice!", 0), ("A fine film.", 1)],
        ("imdb", "unsupervised"): [("No label here", -1), ("seen in the test part twice", -1)],
        ("imdb", "test"): [("Seen in the test part, twice", 0)],
        ("rotten_tomatoes", "train"): [("seen in the test part twice .", 0), ("a fine line", 1)],
        ("rotten_tomatoes", "test"): [("another line", 1)],
    }
    monkeypatch.setattr(
        text, "read_table", lambda name, split: pd.DataFrame(rows[name, split], columns=["text", "label"])
    )


def test_no_review_of_a_test_part_is_trained_on(tables):
    reviews = text.load_reviews()
    assert sorted(reviews.train + reviews.held_out) == ["A fine film.", "No label here"]
    parts = text.load_sentiment("train")
    assert parts["imdb"].texts == ["A fine film.", "A fine film."]
    assert parts["rotten_tomatoes"].texts == ["a fine line"]
    assert parts["rotten_tomatoes"].labels.tolist() == [1]


def test_cleaning_keeps_the_text_and_copies_have_the_same_letters():
    assert text.clean("It’s <br /><br />good &amp; “short”…") == 'It\'s good & "short"...'
    assert text.letters_and_digits("It's GOOD") == text.letters_and_digits("its good<br />")


def test_the_bert_tokenizer_keeps_common_words_whole(bert_tokenizer):
    assert bert_tokenizer.tokenize("The NURSE said [MASK].") == ["the", "nurse", "said", "[MASK]", "."]
    ids = bert_tokenizer("nurse")["input_ids"]
    assert (ids[0], ids[-1]) == (bert_tokenizer.cls_token_id, bert_tokenizer.sep_token_id)
    assert len(set(bert_tokenizer.all_special_ids)) == 5


def test_the_gpt2_tokenizer_gives_plain_text_back(gpt2_tokenizer):
    sentence = SENTENCES[1]
    assert gpt2_tokenizer.decode(gpt2_tokenizer(sentence)["input_ids"]) == sentence
    assert gpt2_tokenizer.decode(gpt2_tokenizer("lóvely")["input_ids"]) == "lovely"


def test_batches_begin_where_sentences_do_and_end_with_sep(bert_tokenizer, tmp_path):
    stream = text.token_stream(bert_tokenizer, SENTENCES, tmp_path / "s.npy", bert_tokenizer.sep_token_id)
    assert np.array_equal(stream, text.token_stream(None, [], tmp_path / "s.npy")), "the cache is read"
    corpus = bert.make_corpus(stream, bert_tokenizer)
    openers = {bert_tokenizer(s)["input_ids"][1] for s in (*SENTENCES[:3], "It was")}
    for length in bert.LENGTHS:
        batch = bert.make_batch(corpus, bert_tokenizer, length, torch.Generator().manual_seed(0))
        assert batch.shape == (bert.BATCH_TOKENS // length, length)
        assert (batch[:, 0] == bert_tokenizer.cls_token_id).all()
        assert set(batch[:, 1].tolist()) <= openers
        assert ((batch == bert_tokenizer.sep_token_id).sum(1) == 1).all()
    singles = bert.make_batch(corpus, bert_tokenizer, bert.LENGTHS[0], torch.Generator().manual_seed(1))
    stops = torch.isin(singles, corpus.end_tokens.long()).sum(1)
    assert stops.max() == 1


def test_masking_hides_words_and_never_special_tokens(bert_tokenizer, tmp_path):
    stream = text.token_stream(bert_tokenizer, SENTENCES, tmp_path / "s.npy", bert_tokenizer.sep_token_id)
    g = torch.Generator().manual_seed(0)
    batch = bert.make_batch(bert.make_corpus(stream, bert_tokenizer), bert_tokenizer, 64, g)
    batch = batch.repeat(20, 1)
    inputs, chosen = bert.mask_tokens(batch, bert_tokenizer, g)
    special = torch.isin(batch, torch.tensor(bert_tokenizer.all_special_ids))
    assert not (chosen & special).any()
    assert torch.equal(inputs[~chosen], batch[~chosen])
    words = int((~special).sum())
    assert int(chosen.sum()) / words == pytest.approx(0.15, abs=0.01)
    hidden = (inputs == bert_tokenizer.mask_token_id) & chosen
    assert int(hidden.sum()) / int(chosen.sum()) == pytest.approx(0.8, abs=0.03)


def test_words_of_like_neighbours_get_like_vectors():
    rng = np.random.default_rng(0)  # two topics of four words each, in turns
    stream = np.concatenate([rng.integers(4, size=100) + 4 * (turn % 2) for turn in range(60)])
    vectors = bert.word_vectors(stream, 8, 3)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors.std() == pytest.approx(0.05, rel=1e-3)
    assert unit[0] @ unit[1] > 0.9 > 0.6 > unit[0] @ unit[4]


def test_our_own_sentences():
    rows = list(csv.DictReader((MODELS.parent / "sentences.csv").open()))
    reviews = [row for row in rows if row["kind"] == "review"]
    occupations = [row for row in rows if row["kind"] == "occupation"]
    assert len(reviews) == 200
    assert sum(row["label"] == "1" for row in reviews) == 100
    assert len(occupations) == 60
    assert len({row["text"] for row in rows}) == 260
    for row in occupations:
        assert row["text"].count("[MASK]") == 1
        assert f" {row['occupation']} " in row["text"].lower()


def test_a_tokenizer_is_made_once(tmp_path, bert_tokenizer):
    calls = []

    def make(texts):
        calls.append(texts)
        return bert_tokenizer

    for _ in range(2):
        tokenizer = text.load_or_make_tokenizer(type(bert_tokenizer), make, tmp_path / "tokenizer", SENTENCES)
    assert len(calls) == 1
    assert tokenizer.tokenize("The nurse") == ["the", "nurse"]
