"""The parameter browser as its controls drive it; the browser tests use a mouse."""

import json

import numpy as np
import pytest
import torch

from helpers.resources.display import write_number
from helpers.vocabulary import Reading, search_neurons, top_pairs, top_tokens
from helpers.weights import FactoredMatrix, load_weights
from helpers.widgets import ParameterBrowser


@pytest.fixture(scope="module")
def w():
    return load_weights("gpt2-reviews", fold=True)


@pytest.fixture
def browser(w):
    return ParameterBrowser(w)


def ask(browser):
    """Ask for the next piece of the map, as the page does."""
    browser._advance_map(None, {"done": browser.map.done}, [])


def test_it_shows_the_neuron_that_the_controls_name(browser, w):
    browser.layer.value, browser.index.value = 3, 507
    table = top_tokens(w, w.W_out(3)[507], 12)
    assert browser.highest.names == browser.table.tokens == table.tokens
    assert browser.lowest.names == top_tokens(w, -w.W_out(3)[507], 12).tokens
    assert browser.highest.scores == pytest.approx(table.scores.tolist())
    assert max(browser.lowest.scores) < 0 and max(browser.lowest.control) < 0
    assert browser.highest.longest == browser.lowest.longest == pytest.approx(float(table.scores[0]))
    assert torch.equal(browser.selected, w.W_out(3)[507])
    assert browser.status.value == "neuron: value (W_out), layer 3, neuron 507"
    assert browser.map.selected == [3, 507]
    browser.kind.value = "neuron: key (W_in)"
    assert browser.highest.names == top_tokens(w, w.W_in(3)[:, 507], 12, side="in").tokens
    assert browser.status.value.endswith(f"neuron 507; its bias is {write_number(float(w.b_in(3)[507]))}")


def test_heads_show_pairs_and_the_index_is_kept_in_range(browser, w):
    browser.layer.value, browser.index.value = 3, 507
    browser.kind.value = "head: pairs of W_OV"
    assert (browser.index.value, browser.index.description) == (5, "head (0 to 5)")
    pairs = top_pairs(w, w.W_OV(3, 5), 12)
    assert browser.highest.names[0] == f"{pairs.lefts[0]} → {pairs.rights[0]}"
    assert isinstance(browser.selected, FactoredMatrix)
    assert browser.table.lefts == pairs.lefts
    browser.kind.value = "subhead: row of W_O"
    assert browser.index.description == "subhead (0 to 191)"
    assert torch.equal(browser.selected, w.vectors("W_O", 3)[5])


def test_a_number_out_of_range_is_refused_in_words_and_nothing_stale_is_shown(browser):
    assert browser.layer.description == "layer (0 to 3)"
    browser.layer.value = 9
    assert browser.status.is_error and "layer=9: must be between 0 and 3" in browser.status.value
    assert browser.highest.layout.display == browser.lowest.layout.display == "none"
    ask(browser)
    assert "layer=9" in browser.status.value and browser.map.layout.display is None, "it is true until layer is right"
    browser.layer.value = 2
    assert not browser.status.is_error and len(browser.highest.names) == 12
    assert browser.highest.layout.display is browser.lowest.layout.display is None


def test_the_map_is_computed_piece_by_piece_when_the_page_asks(browser):
    assert (browser.map.done, browser.map.pieces, len(browser.map.cells)) == (0, 4, 4 * 768)
    assert set(browser.map.cells) == {0}
    ask(browser)
    cells = np.frombuffer(browser.map.cells, np.uint8).reshape(4, 768)
    assert browser.map.done == 1 and cells[0].all() and not cells[1:].any()
    p = browser.session.survey("W_out", "p-value", Reading()).values[0]
    shown = 10 ** (browser.map.high * (cells[0].astype(float) - 1) / 254)
    assert shown == pytest.approx(p.numpy(), rel=0.02), "the cells tell the p-values"
    browser._advance_map(None, {"done": 0}, [])
    assert browser.map.done == 1, "a second view of the browser asks for the same piece in vain"
    browser.map.is_stopped = True
    ask(browser)
    assert browser.map.done == 1
    browser.kind.value = "neuron: key (W_in)"
    assert (browser.map.done, browser.map.is_stopped) == (0, False)
    browser.kind.value = "neuron: value (W_out)"
    assert browser.map.done == 1, "what was computed stays"


def test_an_interrupted_map_stops_and_keeps_what_it_has(browser, monkeypatch):
    ask(browser)
    survey = browser.session.survey("W_out", "p-value", Reading())

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(survey, "measure", interrupt)
    ask(browser)
    assert browser.map.is_stopped and browser.map.done == 1
    assert browser.status.value == "stopped; all earlier results are kept"
    monkeypatch.undo()
    browser.map.is_stopped = False
    ask(browser)
    assert browser.map.done == 2 and browser.status.value == "neuron: value (W_out), layer 0, neuron 0"


def test_a_cell_of_the_map_opens_its_parameter(browser, w):
    browser.map.selected = [2, 40]
    assert (browser.layer.value, browser.index.value) == (2, 40)
    assert browser.highest.names == top_tokens(w, w.W_out(2)[40], 12).tokens
    browser.show_parameter("W_OV", 1, 4)
    assert browser.kind.value == "head: pairs of W_OV"
    assert browser.map.selected == [1, 4]
    with pytest.raises(ValueError, match="kind='W_gate': must be one of W_in, W_out"):
        browser.show_parameter("W_gate", 0, 0)


def test_a_sibling_lets_the_map_show_coherence(w):
    browser = ParameterBrowser(w, sibling=load_weights("gpt2-reviews-b", fold=True))
    browser.measure.value = "coherence"
    ask(browser)
    survey = browser.session.survey("W_out", "coherence", Reading())
    assert browser.map.quantity == "coherence" and not browser.map.is_logarithm
    assert browser.map.bars == [float(survey.bars[0]), 0.0, 0.0, 0.0] and browser.map.high >= float(
        survey.values[0].max()
    )
    assert len(browser.map.cells) == 4 * 768
    browser.kind.value = "head: pairs of W_OV"
    assert (browser.map.quantity, browser.map.bars, browser.map.cells) == ("coherence", 4 * [0.0], bytes(24))
    ask(browser)
    assert min(browser.map.bars) > 0 and [cell > 0 for cell in browser.map.cells] == [True] + [False] * 23
    browser.kind.value = "bias of attention (b_O)"
    assert (browser.map.cells, browser.map.pieces) == (b"", 0)


def test_a_search_over_all_layers_leads_to_the_neuron(browser, w):
    browser.word.value = "funny"
    first = search_neurons(w, "funny", 1).iloc[0]
    assert len(browser.search_results.options) == 15
    browser.kind.value = "head: pairs of W_OV"
    browser.search_results.index = 0
    assert browser.kind.value == "neuron: value (W_out)"
    assert (browser.layer.value, browser.index.value) == (first.layer, first.neuron)
    assert f"neuron {int(first.neuron)}" in browser.status.value
    assert "funny" in browser.highest.names


def test_beside_a_key_it_searches_keys(browser, w):
    browser.kind.value = "neuron: key (W_in)"
    browser.word.value = "funny"
    first = search_neurons(w, "funny", 1, kind="W_in").iloc[0]
    assert browser.search_results.options[0][1] == ("W_in", first.layer, first.neuron)
    browser.search_results.index = 0
    assert browser.kind.value == "neuron: key (W_in)"


def test_an_unknown_word_gets_similar_ones_to_search_for(browser):
    browser.word.value = "vunny"
    assert "is none of the" in browser.status.value and browser.status.is_error
    ask(browser)
    assert "is none of the" in browser.status.value, "a piece of the map, which nobody asked for, takes no message away"
    assert browser.search_results.options[0] == ("search for 'funny'", "funny")
    browser.search_results.index = 0
    assert browser.word.value == "funny"
    assert len(browser.search_results.options) == 15 and not browser.status.is_error
    browser.word.value = ""
    assert browser.search_results.options == ()


def test_filters_are_controls(browser, w):
    browser.words_only.value = False
    assert not browser.reading.words_only
    assert browser.highest.names == top_tokens(w, w.W_out(0)[0], 12, Reading(words_only=False)).tokens
    assert browser.map.done == 0


def test_the_map_of_words_follows_the_parameter_and_what_its_page_asks_for(browser, w):
    browser.layer.value, browser.index.value, view = 3, 507, browser.word_map
    assert view.names == top_tokens(w, w.W_out(3)[507], 40).tokens and len(view.places) == 40
    view._handle_custom_msg({"sign": "lowest", "k": 100}, [])
    lowest = top_tokens(w, -w.W_out(3)[507], 100)
    assert view.names == lowest.tokens and view.scores == pytest.approx((-lowest.scores).tolist())
    assert np.abs(view.places).max() == 1 and 0 < view.share < 1
    assert len(json.dumps([view.names, view.scores, view.places]).encode()) < 10_000
    browser.kind.value = "neuron: key (W_in)"
    assert view.names == top_tokens(w, -w.vectors("W_in", 3)[507], 100, side="in").tokens
    browser.kind.value = "head: pairs of W_OV"
    assert view.names == [], "pairs have no place"
    browser.layer.value = 9
    assert view.layout.display == "none"


def test_messages_are_small(browser):
    for _ in range(4):
        ask(browser)
    assert len(browser.map.cells) == 3072
    assert len(str(browser.highest.get_state()).encode()) - len(browser.highest._css) - len(browser.highest._esm) < 3000
