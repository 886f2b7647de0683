"""Class space: closed forms on a tiny model, the model's own layers, and the bundled digits beside random models."""

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from helpers.adapters import ViTAdapter
from helpers.figures import draw_layers_beside_control
from helpers.measures import (
    class_identifiability,
    class_value_agreement,
    compare_class_space,
    compare_readings,
    key_value_agreement,
    map_classes,
    measure_class_space,
    read_classes,
    trace_classes,
)
from helpers.resources import make_random_model
from helpers.weights import load_weights


@pytest.fixture(scope="module")
def random(tmp_path_factory):
    folder = make_random_model("vit-digits", tmp_path_factory.mktemp("random"), seed=0)
    return ViTAdapter.load(folder), load_weights(folder)


@pytest.fixture(scope="module")
def w():
    return load_weights("vit-digits")


@pytest.fixture(scope="module")
def trace(vit, w, digits):
    return trace_classes(vit, w, vit.encode(digits.images[17]))


def test_identifiability_counts_the_classes_above():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0], [0.0, 2.0, 1.0, 3.0]])
    assert class_identifiability(logits, 0).tolist() == [1.0, 0.25]
    assert class_identifiability(logits, 1).tolist() == [0.75, 0.75]


def test_a_trace_holds_what_the_model_computes(vit, w, digits, trace):
    """The states of the last block follow from the coefficients and the values, and the last [CLS] gives the output."""
    last = w.n_layers - 1
    after = trace.states[last] + trace.coefficients["attention"][last] @ w.vectors("W_O", last) + w.b_O(last)
    assert torch.allclose(after, trace.middle[last], atol=1e-5)
    after = after + trace.coefficients["MLP"][last] @ w.W_out(last) + w.b_out(last)
    assert torch.allclose(after, trace.states[-1], atol=1e-4)
    own = vit.log_probabilities(vit.encode(digits.images[17]))
    assert torch.allclose(read_classes(w, trace.states[-1, 0]).log_softmax(-1), own, atol=1e-4)


def test_a_map_adds_up_to_what_a_head_writes_in_the_direction_of_the_class(w, trace):
    label, folded = 3, w.fold_norms().W_U
    direction = folded[:, label] - folded.mean(1)
    written = torch.stack(
        [v[0] @ w.W_O(2, head) @ direction for head, v in enumerate(trace.patterns[2] @ trace.values[2])]
    )
    from_cls = trace.patterns[2, :, 0, 0] * torch.stack(
        [trace.values[2, head, 0] @ w.W_O(2, head) @ direction for head in range(w.n_heads)]
    )
    assert torch.allclose(map_classes(trace, w, label)[2].sum(-1) + from_cls, written, atol=1e-4)


def test_values_that_are_rows_of_classes_agree_with_those_that_are_active(tmp_path):
    """Neuron 4 is the most active one everywhere and writes class 2; class 0 is written by neurons that are silent."""
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    model = ViTForImageClassification(ViTConfig(**shape, image_size=8, patch_size=4, num_channels=1, num_labels=3))
    with torch.no_grad():
        mlp = model.vit.layers[0].mlp
        model.classifier.weight.copy_(torch.eye(3, 8))
        mlp.fc1.weight.zero_()
        mlp.fc1.bias.fill_(-10)[4:9] = torch.arange(5.0, 0, -1)
        mlp.fc2.weight.copy_(-torch.ones(8, 24))
        mlp.fc2.weight[:, [4, 10, 11, 12, 13]] = torch.eye(8)[:, [2] * 5]
        mlp.fc2.weight[:, 14:19] = torch.eye(8)[:, [0] * 5]
    model.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 8, "width": 8}, image_mean=[0.5], image_std=[0.5]).save_pretrained(tmp_path)
    w, adapter = load_weights(tmp_path), ViTAdapter.load(tmp_path)
    assert class_value_agreement(w, "MLP", 0).tolist() == pytest.approx([1, 0, 1])
    traced = trace_classes(adapter, w, adapter.encode(torch.full((8, 8), 0.3).numpy()))
    assert key_value_agreement(traced, w, "MLP", 2).tolist() == [[True] * 5]
    assert key_value_agreement(traced, w, "MLP", 0).tolist() == [[False] * 5]


def test_the_digits_are_more_identifiable_than_in_a_random_model(vit, w, digits, random):
    """Figures of the first trial: [CLS] reaches 1, and its MLP values agree with classes more than random ones do."""
    some = digits.images[:20], digits.labels[:20]
    measured, control = measure_class_space(vit, w, *some), measure_class_space(*random, *some)
    tables = compare_class_space(measured, [control])
    own = tables["identifiability, [CLS]"]
    assert own["value"].iloc[-1] > 0.95 and own["low"].iloc[-1] > 0 and abs(own["control"] - 0.55).max() < 0.15
    assert tables["class-value agreement, MLP"]["value"].round(2).tolist() == [0.39, 0.45, 0.52, 0.67]
    draw_layers_beside_control({"patches": tables["identifiability, patches"]}, "identifiability", "random")


def test_a_change_rate_counts_rows_whose_probability_rises(vit, w, digits, trace):
    measured, label = measure_class_space(vit, w, digits.images[17:18], [8]), 8
    before, half, after = (
        read_classes(w, x)[1:].softmax(-1)[:, label] for x in (trace.states[2], trace.middle[2], trace.states[3])
    )
    assert measured["change rate, attention, patches"][2, 0] == (half > before).double().mean()
    assert measured["change rate, MLP, patches"][2, 0] == (after > half).double().mean()
    assert measured["change rate, MLP, [CLS]"].unique().tolist() in ([0], [1], [0, 1])


def test_readings_of_the_same_input_do_not_differ(w, vit, digits, trace):
    same = compare_readings(trace, trace, w)
    assert all(values.abs().max() == 0 for values in same.values())
    other = compare_readings(trace, trace_classes(vit, w, vit.encode(digits.images[3])), w)
    assert other["state, [CLS]"][0] == 0 < other["state, [CLS]"][1], "[CLS] is the same before the first block"
    assert other["reading, patches"].min() > 0 and other["reading, [CLS]"].max() <= 1


def test_folded_weights_are_refused(vit, w, digits):
    with pytest.raises(ValueError, match="norms folded in; wanted load_weights"):
        trace_classes(vit, w.fold_norms(), vit.encode(digits.images[0]))


def test_a_random_model_is_repeated_by_its_seed_and_changes_no_global_one(tmp_path):
    before = torch.random.get_rng_state()
    first, second, other = (
        load_weights(make_random_model("vit-digits", tmp_path / n, int(n[0]))) for n in ("1a", "1b", "2")
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.W_out(3), second.W_out(3)) and not torch.equal(first.W_out(3), other.W_out(3))


def test_an_interval_covers_every_control():
    values = {"m": torch.tensor([[1.0, 1, 1, 1]])}
    controls = [{"m": torch.full((1, 4), level)} for level in (0.2, 0.9)]
    row = compare_class_space(values, controls)["m"].iloc[0]
    assert row.tolist() == pytest.approx([0, 1, 0.55, 0.45, 0.1, 0.8])
