"""Sentences of models that give several labels, rate a text, read two texts together or predict the next word."""

import re
from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr

from helpers import walk_class
from helpers.adapters import load_adapter
from helpers.sentences import (
    decode_by_embedding,
    deletion_curve,
    equivalent_sentences,
    equivalent_words,
    influential_words,
    integrated_gradients,
    mask_baseline,
    predict_substitutions,
    prediction_quality,
    pullback_importance,
)
from tests.adapters.families import make_model

TEXT = "a warm and funny film"
PAIR = (TEXT, "it has two fine actors")
KINDS = {
    "labels": {"num_labels": 3, "problem_type": "multi_label_classification"},
    "rating": {"num_labels": 1},
    "ratings": {"num_labels": 3, "problem_type": "regression"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One small BERT per kind of head, and a GPT-2."""
    folder = tmp_path_factory.mktemp("models")
    saved = {kind: make_model("BertForSequenceClassification", folder / kind, **KINDS[kind]) for kind in KINDS}
    saved["gpt2"] = make_model("GPT2LMHeadModel", folder / "gpt2")
    return {kind: load_adapter(path) for kind, path in saved.items()}


@pytest.fixture(params=KINDS)
def model(request, models):
    return models[request.param]


def test_the_importance_of_a_token_for_a_rating_is_the_norm_of_the_gradient(models):
    x = models["rating"].encode(TEXT)
    f = models["rating"].output_map(x)
    gradient = torch.func.grad(lambda chosen: f(chosen)[0])(f.start)
    assert pullback_importance(f) == pytest.approx(gradient.norm(dim=1).double(), rel=1e-5)


def test_every_head_has_substitutions_that_are_verified(model):
    substitutions = predict_substitutions(model, TEXT)
    words = equivalent_words(substitutions, candidates=10)
    assert len(words) > 10 and (words["verified"] <= 0.02).all()
    before = model.predict(model.encode(TEXT))
    for row in words.sample(4, random_state=0).itertuples():
        text = TEXT.split()
        text[row.position - 1] = row.word
        change = (model.predict(model.encode(" ".join(text))) - before).abs().max()
        assert row.verified == pytest.approx(float(change), abs=1e-6)
        assert row.predicted == pytest.approx(row.verified, abs=5e-3)
    assert influential_words(substitutions, candidates=3)["verified"].min() > words["verified"].median()
    assert (prediction_quality(substitutions, count=50)["spearman"] > 0.9).all()
    sentences = equivalent_sentences(substitutions, max_substitutions=2, beam=2)
    assert set(sentences["substitutions"]) == {1, 2}
    for row in sentences.itertuples():
        change = (model.predict(model.encode(row.sentence)) - before).abs().max()
        assert row.verified == pytest.approx(float(change), abs=1e-6)


def test_predictions_are_ranked_for_the_most_probable_label(models):
    substitutions = predict_substitutions(models["labels"], TEXT)
    label, words = int(substitutions.outputs.argmax()), substitutions.nearest(0, 50)
    changes = [substitutions.changes[0, words, label], substitutions.verify(0, words)[:, label].exp()]
    expected = spearmanr(*changes).statistic
    assert prediction_quality(substitutions, count=50)["spearman"][0] == pytest.approx(expected)


def test_tables_show_labels_or_values(models):
    labels = influential_words(predict_substitutions(models["labels"], TEXT), candidates=2)
    assert set(labels["prediction"]) <= set(models["labels"].class_names)
    values = influential_words(predict_substitutions(models["ratings"], TEXT), candidates=2)
    row, text = values.iloc[0], TEXT.split()
    text[row["position"] - 1] = row["word"]
    shown = [row[f"value of {name}"] for name in models["ratings"].class_names]
    assert shown == pytest.approx(models["ratings"].predict(models["ratings"].encode(" ".join(text))).tolist())
    assert "prediction" not in values


def test_a_predicted_probability_of_a_label_is_at_most_one(models):
    substitutions = predict_substitutions(models["labels"], TEXT)
    substitutions.changes[0, :5] = 9.0
    predicted = substitutions.predict(0, torch.arange(5))
    assert torch.equal(predicted, torch.zeros(5, 3))


def test_a_deleted_token_changes_the_probability_of_a_label_and_a_rating_has_none(models):
    adapter = models["labels"]
    f = adapter.output_map(adapter.encode(TEXT))
    importance = integrated_gradients(f, mask_baseline(adapter, f))
    curve = deletion_curve(adapter, f, importance)
    assert curve[0] == pytest.approx(float(adapter.predict(f.point).max()))
    masked = adapter.predict(adapter.encode(" ".join(["[MASK]"] * 5)))
    assert curve[-1] == pytest.approx(float(masked[adapter.predict(f.point).argmax()]), abs=1e-6)
    rating = models["rating"].output_map(models["rating"].encode(TEXT))
    with pytest.raises(ValueError, match="hold values of a regression; this needs probabilities"):
        deletion_curve(models["rating"], rating, torch.ones(5))


def test_decoded_walks_show_values_and_their_differences(models):
    adapter = models["ratings"]
    f = adapter.output_map(adapter.encode(TEXT))
    decoded = decode_by_embedding(adapter, f, walk_class(f, f.start, travel=0.5), count=2)
    differences = (decoded.walk_outputs - decoded.text_outputs).abs().amax(1)
    assert torch.equal(decoded.gaps, differences)
    page = decoded._repr_html_()
    assert "<th>value, embedding</th>" in page
    assert f"<td>{float(adapter.predict(f.point).max()):.3f}</td>" in page


def test_words_of_the_second_text_have_its_segment(models):
    adapter = models["labels"]
    substitutions = predict_substitutions(adapter, PAIR)
    f, second = substitutions.f, adapter.token_ids(PAIR).index(adapter.tokenizer.sep_token_id) + 1
    assert max(f.parts) > second
    for row, position in enumerate(f.parts):
        itself = (substitutions.words == substitutions.ids[position]).nonzero()[0]
        assert substitutions.changes[row, itself].abs().max() < 1e-5
        assert substitutions.similarity(row)[itself] == pytest.approx(1.0, abs=1e-5)
    masks = (" ".join(["[MASK]"] * 5),) * 2
    assert mask_baseline(adapter, f) == pytest.approx(adapter.encode(masks)[list(f.parts)])


def test_similar_words_of_the_second_text_are_those_of_its_segment(models):
    adapter = models["labels"]
    substitutions = predict_substitutions(adapter, PAIR)
    row = len(substitutions.f.parts) - 1
    position = substitutions.f.parts[row]
    table = adapter.vocabulary_at(position, 1)
    own = torch.cosine_similarity(table[substitutions.words], table[substitutions.ids[position]][None])
    assert substitutions.similarity(row) == pytest.approx(own, abs=1e-5)


def test_a_decoded_text_without_special_tokens_is_shown_whole(models):
    adapter, text = models["gpt2"], "The film is great"
    f = adapter.output_map(adapter.encode(text))
    decoded = decode_by_embedding(adapter, f, walk_class(f, f.start, travel=0.05), count=2)
    assert decoded.texts[0] == text
    assert re.findall("text-align:left'>(.*?)</td>", decoded._repr_html_())[0] == " ".join(adapter.tokens(text))
    assert "recovered; first 'one', last 'two')" in repr(replace(decoded, texts=["one", "two"]))


def test_a_model_without_masks_has_no_deletion_curve(models):
    adapter = models["gpt2"]
    f = adapter.output_map(adapter.encode("The film is great"))
    for measure in (lambda: deletion_curve(adapter, f, torch.ones(4)), lambda: mask_baseline(adapter, f)):
        with pytest.raises(ValueError, match=r"has no \[MASK\] that could stand for a deleted token"):
            measure()
