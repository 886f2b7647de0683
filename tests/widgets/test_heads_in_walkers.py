"""What the walkers show of models that give several labels, rate an input, or choose among many classes."""

import numpy as np
import pytest
import torch

from helpers.adapters import load_adapter
from helpers.widgets import ClassWalker, SentenceWalker
from tests.adapters.families import make_model

IMAGE = np.random.default_rng(0).random((3, 24, 24))
STARTS = {
    "ViTForImageClassification": (ClassWalker, IMAGE),
    "BertForSequenceClassification": (SentenceWalker, ("a warm and funny film", "it has two fine actors")),
    "GPT2LMHeadModel": (SentenceWalker, "The film is"),
}


@pytest.fixture
def create(tmp_path):
    """Create a walker for a small model of a class."""

    def create_walker(model_class, **options):
        adapter = load_adapter(make_model(model_class, tmp_path, **options))
        walker, raw = STARTS[model_class]
        return walker(adapter, raw), adapter.predict(adapter.encode(raw))

    return create_walker


@pytest.mark.parametrize("model_class", ["ViTForImageClassification", "BertForSequenceClassification"])
@pytest.mark.parametrize("options", [{"num_labels": 1}, {"num_labels": 3, "problem_type": "regression"}])
def test_values_are_shown_as_numbers_with_the_start(create, model_class, options):
    walker, values = create(model_class, **options)
    assert not walker.bars.has_bars
    assert walker.bars.label == "value of each output"
    assert walker.bars.values == walker.bars.reference == pytest.approx(values.tolist())
    walker.algorithm.value = "SiMExp"
    walker.step()
    moved = walker.path.outputs[-1]
    assert walker.bars.values == moved.tolist() != walker.bars.reference
    change = float((moved - values).abs().max())
    assert f"drift {change:.2g} units of the outputs, largest change of a value {change:.2g}" in walker.status.value


@pytest.mark.parametrize("model_class", ["ViTForImageClassification", "BertForSequenceClassification"])
def test_each_label_has_a_bar_of_its_own_probability(create, model_class):
    walker, probabilities = create(model_class, num_labels=3, problem_type="multi_label_classification")
    assert walker.bars.has_bars
    assert walker.bars.values == walker.bars.reference == pytest.approx(probabilities.tolist())
    walker.algorithm.value = "SiMExp"
    walker.step()
    change = float((walker.path.outputs[-1].exp() - probabilities).abs().max())
    assert f"largest change of a probability {change:.2g}" in walker.status.value


@pytest.mark.parametrize(
    ("model_class", "options"), [("ViTForImageClassification", {"num_labels": 1000}), ("GPT2LMHeadModel", {})]
)
def test_of_many_classes_the_ten_most_probable_and_last_the_rest_have_bars(create, model_class, options):
    walker, probabilities = create(model_class, **options)
    top = probabilities.topk(10).values
    assert walker.bars.names[-1] == "the rest"
    assert walker.bars.values == pytest.approx([*top.tolist(), float(1 - top.sum())], abs=1e-6)
    walker.step()
    assert walker.path.drift.max() <= 1e-4
    assert "total variation" in walker.status.value


def test_tokens_are_shaded_by_the_metric_of_the_head(create):
    walker, _ = create("BertForSequenceClassification", num_labels=1)
    f = walker._map
    gradient = torch.func.grad(lambda chosen: f(chosen)[0])(f.start).norm(dim=1)
    assert [walker.view.shades[part] for part in f.parts] == pytest.approx(
        (gradient / gradient.max()).tolist(), rel=1e-4
    )


def test_a_walker_names_an_adapter_of_another_kind():
    with pytest.raises(ValueError, match="is EncoderAdapter, wanted ImageAdapter"):
        ClassWalker(load_adapter("bert-sentiment"), "a film")
    with pytest.raises(ValueError, match="is ImageAdapter, wanted TextAdapter"):
        SentenceWalker(load_adapter("vit-digits"), "a film")
