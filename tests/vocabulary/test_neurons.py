"""Searches of all neurons, and the coherence of what they read as."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.vocabulary import (
    NeuronIndex,
    Reading,
    coherence,
    embedding_space,
    pair_coherence,
    search_neurons,
    top_pairs,
    top_tokens,
)
from helpers.weights import FactoredMatrix, load_weights


def test_a_neuron_that_is_a_word_is_found_first(w):
    space = embedding_space(w)
    table = search_neurons(w, "funny", w.n_layers * w.d_mlp)
    values = torch.cat([w.W_out(layer) for layer in range(w.n_layers)]) @ space.rows.T
    z = (values[:, space.find("funny")] - values.mean(1)) / values.std(1, correction=0)
    assert torch.allclose(torch.tensor(table["z"].to_list()), z.sort(descending=True).values, atol=1e-3)
    assert (table["layer"][0], table["neuron"][0]) == divmod(int(z.argmax()), w.d_mlp)
    pd.testing.assert_frame_equal(NeuronIndex.build(w, space).search("funny", 7), table.head(7))


def test_a_search_sees_an_edit_of_the_weights():
    edited = load_weights("gpt2-reviews")
    before = search_neurons(edited, "funny", 1).iloc[0]
    edited.layers[int(before.layer)].W_out[int(before.neuron)] = 0
    after = search_neurons(edited, "funny", 20)
    assert (before.layer, before.neuron) not in set(zip(after["layer"], after["neuron"], strict=True))
    edited.embedding.copy_(edited.embedding.flip(1))  # which is the unembedding, too
    assert not np.allclose(after["z"], search_neurons(edited, "funny", 20)["z"], atol=1e-3)


def test_a_deleted_model_is_freed():
    weights = load_weights("gpt2-reviews-b")
    search_neurons(weights, "funny", 1)
    top_pairs(weights, weights.W_OV(0, 0), 1)
    reference = weakref.ref(weights)
    del weights
    gc.collect()
    assert reference() is None


def test_coherence_is_the_mean_cosine_of_different_top_items(w):
    space = embedding_space(w)
    scores = coherence(w.W_out(2)[:5], space, space.rows)
    rows = space.rows[[space.find(token) for token in top_tokens(w, w.W_out(2)[3], 10).tokens]]
    pairs = [(i, j) for i in range(10) for j in range(10) if i != j]
    expected = sum(float(rows[i] @ rows[j]) for i, j in pairs) / len(pairs)
    assert float(scores[3]) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="judge: has 3 rows"):
        coherence(w.W_out(2)[:5], space, torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"vectors: have shape \(192,\), wanted \(n, 192\)"):
        coherence(w.W_out(2)[5], space, space.rows)
    small = embedding_space(w, Reading(items=frozenset({"funny", "warm"})))
    with pytest.raises(ValueError, match="space: lists 2 items, wanted 10 or more"):
        coherence(w.W_out(2)[:5], small, small.rows)


def test_pairs_of_one_topic_are_more_coherent_than_a_random_heads(w):
    space = embedding_space(w)
    one = top_pairs(w, FactoredMatrix(torch.eye(w.d_model), torch.eye(w.d_model)), 100)  # like pairs with like
    g = torch.Generator().manual_seed(0)
    noise = top_pairs(w, FactoredMatrix(*torch.randn(2, w.d_model, 32, generator=g)), 100)
    judge = embedding_space(load_weights("gpt2-reviews-b", fold=True)).rows
    assert pair_coherence(one, space, judge).mean() > pair_coherence(noise, space, judge).mean() + 0.3


def test_keys_are_searched_by_the_input_embeddings(w):
    space = embedding_space(w, side="in")
    table = NeuronIndex.build(w, space, "W_in").search("funny", 3)
    pd.testing.assert_frame_equal(table, search_neurons(w, "funny", 3, kind="W_in"))
    keys = torch.cat([w.vectors("W_in", layer) for layer in range(w.n_layers)]) @ space.rows.T
    z = (keys[:, space.find("funny")] - keys.mean(1)) / keys.std(1, correction=0)
    assert torch.allclose(torch.tensor(table["z"].to_list()), z.topk(3).values, atol=1e-3)
    with pytest.raises(ValueError, match="space: is of side 'out', wanted 'in'"):
        NeuronIndex.build(w, embedding_space(w), "W_in")


def test_an_index_searches_half_precision(w):
    space = embedding_space(w)
    index = NeuronIndex.build(w, space)
    assert len(index) == w.n_layers * w.d_mlp
    half = tuple(layer.bfloat16() for layer in index.layers)
    single = NeuronIndex(tuple(layer.float() for layer in half), index.means, index.spreads, space)
    found = NeuronIndex(half, index.means, index.spreads, space).search("funny", 5)
    pd.testing.assert_frame_equal(found, single.search("funny", 5))


def test_layers_may_differ_in_their_number_of_neurons(w):
    index = NeuronIndex.build(w, embedding_space(w))
    sizes = (700, 768, 100, 768)
    layers = tuple(layer[:size] for layer, size in zip(index.layers, sizes, strict=True))
    kept = torch.cat([torch.arange(size) + 768 * layer for layer, size in enumerate(sizes)])
    table = NeuronIndex(layers, index.means[kept], index.spreads[kept], index.space).search("funny", sum(sizes))
    whole = index.search("funny", len(index))
    inside = [row.neuron < sizes[row.layer] for row in whole.itertuples()]
    pd.testing.assert_frame_equal(table, whole[inside].reset_index(drop=True))


def test_what_cannot_be_searched_is_named(w):
    with pytest.raises(ValueError, match="word='qwertz': is none of the 5,"):
        search_neurons(w, "qwertz")
    with pytest.raises(ValueError, match="kind='W_Q'"):
        search_neurons(w, "film", kind="W_Q")
    with pytest.raises(ValueError, match="k=0: must be a whole number between 1 and 3,072"):
        search_neurons(w, "film", 0)
    broken = load_weights("gpt2-reviews")
    broken.layers[1].W_out[3].fill_(torch.nan)
    with pytest.raises(ValueError, match="w: 1 neurons of W_out have values that are not finite"):
        search_neurons(broken, "film")
