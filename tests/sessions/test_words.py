"""Other words for the words of a sentence, each run through the model."""

import pytest

from helpers.sentences import influential_words, predict_substitutions
from helpers.sentences.substitutions import TOLERANCE
from helpers.sessions import SentenceInput, WordEffects

TEXT = "The story is slow, but the two leads are a delight."


@pytest.fixture(scope="module")
def effects(bert):
    return WordEffects(SentenceInput(bert, TEXT))


def test_each_word_has_the_change_that_the_model_makes_of_it(effects, bert):
    place = effects.start.tokens.index("leads")
    words = effects.find_words(place)
    before = bert.predict(effects.start.point)
    everywhere = influential_words(predict_substitutions(bert, TEXT)).query("position == @place")
    assert [entry["word"] for entry in words["changing"]] == everywhere["word"].head(6).tolist()
    assert words["equal"]
    for kind, least, most in (("equal", 0, TOLERANCE), ("changing", 0.1, 1)):
        for entry in words[kind]:
            after = bert.predict(bert.encode(effects.replace_word(place, entry["word"])))
            change = float((after - before).abs().sum() / 2)
            assert entry["change"] == pytest.approx(change, abs=1e-4)
            assert least <= change <= most
            assert entry["prediction"] == bert.class_names[int(after.argmax())]


def test_what_is_known_is_not_computed_again(effects, monkeypatch):
    place = effects.start.tokens.index("story")
    first = effects.find_words(place)
    monkeypatch.setattr("helpers.sessions.words.equivalent_words", lambda *_: 1 / 0)
    assert effects.find_words(place) is first


def test_a_token_that_is_no_word_has_none(effects):
    assert effects.find_words(0) == {"part": 0, "token": "[CLS]", "equal": [], "changing": []}


def test_a_sentence_with_a_word_replaced_is_that_sentence(effects):
    assert effects.replace_word(2, "film") == "the film is slow, but the two leads are a delight."
    with pytest.raises(ValueError, match=r"word='flim': is not among the model's .* whole words; some are 'flimsy'"):
        effects.replace_word(2, "flim")


def test_the_words_of_a_masked_word_model_are_told_apart_as_chosen(masked_bert):
    start = SentenceInput(masked_bert, "The nurse said that [MASK] was late.", ["he", "she"])
    assert start.describe_outputs()["names"] == ["he", "she", "the rest"]
    assert WordEffects(start).find_words(2)["changing"]
    assert predict_substitutions(masked_bert, start.raw, ["he", "she"]).f.names == start.f.names
