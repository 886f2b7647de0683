"""What the parameter browser shows, without a browser: every kind of parameter of several families."""

import pytest
import torch

from helpers.sessions.parameters import ParameterSession, Place
from helpers.vocabulary import Reading, search_neurons, survey_coherence, survey_p_values, top_pairs, top_tokens
from helpers.weights import FactoredMatrix, load_weights
from tests.adapters.families import make_model
from tests.weights.test_families import randomise

READING = Reading()
ALL = Reading(words_only=False, ascii_only=False)


@pytest.fixture(scope="module")
def w():
    return load_weights("gpt2-reviews", fold=True)


@pytest.fixture(scope="module")
def session(w):
    return ParameterSession(w, load_weights("gpt2-reviews-b", fold=True))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A small model with gates, rotary heads, and keys and values that heads share."""
    folder = randomise(make_model("LlamaForCausalLM", tmp_path_factory.mktemp("llama"), attention_bias=True), 300)
    return ParameterSession(load_weights(folder))


def test_a_neuron_is_read_beside_its_opposite_and_a_random_vector_of_its_norm(session, w):
    read = session.read(Place("W_out", 3, 507), READING)
    neuron = w.W_out(3)[507]
    assert torch.equal(read.parameter, neuron)
    assert read.highest.tokens == top_tokens(w, neuron, 12).tokens
    assert read.lowest.tokens == top_tokens(w, -neuron, 12).tokens
    random = torch.randn(w.d_model, generator=torch.Generator().manual_seed(0))
    control = top_tokens(w, random * neuron.norm() / random.norm(), 12).scores
    assert torch.allclose(read.control, control, rtol=1e-4)
    assert read.bias is None


def test_a_head_is_read_as_pairs_and_its_random_head_has_sides_that_differ(session, w):
    read = session.read(Place("W_QK", 3, 5), READING)
    pairs = top_pairs(w, w.W_QK(3, 5), 12)
    assert (read.highest.lefts, read.highest.rights) == (pairs.lefts, pairs.rights)
    assert isinstance(read.parameter, FactoredMatrix)
    assert 1 < read.control[0] / read.control[-1] < 1.5
    assert len(set(read.control.tolist())) == 12


def test_keys_and_queries_have_the_bias_that_is_added_to_their_product(session, llama, w):
    assert session.read(Place("W_in", 1, 7), READING).bias == float(w.b_in(1)[7])
    assert session.read(Place("W_Q", 1, 40), READING).bias == float(w.b_Q(1, 1)[8])
    other = llama.weights
    assert llama.read(Place("W_K", 1, 9), ALL).bias == float(other.b_K(1, 2)[1]), "heads 2 and 3 share these keys"
    assert llama.read(Place("W_gate", 0, 5), ALL).bias == 0
    assert llama.read(Place("W_O", 0, 5), ALL).bias is None


def test_what_is_offered_is_what_the_model_has_and_what_can_be_read(session, llama):
    assert {"W_in", "W_out", "W_OV", "W_QK", "b_out", "b_O"} <= set(session.kinds)
    assert "W_gate" in llama.kinds and "W_gate" not in session.kinds
    assert llama.weights.rotary and not session.weights.rotary
    vit = ParameterSession(load_weights("vit-digits"))
    assert vit.kinds == ("W_out", "W_O", "b_out", "b_O"), "an image's parts have no names to read what reads by"
    assert len(vit.read(Place("W_out", 0, 0), READING).highest) == 10
    for each in (session, llama, vit):
        for kind in each.kinds:
            if (each, kind) != (llama, "b_out"):  # Llama has none
                assert len(each.read(Place(kind, 1, each.count(kind) - 1), ALL).highest) >= 10


def test_heads_that_turn_by_position_are_read_at_an_offset(llama, session):
    apart = llama.get(Place("W_QK", 1, 2, offset=3))
    assert torch.equal(apart.left, llama.weights.W_QK(1, 2, 3).left)
    assert not torch.equal(apart.left, llama.get(Place("W_QK", 1, 2)).left)
    with pytest.raises(ValueError, match="offset=-1: must be 0 or more"):
        llama.get(Place("W_QK", 1, 2, offset=-1))
    with pytest.raises(ValueError, match="are not rotary"):
        session.get(Place("W_QK", 1, 2, offset=1))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place("W_out", 4), "layer=4: must be between 0 and 3"),
        (Place("W_out", 0, -1), "neuron=-1: must be between 0 and 767"),
        (Place("W_OV", 0, 6), "head=6: must be between 0 and 5"),
        (Place("W_O", 0, 192), "subhead=192: must be between 0 and 191"),
        (Place("b_O", 0, 1), "bias=1: must be between 0 and 0"),
    ],
)
def test_a_place_out_of_range_is_refused_in_words(session, place, message):
    with pytest.raises(ValueError, match=message):
        session.read(place, READING)


def test_a_search_lists_neurons_and_beside_a_key_it_lists_keys(session, w):
    assert session.search("funny", "W_OV", READING).equals(search_neurons(w, "funny", 15))
    assert session.search("funny", "W_in", READING).equals(search_neurons(w, "funny", 15, "W_in"))
    assert "funny" in session.list_similar("vunny", "W_out", READING)


def test_a_survey_is_started_once_per_kind_measure_and_reading(session, w):
    survey = session.survey("W_out", "p-value", READING)
    survey.advance()
    assert session.survey("W_out", "p-value", Reading()) is survey
    expected = survey_p_values(w, "W_out")
    expected.advance()
    assert torch.equal(survey.values[0], expected.values[0])
    coherence = session.survey("W_out", "coherence", READING)
    again = survey_coherence(w, "W_out", session.sibling)
    for each in (coherence, again):
        each.advance()
    assert coherence.bars[0] == again.bars[0]
    assert session.measures("W_out") == session.measures("W_OV") == ("p-value", "coherence")
    assert ParameterSession(w).measures("W_OV") == ParameterSession(w).measures("W_out") == ("p-value",)
    assert session.measures("b_O") == ()
