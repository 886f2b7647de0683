"""A classifier of one's own, finetuned by the recipe of ``gpt2-sentiment``."""

import pytest
import torch

from data.training.gpt2 import Finetuning, finetune_classifier
from helpers.stitching import last_tokens, load_classifier
from helpers.weights import difference, load_weights

TEXTS = [
    "a great film about love",
    "what an awful boring mess",
    "great acting and a great story",
    "awful, awful, awful",
]
LABELS = ["praise", "blame"] * 2


def test_a_classifier_learns_its_labels_and_only_its_top_layer_changes(tmp_path):
    recipe = Finetuning(layers=1, epochs=12, batch=4, peak_lr=3e-3)
    folder = finetune_classifier("gpt2-reviews", TEXTS, LABELS, tmp_path / "mine", recipe)
    assert (folder / "model.safetensors").is_file()
    classifier, tokenizer = load_classifier(folder), load_weights(folder).tokenizer
    assert classifier(*last_tokens(tokenizer, TEXTS)).argmax(1).tolist() == [1, 0, 1, 0]
    changed = difference(load_weights(folder), load_weights("gpt2-reviews"))
    assert [bool(changed.W_out(layer).any()) for layer in range(4)] == [False, False, False, True]
    assert torch.equal(load_weights(folder).W_E, load_weights("gpt2-reviews").W_E), "also rounded as before"


@pytest.mark.parametrize(
    ("name", "labels", "recipe", "message"),
    [
        ("bert-reviews", LABELS, Finetuning(batch=4), "wanted 'gpt2'"),
        ("gpt2-reviews", LABELS[:3], Finetuning(batch=4), "labels: are 3 of 2 classes for 4 texts"),
        ("gpt2-reviews", ["same"] * 4, Finetuning(batch=4), "two classes or more"),
        ("gpt2-reviews", LABELS, Finetuning(), "number of texts"),
        ("gpt2-reviews", LABELS, Finetuning(batch=4, layers=5), "recipe.layers"),
    ],
)
def test_what_cannot_be_finetuned_is_one_message(tmp_path, name, labels, recipe, message):
    with pytest.raises(ValueError, match=message):
        finetune_classifier(name, TEXTS, labels, tmp_path, recipe)
    assert not list(tmp_path.iterdir())
