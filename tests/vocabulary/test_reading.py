"""Which items a reading lists, and how its notes describe that."""

from dataclasses import replace

import pytest
import torch

from helpers.resources import is_offensive
from helpers.vocabulary import Reading, count_items, embedding_space, top_tokens
from helpers.weights import load_weights
from tests.resources.test_display import Tokenizer


def test_filters_leave_what_they_say(w):
    default, everything = embedding_space(w), embedding_space(w, Reading.paper())
    assert len(everything) == 8192
    assert all(name.isascii() and name.isalpha() and len(name) > 1 for name in default.names)
    assert (w.counts[default.ids] >= 200).all()
    assert not any(is_offensive(name) for name in default.names)
    assert any(is_offensive(name) for name in everything.names)
    items = frozenset({"a", "warm", "and", "funny", "film"})
    listed = set(embedding_space(w, Reading(items=items)).names)
    assert {"warm", "funny", "film", "Film"} <= listed
    assert {name.lower() for name in listed} <= items
    with pytest.raises(ValueError, match="leaves 0 of 8,192 items"):
        embedding_space(w, Reading(items=frozenset({"qwertz"})))


def test_frequency_comes_from_the_rank_where_nobody_counted():
    bert = load_weights("bert-reviews")
    table = top_tokens(bert, bert.W_out(0)[0], 3)
    assert "frequency from the items' rank" in table.note
    assert "layer norms left out" in table.note


@pytest.mark.parametrize("items", [{"hand"}, {"Hand"}, {" HAND "}, {"…hand"}])
def test_a_corpus_filter_ignores_case_spaces_and_the_place_in_a_word(items):
    reading = Reading(items=frozenset(items), words_only=False)
    assert [name for name in ("hand", "Hand", "…hand", "handy", "…") if reading.includes(name)] == [
        "hand",
        "Hand",
        "…hand",
    ]


def test_the_item_of_three_dots_is_not_ascii():
    assert not Reading(words_only=False).includes("…")
    assert Reading(words_only=False).includes("…ness")


def test_items_of_a_corpus_are_counted_and_the_rare_ones_left_out(w):
    texts = ["film film film, film", "dog dog", "film cat"]
    counts = count_items(w, texts)
    names = embedding_space(w, Reading.paper()).names
    assert {names[i]: int(counts[i]) for i in counts.nonzero()[:, 0]}["film"] == 3  # the first of a text has no space
    assert len(counts) == len(names)
    counted = embedding_space(replace(w, counts=counts), Reading(least_count=1, words_only=False))
    assert set(counted.ids.tolist()) <= set(counts.nonzero()[:, 0].tolist())
    with pytest.raises(ValueError, match=r"w\.counts: has 3 entries, wanted 8,192, one per item"):
        embedding_space(replace(w, counts=counts[:3]))


def test_rows_of_padding_are_not_listed_and_whole_words_need_no_mark(w):
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)]
    space = embedding_space(replace(w, tokenizer=Tokenizer("<s>", *words), counts=None), Reading.paper())
    assert space.names == ["<s>", *words]
    default = embedding_space(replace(w, tokenizer=Tokenizer("<s>", *words), counts=None))
    assert default.names == words
    assert torch.equal(default.ids, torch.arange(1, 301))


def test_what_cannot_be_read_is_named_in_one_line(w):
    many = Reading(items=frozenset(f"nothing {i}" for i in range(20_000)))
    with pytest.raises(ValueError, match=r"items=frozenset\(.*\): leaves 0 of 8,192 items") as error:
        many.select_items(w)
    assert len(str(error.value)) < 400
    with pytest.raises(ValueError, match="texts='A film': is one text, wanted a list of texts"):
        count_items(w, "A film")
