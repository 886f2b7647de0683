"""Swaps: predictions are the Jacobian's, what is listed was verified, offensive words stay out."""

import pytest
import torch

from helpers.resources.content_filter import is_offensive
from helpers.sentences.substitutions import (
    equivalent_sentences,
    equivalent_words,
    mind_changers,
    predict_swaps,
    prediction_quality,
    total_variation,
)

TEXT = "A warm and funny film, with two fine actors."


@pytest.fixture(scope="module")
def swaps(bert):
    return predict_swaps(bert, TEXT)


def probability_of(bert, text):
    return bert.predict(bert.encode(text))


def test_a_predicted_change_is_the_derivative(bert, swaps):
    point, row, word = bert.encode(TEXT), 3, 500
    position = swaps.f.parts[row]
    move = bert.vocabulary_at(position)[swaps.words[word]] - point[position]
    step = torch.zeros_like(point)
    step[position] = 0.01 * move
    numeric = (bert.log_probabilities(point + step) - bert.log_probabilities(point - step)) / 0.02
    assert torch.allclose(swaps.changes[row, word], numeric, atol=0.02 * float(swaps.changes.abs().max()))


def test_only_whole_words_change_and_only_into_words(bert, swaps):
    tokens = [swaps.token(position) for position in swaps.f.parts]
    assert tokens == ["a", "warm", "and", "funny", "film", "with", "two", "fine", "actors"]
    names = {swaps.name(i) for i in range(len(swaps.words))}
    assert all(name.isalpha() for name in names)
    assert not any(is_offensive(name) for name in names)
    assert {"film", "terrible"} <= names


def test_equivalent_words_are_verified(bert, swaps):
    table = equivalent_words(swaps)
    assert len(table) > 20
    assert (table["verified"] <= 0.02).all()
    assert (table["word"] != table["token"]).all()
    reference = probability_of(bert, TEXT)
    for row in table.sample(5, random_state=0).itertuples():
        words = [*bert.tokenizer.convert_ids_to_tokens(swaps.ids)]
        words[row.position] = row.word
        said = probability_of(bert, bert.tokenizer.convert_tokens_to_string(words[1:-1]))
        assert (said - reference).abs().sum() / 2 == pytest.approx(row.verified, abs=1e-4)


def test_mind_changers_change_the_verdict(swaps):
    table = mind_changers(swaps)
    assert table["verified"].is_monotonic_decreasing
    assert set(table["verdict"]) == {"negative", "positive"}


def test_equivalent_sentences_are_verified(bert, swaps):
    table = equivalent_sentences(swaps, most_swaps=2, beam=4)
    assert set(table["swaps"]) == {1, 2}
    reference = probability_of(bert, TEXT).log()
    for row in table.itertuples():
        assert sum(word.isupper() for word in row.sentence.split()) == row.swaps
        said = probability_of(bert, row.sentence).log()
        assert total_variation(said, reference) == pytest.approx(row.verified, abs=1e-4)
        assert row.verified <= 0.02


def test_most_of_twenty_sentences_can_be_reworded_and_predictions_rank_well(bert):
    from helpers.datasets import read_sentences

    reworded, agreement = 0, []
    for number, text in enumerate(read_sentences("review")["text"].tolist()[::10][:20]):
        swaps = predict_swaps(bert, text)
        reworded += len(equivalent_words(swaps, tried=5)) > 0
        if number % 4 == 0:
            agreement += prediction_quality(swaps)["spearman"].tolist()
    assert reworded >= 15
    assert torch.tensor(agreement).median() >= 0.7


def test_swaps_work_at_a_mask(masked_bert):
    swaps = predict_swaps(masked_bert, "The nurse said that [MASK] was late.", target=["he", "she"])
    assert swaps.outputs.shape == (3,)
    table = mind_changers(swaps, tried=5)
    assert set(table["verdict"]) <= {"he", "she", "the rest"}


def test_a_text_without_a_whole_word_is_named(bert):
    with pytest.raises(ValueError, match="no word that the model knows whole"):
        predict_swaps(bert, "... !")


def test_the_offensive_list():
    assert is_offensive("SHIT")
    assert is_offensive("Ġbitch")
    assert is_offensive("##whores")
    assert not is_offensive("class")
    assert not is_offensive("film")
