"""The parameter browser as its controls drive it; the browser tests use a mouse."""

import pytest
import torch

from helpers.vocabulary import Reading, search_neurons, top_pairs, top_tokens
from helpers.weights import FactoredMatrix, load_weights
from helpers.widgets import ParameterBrowser


@pytest.fixture(scope="module")
def w():
    return load_weights("gpt2-reviews", fold=True)


@pytest.fixture
def browser(w):
    return ParameterBrowser(w)


def test_it_shows_the_neuron_that_the_controls_name(browser, w):
    browser.layer.value, browser.index.value = 3, 507
    table = top_tokens(w, w.W_out(3)[507], 12)
    assert browser.highest.names == table.tokens
    assert browser.lowest.names == top_tokens(w, -w.W_out(3)[507], 12).tokens
    assert max(browser.highest.values + browser.highest.reference) == pytest.approx(1.0)
    ratio = browser.highest.values[3] / browser.highest.values[0]
    assert ratio == pytest.approx(float(table.scores[3] / table.scores[0]))
    assert torch.equal(browser.selected, w.W_out(3)[507])
    browser.kind.value = "neuron: key (W_in)"
    assert browser.highest.names == top_tokens(w, w.W_in(3)[:, 507], 12, side="in").tokens


def test_heads_show_pairs_and_the_index_is_kept_in_range(browser, w):
    browser.layer.value, browser.index.value = 3, 507
    browser.kind.value = "head: pairs of W_OV"
    assert (browser.index.value, browser.index.max, browser.index.description) == (5, 5, "head")
    pairs = top_pairs(w, w.W_OV(3, 5), 12)
    assert browser.highest.names[0] == f"{pairs.lefts[0]} → {pairs.rights[0]}"
    assert isinstance(browser.selected, FactoredMatrix)
    assert browser.table.lefts == pairs.lefts
    browser.kind.value = "subhead: row of W_O"
    assert browser.index.max == 191
    assert torch.equal(browser.selected, w.vectors("W_O", 3)[5])


def test_the_random_control_has_the_norm_of_the_parameter(browser, w):
    neuron = w.W_out(0)[0]
    random = torch.randn(w.d_model, generator=torch.Generator().manual_seed(0))
    control = top_tokens(w, random * neuron.norm() / random.norm(), 12).scores
    longest = max(control[0], top_tokens(w, neuron, 12).scores[0])
    assert browser.highest.reference == pytest.approx((control / longest).tolist(), rel=1e-4)


def test_the_random_control_is_a_head_whose_sides_differ(browser):
    browser.kind.value = "head: pairs of W_QK"
    spread = browser.highest.reference[0] / browser.highest.reference[-1]
    assert 1 < spread < 1.5
    assert len(set(browser.highest.reference)) == 12


def test_a_search_over_all_layers_leads_to_the_neuron(browser, w):
    browser.word.value = "funny"
    first = search_neurons(w, "funny", 1).iloc[0]
    assert len(browser.search_results.options) == 15
    assert browser.search_results.options[0][1] == (first.layer, first.neuron)
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
    assert browser.search_results.options[0][1] == (first.layer, first.neuron)
    browser.search_results.index = 0
    assert browser.kind.value == "neuron: key (W_in)"


def test_filters_are_controls_and_errors_are_shown(browser, w):
    browser.words_only.value = False
    assert not browser.reading.words_only
    assert browser.highest.names == top_tokens(w, w.W_out(0)[0], 12, Reading(words_only=False)).tokens
    browser.word.value = "qwertz"
    assert "is none of the" in browser.status.value
    assert browser.status.is_error
    assert browser.search_results.options == ()
    browser.word.value = ""
    browser.index.value = 1
    assert not browser.status.is_error
