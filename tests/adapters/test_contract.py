"""What every adapter owes: the model's own output, its derivative, second-order drift, shapes that survive."""

import numpy as np
import pytest
import torch

from helpers import PullbackMetric, WalkSettings, jacobian, leave_class, simec, walk_class
from helpers.adapters import BertAdapter, GPT2Adapter, ToyAdapter, ViTAdapter


def whole_vit(vit, image):
    pixels = (torch.as_tensor(image)[None, None] - 0.5) / 0.5
    return vit.model(pixel_values=pixels).logits[0].log_softmax(-1)


OPENING = "The acting was superb and the story is very"
SENTENCE = "a warm and funny film, with two fine actors."


@pytest.fixture(params=["toy", "vit", "vit in pixels", "bert", "gpt2"])
def case(request, vit, digits, bert):
    """An adapter, a raw input, and the output of the whole model on it, computed another way."""
    if request.param == "bert":  # in float64: it is so sure of itself that float32 would see no change
        fine = BertAdapter.load("bert-sentiment", dtype=torch.float64)
        tokens = bert.tokenizer(SENTENCE, return_tensors="pt")
        return fine, SENTENCE, bert.model(**tokens).logits[0].log_softmax(-1)
    if request.param == "gpt2":
        fine = GPT2Adapter.load("gpt2-reviews", dtype=torch.float64)
        return fine, OPENING, fine.model(torch.tensor([fine.token_ids(OPENING)])).logits[0, -1].log_softmax(-1)
    if request.param == "toy":
        return ToyAdapter.load("circle"), (0.8, -0.3), torch.tensor([0.27, -0.27]).double().sigmoid().log()
    raw = digits.images[17]
    return vit if request.param == "vit" else vit.in_pixels(), raw, whole_vit(vit, raw)


def whole(adapter, x):
    """The map over all parts."""
    return adapter.output_map(x, parts=range(len(x)))


def test_output_is_the_whole_models(case):
    adapter, raw, expected = case
    x = adapter.encode(raw)
    f = whole(adapter, x)
    outputs = expected.to(x.dtype)
    if f.target is not None:
        shown = outputs[list(f.target)]
        outputs = torch.cat([shown, (1 - shown.exp().sum(0, keepdim=True)).log()])
    assert torch.allclose(f(x), outputs, atol=1e-5)
    assert torch.allclose(adapter.predict(x), expected.exp().to(x.dtype), atol=1e-6)
    assert len(expected) == len(adapter.class_names)
    assert len(x) == len(adapter.part_names(x))


def test_jacobian_is_the_derivative(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = whole(adapter, x)
    rows = jacobian(f, x)[1].flatten(1)
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        v = torch.randn(x.shape, generator=g, dtype=x.dtype)
        v = v / v.norm()
        numeric = (f(x + 0.01 * v) - f(x - 0.01 * v)) / 0.02
        assert torch.allclose(rows @ v.flatten(), numeric, rtol=0, atol=2e-3 * float(numeric.abs().max()))


def test_a_null_steps_drift_quarters_when_the_step_halves(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = whole(adapter, x)
    direction = PullbackMetric.at(f, x).project_to_kernel(
        torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    )
    direction = direction / direction.norm()
    drifts = [float((f(x + step * direction) - f(x)).abs().max()) for step in (0.2, 0.1)]
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.25)


def test_shapes_survive_encode_and_decode(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    back = adapter.decode(x)
    assert torch.allclose(adapter.encode(back), x, atol=1e-4)
    assert np.shape(adapter.decode(torch.stack([x, x]))) == (2, *np.shape(back))
    assert adapter.bounds(x).contains(x)


def test_an_adapter_has_no_history(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    before, names = adapter.bounds(x), adapter.part_names(x)
    if isinstance(raw, str):
        adapter.encode(f"{raw} {raw}")
        adapter.encode(raw.split()[0])
    after = adapter.bounds(adapter.encode(raw))
    assert torch.equal(before.lower, after.lower)
    assert torch.equal(before.upper, after.upper)
    assert adapter.part_names(x) == names
    assert len(names) == len(x)


def test_chosen_parts_move_and_the_others_stay(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = adapter.output_map(x, parts=[1])
    moved = f.start + 0.3
    completed = f.complete(moved)
    assert f.start.shape == (1, x.shape[1])
    assert torch.equal(completed[0], x[0])
    assert torch.equal(completed[1], moved[0])
    assert torch.allclose(f(moved), whole(adapter, x)(completed))
    assert torch.equal(f.complete(torch.stack([f.start, moved]))[1], completed)
    rows = jacobian(f, f.start)[1]
    assert torch.allclose(rows, jacobian(whole(adapter, x), x)[1][:, 1:2], atol=1e-5)


def test_a_target_adds_up_the_rest(vit, digits):
    x = vit.encode(digits.images[17])
    every = vit.log_probabilities(x)
    best = every.topk(3).indices
    f = vit.output_map(x, target=3)
    assert f.target == tuple(best.tolist())
    assert f.names == (*(str(int(i)) for i in best), "the rest")
    assert torch.allclose(f(x)[:3], every[best])
    assert f(x).exp().sum() == pytest.approx(1.0)
    chosen = vit.output_map(x, parts=[3, 4], target=[7, 0])
    assert torch.allclose(chosen(x[3:5])[:2], every[[7, 0]])
    path = walk_class(f, x, travel=5.0)
    assert path.drift.max() <= 1e-4
    assert path.backward_passes % 4 == 0, "four outputs are differentiated, not ten"


@pytest.mark.parametrize("target", [0, 10, [], [3, 3], [10], [True, False], list(range(10)), "seven", 1.5])
def test_a_target_that_is_none_is_named(vit, digits, target):
    x = vit.encode(digits.images[17])
    with pytest.raises(ValueError, match="target="):
        vit.output_map(x, target=target)


def test_precision_is_an_argument(digits):
    fine = ViTAdapter.load("vit-digits", dtype=torch.float64)
    x = fine.encode(digits.images[3])
    path = walk_class(fine.output_map(x), x, travel=5.0, settings=WalkSettings(tolerance=1e-9))
    assert path.points.dtype == torch.float64
    assert path.drift.max() <= 1e-9
    assert torch.allclose(fine.encode(fine.decode(x)), x)
    with pytest.raises(ValueError, match=r"dtype=torch\.bfloat16"):
        ViTAdapter.load("vit-digits", dtype=torch.bfloat16)


def test_a_whole_point_on_a_map_of_some_parts_is_refused_with_the_way_out(bert, vit, digits):
    x = bert.encode("the story is told with great warmth .")
    f = bert.output_map(x)
    assert len(f.start) < len(x)
    for call in (walk_class, simec, leave_class, PullbackMetric.at, lambda f, x: f(x)):
        with pytest.raises(ValueError, match=rf"this map moves {len(f.parts)} of {len(x)} parts.*start from f\.start"):
            call(f, x)
    y = vit.encode(digits.images[0])
    assert len(walk_class(vit.output_map(y), y, travel=1.0)) > 0, "all patches move, so the whole point is taken"


@pytest.mark.parametrize("make", [ToyAdapter, ToyAdapter.load])
def test_an_unknown_toy_is_refused(make):
    with pytest.raises(ValueError, match=r"name='oval': must be one of .*'circle'"):
        make("oval")
