"""Substitutions: predictions come from the Jacobian, listed words are verified, offensive words are left out."""

import pytest
import torch

from helpers.datasets import read_sentences
from helpers.geometry import total_variation
from helpers.resources import is_offensive
from helpers.sentences import (
    embed_word,
    equivalent_sentences,
    equivalent_words,
    influential_words,
    predict_substitutions,
    prediction_quality,
)

TEXT = "A warm and funny film, with two fine actors."


@pytest.fixture(scope="module")
def substitutions(bert):
    return predict_substitutions(bert, TEXT)


def probability_of(bert, text):
    return bert.predict(bert.encode(text))


def test_a_predicted_change_is_the_derivative(bert, substitutions):
    point, row, word = bert.encode(TEXT), 3, 500
    position = substitutions.f.parts[row]
    move = bert.vocabulary_at(position)[substitutions.words[word]] - point[position]
    step = torch.zeros_like(point)
    step[position] = 0.01 * move
    numeric = (bert.log_probabilities(point + step) - bert.log_probabilities(point - step)) / 0.02
    assert torch.allclose(
        substitutions.changes[row, word], numeric, atol=0.02 * float(substitutions.changes.abs().max())
    )


def test_only_whole_words_change_and_only_into_words(bert, substitutions):
    tokens = [substitutions.token(position) for position in substitutions.f.parts]
    assert tokens == ["a", "warm", "and", "funny", "film", "with", "two", "fine", "actors"]
    names = {substitutions.name(i) for i in range(len(substitutions.words))}
    assert all(name.isalpha() for name in names)
    assert not any(is_offensive(name) for name in names)
    assert {"film", "terrible"} <= names


def test_equivalent_words_are_verified(bert, substitutions):
    table = equivalent_words(substitutions)
    assert len(table) > 20
    assert (table["verified"] <= 0.02).all()
    assert (table["word"] != table["token"]).all()
    reference = probability_of(bert, TEXT)
    for row in table.sample(5, random_state=0).itertuples():
        words = [*bert.tokenizer.convert_ids_to_tokens(substitutions.ids)]
        words[row.position] = row.word
        output = probability_of(bert, bert.tokenizer.convert_tokens_to_string(words[1:-1]))
        assert (output - reference).abs().sum() / 2 == pytest.approx(row.verified, abs=1e-4)


def test_influential_words_change_the_prediction(substitutions):
    table = influential_words(substitutions)
    assert table["verified"].is_monotonic_decreasing
    assert set(table["prediction"]) == {"negative", "positive"}


def test_equivalent_sentences_are_verified(bert, substitutions):
    table = equivalent_sentences(substitutions, max_substitutions=2, beam=4)
    assert set(table["substitutions"]) == {1, 2}
    reference = probability_of(bert, TEXT).log()
    for row in table.itertuples():
        assert sum(word.isupper() for word in row.sentence.split()) == row.substitutions
        output = probability_of(bert, row.sentence).log()
        assert total_variation(output, reference) == pytest.approx(row.verified, abs=1e-4)
        assert row.verified <= 0.02


def test_most_of_twenty_sentences_can_be_reworded_and_predictions_rank_well(bert):
    reworded, agreement = 0, []
    for number, text in enumerate(read_sentences("review")["text"].tolist()[::10][:20]):
        substitutions = predict_substitutions(bert, text)
        reworded += len(equivalent_words(substitutions, candidates=5)) > 0
        if number % 4 == 0:
            agreement += prediction_quality(substitutions, 80)["spearman"].tolist()
    assert reworded >= 15
    assert torch.tensor(agreement).median() >= 0.7


def test_substitutions_work_at_a_mask(masked_bert):
    substitutions = predict_substitutions(masked_bert, "The nurse said that [MASK] was late.", target=["he", "she"])
    assert substitutions.outputs.shape == (3,)
    table = influential_words(substitutions, candidates=5)
    assert set(table["prediction"]) <= {"he", "she", "the rest"}


def test_a_text_without_a_whole_word_is_named(bert):
    with pytest.raises(ValueError, match="has no word that is one token"):
        predict_substitutions(bert, "... !")


def test_a_word_is_embedded_at_its_position(bert):
    point = bert.encode("A warm film.")
    assert torch.equal(embed_word(bert, "film", 3), point[[3]])
    with pytest.raises(ValueError, match=r"word='pleasures': is not among the model's 8,192 tokens; some are .*pleas"):
        embed_word(bert, "pleasures", 3)
    with pytest.raises(ValueError, match="position=256: must be a whole number between 0 and 255"):
        embed_word(bert, "film", 256)


def test_numbers_that_make_no_list_are_named(substitutions):
    calls = {
        "tolerance=-1": lambda: equivalent_words(substitutions, tolerance=-1),
        "tolerance=nan": lambda: equivalent_words(substitutions, tolerance=float("nan")),
        "candidates=0": lambda: influential_words(substitutions, 0),
        "candidates=1.5": lambda: equivalent_words(substitutions, candidates=1.5),
        "count=1": lambda: prediction_quality(substitutions, 1),
        "beam=0": lambda: equivalent_sentences(substitutions, beam=0),
        "max_substitutions=0": lambda: equivalent_sentences(substitutions, 0),
        "row=99": lambda: substitutions.nearest(99),
        "count=-3": lambda: substitutions.nearest(0, -3),
        r"words=\[\]": lambda: substitutions.verify(0, torch.tensor([], dtype=torch.long)),
        r"words=\[1000000\]": lambda: substitutions.verify(0, torch.tensor([1_000_000])),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=f"{message}: must be"):
            call()
