"""What every adapter owes: the model's own output, its derivative, second-order drift, shapes that survive."""

import pytest
import torch

from helpers import PullbackMetric, jacobian
from helpers.adapters import ToyAdapter


def whole_vit(vit, image):
    pixels = (torch.as_tensor(image)[None, None] - 0.5) / 0.5
    return vit.model(pixel_values=pixels).logits[0].log_softmax(-1)


@pytest.fixture(params=["toy", "vit", "vit in pixels"])
def case(request, vit, digits):
    """An adapter, a raw input, and the output of the whole model on it, computed another way."""
    if request.param == "toy":
        return ToyAdapter.load("circle"), (0.8, -0.3), torch.tensor([0.27, -0.27]).double().sigmoid().log()
    raw = digits.images[17]
    return vit if request.param == "vit" else vit.in_pixels(), raw, whole_vit(vit, raw)


def test_output_is_the_whole_models(case):
    adapter, raw, expected = case
    x = adapter.encode(raw)
    assert torch.allclose(adapter.output_map(x)(x), expected.to(x.dtype), atol=1e-5)
    assert torch.allclose(adapter.predict(x), expected.exp().to(x.dtype), atol=1e-6)
    assert len(expected) == len(adapter.class_names)
    assert len(x) == len(adapter.part_names)


def test_jacobian_is_the_derivative(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = adapter.output_map(x)
    rows = jacobian(f, x)[1].flatten(1)
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        v = torch.randn(x.shape, generator=g, dtype=x.dtype)
        v = v / v.norm()
        numeric = (f(x + 0.01 * v) - f(x - 0.01 * v)) / 0.02
        assert torch.allclose(rows @ v.flatten(), numeric, atol=0.02 * float(rows.norm()) / 10)


def test_a_null_steps_drift_quarters_when_the_step_halves(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = adapter.output_map(x)
    direction = PullbackMetric.at(f, x).project_vertical(
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
    assert adapter.decode(torch.stack([x, x])).shape == (2, *back.shape)
    assert adapter.bounds().contains(x)


def test_chosen_parts_move_and_the_others_stay(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    f = adapter.output_map(x, parts=[1])
    moved = f.start + 0.3
    whole = f.complete(moved)
    assert f.start.shape == (1, x.shape[1])
    assert torch.equal(whole[0], x[0])
    assert torch.equal(whole[1], moved[0])
    assert torch.allclose(f(moved), adapter.output_map(x)(whole))
    assert torch.equal(f.complete(torch.stack([f.start, moved]))[1], whole)
    rows = jacobian(f, f.start)[1]
    assert torch.allclose(rows, jacobian(adapter.output_map(x), x)[1][:, 1:2], atol=1e-5)


@pytest.mark.parametrize("parts", [[], [99], [-1], [0, 0]])
def test_bad_parts_are_named(case, parts):
    adapter, raw, _ = case
    with pytest.raises(ValueError, match="parts="):
        adapter.output_map(adapter.encode(raw), parts=parts)


def test_bad_points_are_named(case):
    adapter, raw, _ = case
    x = adapter.encode(raw)
    with pytest.raises(ValueError, match="point: has shape"):
        adapter.predict(x[:-1])
    with pytest.raises(ValueError, match="point: has shape"):
        adapter.predict(x.half())
    with pytest.raises(ValueError, match="a mask"):
        adapter.output_map(x, parts=[True, False])
    with pytest.raises(ValueError, match="NaN"):
        adapter.output_map(x * float("nan"))
