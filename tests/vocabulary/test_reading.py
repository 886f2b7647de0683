"""Which items a reading lists, and how its notes describe that."""

import pytest

from helpers.resources import is_offensive
from helpers.vocabulary import Reading, corpus_items, embedding_space, top_tokens
from helpers.weights import load_weights

EVERYTHING = Reading(clean=False, ascii_only=False, words_only=False, least_count=0, offensive=True)


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
