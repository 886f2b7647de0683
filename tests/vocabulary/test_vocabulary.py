"""Readings: what is listed, what is done to the embeddings, and tables that say so."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.resources.content_filter import is_offensive
from helpers.vocabulary import (
    NeuronIndex,
    Reading,
    clean_rows,
    coherence,
    corpus_items,
    embedding_space,
    pair_coherence,
    search_neurons,
    shuffle_coordinates,
    top_pairs,
    top_tokens,
)
from helpers.weights import FactoredMatrix, load_weights

EVERYTHING = Reading(clean=False, ascii_only=False, words_only=False, least_count=0, offensive=True)


@pytest.fixture(scope="module")
def w():
    return load_weights("gpt2-reviews", fold=True)


def test_a_plain_reading_is_the_product_with_the_embeddings(w):
    vector = w.W_out(1)[3]
    scores = w.W_E @ vector
    table = top_tokens(w, vector, 7, EVERYTHING)
    assert torch.allclose(table.scores, scores.topk(7).values)
    assert torch.equal(table.ids, scores.topk(7).indices)
    opposite = top_tokens(w, -vector, 1, EVERYTHING)
    assert opposite.ids[0] == scores.argmin()


def test_an_items_own_embedding_reads_as_the_item(w):
    space = embedding_space(w)
    for word in ("film", "terrible", "Paris"):
        assert top_tokens(w, space.rows[space.find(word)], 1).tokens == [word]


def test_cleaning_leaves_unit_rows_without_mean_or_frequency():
    g = torch.Generator().manual_seed(0)
    frequency = torch.randn(300, generator=g, dtype=torch.float64)
    rows = torch.randn(300, 10, generator=g, dtype=torch.float64) + 5 + frequency[:, None] * torch.arange(10)
    clean = clean_rows(rows, frequency)
    assert torch.allclose(clean.norm(dim=1), torch.ones(300).double())
    before = torch.corrcoef(torch.cat([frequency[None], rows.T]))[0, 1:].abs().max()
    after = torch.corrcoef(torch.cat([frequency[None], clean.T]))[0, 1:].abs().max()
    assert before > 0.9 > 0.2 > after


def test_the_pseudo_inverse_undoes_the_projection(w):
    rows = embedding_space(w, EVERYTHING).rows
    inverse = embedding_space(w, replace(EVERYTHING, pseudo_inverse=True)).rows
    assert torch.allclose(rows.T @ inverse, torch.eye(w.d_model), atol=1e-3)


def test_filters_leave_what_they_say(w):
    default, everything = embedding_space(w), embedding_space(w, EVERYTHING)
    assert len(everything) == 8192
    assert all(name.isascii() and name.isalpha() and len(name) > 1 for name in default.names)
    assert (w.counts[default.ids] >= 200).all()
    assert not any(is_offensive(name) for name in default.names)
    assert any(is_offensive(name) for name in everything.names)
    items = corpus_items(w, ["A warm and funny film."])
    assert {"warm", "funny", "film"} <= set(embedding_space(w, Reading(items=items)).names) <= items
    with pytest.raises(ValueError, match="leaves 0 of 8,192 items"):
        embedding_space(w, Reading(items=frozenset({"qwertz"})))


def test_frequency_comes_from_the_rank_where_nobody_counted():
    bert = load_weights("bert-reviews")
    table = top_tokens(bert, bert.W_out(0)[0], 3)
    assert "frequency from the items' rank" in table.note
    assert "layer norms left out" in table.note


def test_tables_show_themselves_and_their_note(w):
    table = top_tokens(w, w.W_out(3)[0], 30)
    assert len(table) == 30
    assert "30 rows, the first 20 shown" in table._repr_html_()
    for part in ("gpt2-reviews", "transpose", "layer norms folded in", "200 times", "offensive words left out"):
        assert part in table.note
    pairs = top_pairs(w, w.W_OV(3, 5), 10)
    assert "→" in repr(pairs)
    assert len(pairs.table) == 10


def test_names_from_outside_are_escaped_in_html(w):
    strange = replace(w, name="<b>x</b>")
    for table in (top_tokens(strange, w.W_out(0)[0], 2), top_pairs(strange, w.W_OV(0, 0), 2)):
        assert "&lt;b&gt;x&lt;/b&gt;" in table._repr_html_()
        assert "<b>" not in table._repr_html_()
    named = replace(top_tokens(w, w.W_out(0)[0], 1), tokens=["<i>"])
    assert "<i>" not in named._repr_html_()


def test_pairs_are_the_largest_entries_of_the_heads_whole_table(w):
    space = embedding_space(w)
    matrix = w.W_OV(3, 5)
    table = top_pairs(w, matrix, 50)
    dense = space.rows @ matrix.to_dense() @ space.rows.T
    names = [name.lower() for name in space.names]
    ids = torch.tensor([names.index(name) for name in names])
    best = dense.masked_fill(ids[:, None] == ids, -torch.inf).flatten().topk(50).values
    assert torch.allclose(table.scores, best, rtol=1e-4)
    assert all(left.lower() != right.lower() for left, right in zip(table.lefts, table.rights, strict=True))
    assert float(dense[space.find(table.lefts[0]), space.find(table.rights[0])]) == pytest.approx(
        float(best[0]), rel=1e-4
    )


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
    edited.W_out(int(before.layer))[int(before.neuron)].zero_()
    after = search_neurons(edited, "funny", 20)
    assert (before.layer, before.neuron) not in set(zip(after["layer"], after["neuron"], strict=True))
    edited.W_E.copy_(edited.W_E.flip(1))
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


def test_pairs_of_one_topic_are_more_coherent_than_a_random_heads(w):
    space = embedding_space(w)
    one = top_pairs(w, FactoredMatrix(torch.eye(w.d_model), torch.eye(w.d_model)), 100)  # like pairs with like
    g = torch.Generator().manual_seed(0)
    noise = top_pairs(w, FactoredMatrix(*torch.randn(2, w.d_model, 32, generator=g)), 100)
    judge = embedding_space(load_weights("gpt2-reviews-b", fold=True)).rows
    assert pair_coherence(one, space, judge).mean() > pair_coherence(noise, space, judge).mean() + 0.3


def test_shuffling_keeps_each_vectors_numbers():
    vectors = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    mixed = shuffle_coordinates(vectors, torch.Generator().manual_seed(1))
    assert torch.equal(mixed.sort(dim=1).values, vectors.sort(dim=1).values)
    assert (mixed != vectors).any(dim=1).all()


def test_what_cannot_be_read_is_named(w):
    with pytest.raises(ValueError, match=r"vector: has shape \(3,\), wanted \(192,\)"):
        top_tokens(w, torch.zeros(3))
    with pytest.raises(ValueError, match="k=0"):
        top_tokens(w, w.W_out(0)[0], 0)
    with pytest.raises(ValueError, match=r"matrix: has shape \(3, 3\)"):
        top_pairs(w, FactoredMatrix(torch.zeros(3, 1), torch.zeros(3, 1)))
    with pytest.raises(ValueError, match="word='qwertz': is none of the 5,"):
        search_neurons(w, "qwertz")
    with pytest.raises(ValueError, match="kind='W_Q'"):
        search_neurons(w, "film", kind="W_Q")
