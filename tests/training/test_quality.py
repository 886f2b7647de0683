"""Quality figures, on cases whose answer is known."""

import numpy as np
import pytest

from helpers.training import quality


def test_a_vector_that_promotes_one_topic_is_coherent_and_a_random_one_is_not():
    rng = np.random.default_rng(0)
    topic = np.repeat(np.arange(8), 25)
    judges = np.eye(8)[topic] + 0.05 * rng.standard_normal((200, 8))
    rows = np.eye(8)[topic] @ rng.standard_normal((8, 16)) + 0.1 * rng.standard_normal((200, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    towards_topic_3 = rows[topic == 3].mean(0, keepdims=True)
    assert quality.coherence(towards_topic_3, rows, judges)[0] > 0.9
    shuffled = rng.permutation(judges)
    assert abs(quality.coherence(towards_topic_3, rows, shuffled)[0]) < 0.4


def test_cleaned_rows_do_not_follow_frequency():
    rng = np.random.default_rng(1)
    counts = rng.integers(200, 10_000, size=300)
    embeddings = rng.standard_normal((300, 12)) + np.log(counts)[:, None]
    rows = quality.clean_rows(embeddings, counts)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(300))
    before = abs(np.corrcoef(embeddings.sum(1), np.log(counts))[0, 1])
    after = max(abs(np.corrcoef(column, np.log(counts))[0, 1]) for column in rows.T)
    assert after < 0.2 < 0.6 < before


def test_readable_tokens_are_words_and_not_rare():
    tokens, counts = ["Ġfilm", "ing", "A", "Ġ1999", "Ġrare", "<|endoftext|>"], np.array([900, 900, 900, 900, 3, 900])
    assert quality.readable_tokens(tokens, counts).tolist() == [True, True, False, False, False, False]


def test_our_sentences_load():
    sentences = quality.load_sentences()
    assert len(sentences.texts) == 200
    assert int(sentences.labels.sum()) == 100
