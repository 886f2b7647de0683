"""Surveys: every number is that of the parameter itself, pieces are computed once, and an interrupt loses nothing."""

import pytest
import torch

from helpers.vocabulary import (
    LayerControl,
    Reading,
    coherence,
    embedding_space,
    pair_coherence,
    survey_coherence,
    survey_p_values,
    top_pairs,
)
from helpers.vocabulary.control import draw_random_heads, draw_random_vectors
from helpers.vocabulary.survey import RANDOM_VECTORS, ParameterSurvey
from helpers.weights import load_weights


@pytest.fixture(scope="module")
def w():
    return load_weights("gpt2-reviews", fold=True)


def test_p_values_of_vectors_are_those_of_the_layers_control(w):
    survey = survey_p_values(w, "W_out")
    assert (survey.pieces, survey.values.shape) == (4, (4, 768)) and (survey.bars == 0.05).all()
    survey.advance()
    control = LayerControl.of_vectors(
        embedding_space(w), w.W_out(0), torch.Generator().manual_seed(0), 1, RANDOM_VECTORS
    )
    assert torch.equal(survey.values[0], control.p[:, 0].float())
    assert survey.values[1:].isnan().all() and survey.done == 1


def test_p_values_of_heads_come_head_by_head(w):
    survey = survey_p_values(w, "W_OV")
    assert (survey.pieces, survey.values.shape) == (24, (4, 6))
    survey.advance()
    assert int((~survey.values.isnan()).sum()) == 1
    assert 0.05 <= survey.values[0, 0] <= 1


def test_coherence_is_judged_by_the_sibling_and_random_vectors_of_the_layer_pass_the_bar_once_in_twenty(w):
    sibling = load_weights("gpt2-reviews-b", fold=True)
    survey = survey_coherence(w, "W_in", sibling)
    space, judge = embedding_space(w, side="in"), embedding_space(sibling).rows
    survey.advance()
    assert torch.allclose(survey.values[0], coherence(w.vectors("W_in", 0), space, judge), atol=1e-6)
    assert survey.bars[1:].isnan().all()
    alike, generator = w.vectors("W_in", 0), torch.Generator().manual_seed(9)
    random = torch.cat(list(draw_random_vectors(alike, 2000, generator)))
    assert float((coherence(random, space, judge) > survey.bars[0]).float().mean()) == pytest.approx(0.05, abs=0.02)
    easier = coherence(torch.randn(3000, w.d_model, generator=generator), space, judge).quantile(0.95)
    passed = float((coherence(random, space, judge) > easier).float().mean())
    assert passed > 0.15, "by vectors without the layer's covariance, the layer as a whole would count as findings"
    with pytest.raises(ValueError, match="lists other items"):
        survey_coherence(w, "W_out", load_weights("bert-reviews"))


def test_coherence_of_a_head_is_that_of_its_pairs_and_the_bar_that_of_rotated_heads(w):
    sibling = load_weights("gpt2-reviews-b", fold=True)
    survey = survey_coherence(w, "W_OV", sibling)
    assert (survey.pieces, survey.values.shape) == (24, (4, 6)) and survey.bars.isnan().all()
    survey.advance()
    space, judge = embedding_space(w), embedding_space(sibling).rows
    random = draw_random_heads(w.W_OV(0, 0), 5, torch.Generator().manual_seed(0))  # 24 times 5 are 100 or more
    own, *others = (float(pair_coherence(top_pairs(w, m, 10), space, judge).mean()) for m in (w.W_OV(0, 0), *random))
    assert float(survey.values[0, 0]) == pytest.approx(own, abs=1e-6)
    assert survey.bars.tolist() == pytest.approx(4 * [float(torch.tensor(others).quantile(0.95))], abs=1e-6)
    assert survey.values.isnan().sum() == 23 and survey.done == 1


def test_a_judge_is_clean_also_where_the_reading_is_not(w):
    raw = survey_coherence(w, "W_out", load_weights("gpt2-reviews-b", fold=True), Reading(clean=False))
    raw.advance()
    assert float(raw.values[0].min()) >= -1 and float(raw.values[0].max()) <= 1 and 0 < raw.bars[0] < 1


def test_what_is_computed_stays_after_an_interrupt():
    asked = []

    def measure(piece):
        asked.append(piece)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return torch.tensor([float(piece)])

    survey = ParameterSurvey(measure, torch.full((3, 1), torch.nan), 3, torch.zeros(3))
    with pytest.raises(KeyboardInterrupt):
        survey.run()
    assert survey.run()[:, 0].tolist() == [0, 1, 2]
    survey.advance()
    assert asked == [0, 1, 1, 2], "a piece is computed once"
