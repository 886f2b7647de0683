"""Quality figures, on cases whose answer is known."""

import re

from data.training import quality
from helpers.weights import load_weights


def test_values_of_the_last_layer_are_coherent_to_the_models_own_embeddings():
    judges = load_weights("gpt2-reviews").W_E.double().numpy()
    lines = list(quality.report_coherence("gpt2-reviews", judges))
    assert [line.split(":")[0] for line in lines[3::4]] == [
        "gpt2-reviews, layer 3, word vectors",
        "gpt2-reviews, layer 3, centred",
    ]
    ratio, low, high = map(float, re.findall(r"-?[\d.]+", lines[7].split(":")[1]))
    assert 1.2 < low < ratio < high


def test_our_sentences_load():
    sentences = quality.load_sentences()
    assert len(sentences.texts) == 200
    assert int(sentences.labels.sum()) == 100
