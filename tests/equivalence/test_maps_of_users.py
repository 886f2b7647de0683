"""Maps, points, generators and files as users bring them: the right result, or an error that says what to do."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from helpers import ExplorationPath, PullbackMetric, WalkSettings, jacobian, leave_class, simec, simexp, walk_class
from helpers.adapters.toy import paraboloid, saddle
from helpers.equivalence import simec_steps

X = torch.tensor([1.0, 0.5], dtype=torch.float64)
NET = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()


def net(point):
    return NET(point.flatten()).log_softmax(-1)


def start(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def without_gradient(point):
    with torch.no_grad():
        return net(point)


def in_inference_mode(point):
    with torch.inference_mode():
        return net(point)


@pytest.mark.parametrize(
    "f",
    [
        without_gradient,
        in_inference_mode,
        lambda p: net(p.detach()),
        lambda p: net(p).detach(),
        lambda p: net(p.detach()) + 0 * p.sum(),
        lambda p: torch.tensor(net(p).tolist(), dtype=torch.float64),
    ],
)
@pytest.mark.parametrize("call", [PullbackMetric.at, walk_class, leave_class, simec, jacobian])
def test_a_map_without_a_gradient_is_refused(f, call):
    with pytest.raises(ValueError, match=r"f: gives no gradient, although its outputs change.*no_grad"):
        call(f, start(6))


def test_a_critical_point_and_a_constant_map_have_a_zero_jacobian():
    origin = torch.zeros(2, dtype=torch.float64)
    for f in (paraboloid, saddle, lambda p: 0 * p[:1], lambda p: torch.ones(1, dtype=torch.float64)):
        assert PullbackMetric.at(f, origin).rank == 0
    assert jacobian(lambda p: torch.ones(4, dtype=torch.float64), start(3, 2))[1].shape == (4, 3, 2)


def test_the_jacobian_has_its_shape_where_only_parameters_need_a_gradient():
    def ignores_the_point(point):
        return NET(torch.ones(6, dtype=torch.float64))

    assert jacobian(ignores_the_point, start(2, 3))[1].shape == (3, 2, 3)


def test_a_map_may_reuse_one_buffer_for_its_outputs():
    buffer = torch.zeros(1, dtype=torch.float64)

    def reusing(point):
        value = paraboloid(point)
        if value.requires_grad:
            return value
        buffer.copy_(value)
        return buffer

    path = simec(reusing, X, steps=50)
    plain = simec(paraboloid, X, steps=50)
    assert torch.equal(path.outputs, plain.outputs)
    assert float(path.drift.max()) > 0.1
    assert torch.equal(walk_class(reusing, X, 3.0).points, walk_class(paraboloid, X, 3.0).points)


def test_a_map_that_changes_its_argument_changes_nothing_of_the_caller():
    def in_place(point):
        point *= 2
        return point.square().sum().reshape(1) / 4

    x = X.clone()
    for walk in (walk_class, simec, simexp):
        path = walk(in_place, x)
        assert torch.equal(x, X)
        assert torch.allclose(path.points, walk(paraboloid, X).points, atol=1e-9)
    metric = PullbackMetric.at(in_place, x)
    assert torch.equal(x, X) and torch.allclose(metric.factor, PullbackMetric.at(paraboloid, X).factor)


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_a_map_that_is_not_deterministic_is_refused(size):
    generator = torch.Generator().manual_seed(0)
    noisy = lambda p: net(p) + size * torch.randn(3, generator=generator, dtype=torch.float64)  # noqa: E731
    torch.manual_seed(0)  # so that two masks of six numbers never agree by chance
    dropout = torch.nn.Dropout(0.5)
    for f in (noisy, lambda p: net(dropout(p))):
        for walk in (walk_class, simec, leave_class):
            with pytest.raises(ValueError, match=r"f: gives two results for one point.*model\.eval"):
                walk(f, start(6))


def test_a_compiled_map_walks_as_the_plain_one():
    compiled = torch.compile(net, backend="aot_eager")  # as the default backend, without its C++ compiler
    assert torch.allclose(jacobian(compiled, start(6))[1], jacobian(net, start(6))[1])
    assert torch.allclose(walk_class(compiled, start(6), 1.0).points, walk_class(net, start(6), 1.0).points, atol=1e-8)


class Output(dict):
    logits = torch.ones(3)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda p: (net(p), p), "returned an object of type tuple; return one tensor"),
        (lambda p: {"logits": net(p)}, "returned an object of type dict"),
        (lambda p: Output(), r"returned an object of type Output.*\.logits"),
        (lambda p: np.ones(3), "returned an object of type ndarray"),
        (lambda p: 3.0, "returned an object of type float"),
        (lambda p: net(p)[None], r"must return a vector of shape \(k,\)"),
        (lambda p: net(p)[:0], "with k at least 1"),
        (lambda p: net(p).sum(), r"got shape \(\)"),
        (lambda p: net(p).half(), r"outputs: holds torch\.float16, must hold torch\.float32"),
        (lambda p: net(p).argmax()[None], r"outputs: holds torch\.int64"),
    ],
)
@pytest.mark.parametrize("call", [PullbackMetric.at, walk_class, simec, leave_class])
def test_outputs_of_a_wrong_kind_are_refused(f, message, call):
    with pytest.raises(ValueError, match=message):
        call(f, start(6))


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (np.ones(6), r"point: is a ndarray, must be a tensor; use torch\.as_tensor"),
        ([1.0] * 6, "point: is a list"),
        (torch.ones(6).half(), r"point: holds torch\.float16, must hold torch\.float32"),
        (torch.ones(6).bfloat16(), r"point: holds torch\.bfloat16"),
        (torch.ones(6, dtype=torch.long), r"point: holds torch\.int64"),
        (torch.ones(0), "point: is empty"),
        (torch.ones(3, 0), r"point: is empty, its shape is \(3, 0\)"),
    ],
)
@pytest.mark.parametrize("call", [PullbackMetric.at, walk_class, simec, leave_class, jacobian])
def test_points_of_a_wrong_kind_are_refused(point, message, call):
    with pytest.raises(ValueError, match=message):
        call(net, point)


def test_leaving_a_flat_map_ends_soon_and_says_why():
    path = leave_class(lambda p: 0 * p[:2] + torch.tensor([1.0, 0.0], dtype=torch.float64), X)
    assert len(path) <= 20
    assert path.stopped_because == "the map is flat here: no output changes"


def test_two_walks_from_one_generator_differ_and_each_can_be_repeated():
    generator = torch.Generator().manual_seed(7)
    first, second = (simec(net, start(6), 5, generator=generator) for _ in range(2))
    assert first.seed == 7 and second.seed != 7
    assert not torch.equal(first.points, second.points)
    for path in (first, second):
        again = simec(net, start(6), 5, generator=torch.Generator().manual_seed(path.seed))
        assert torch.equal(again.points, path.points) and again.seed == path.seed


def test_what_a_walk_yields_belongs_to_the_caller():
    walk = simec_steps(net, start(6), 5, None, WalkSettings(), torch.Generator().manual_seed(0))
    points = []
    for step in walk:
        points.append(step.point.clone())
        step.point.zero_()
        step.outputs.zero_()
    assert torch.equal(torch.stack(points[:-1]), simec(net, start(6), 5).points)


@pytest.fixture
def stored(tmp_path):
    file = tmp_path / "walk.safetensors"
    simec(net, start(6), 3).save(file)
    return file


def rewrite(file, change):
    """Store a walk's file again, its tensors and metadata changed."""
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        metadata = json.loads(opened.metadata()["walk"])
    change(tensors, metadata)
    save_file(tensors, file, metadata={"walk": json.dumps(metadata)})


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, metadata: tensors.pop("points"),
        lambda tensors, metadata: tensors.update(more=torch.ones(1)),
        lambda tensors, metadata: tensors.update(points=tensors["points"][:2].clone()),
        lambda tensors, metadata: tensors.update(outputs=tensors["outputs"][:, 0].clone()),
        lambda tensors, metadata: metadata.pop("seed"),
        lambda tensors, metadata: metadata.pop("settings"),
        lambda tensors, metadata: metadata.update(seed="<b>7</b>"),
        lambda tensors, metadata: metadata["settings"].update(tolerance=-1),
        lambda tensors, metadata: metadata["settings"].update(output_metric="Made up"),
        lambda tensors, metadata: metadata.update(more=1),
    ],
)
def test_a_damaged_file_is_refused(stored, change):
    rewrite(stored, change)
    with pytest.raises(ValueError, match="the stored walk is damaged"):
        ExplorationPath.load(stored)


def test_a_tampered_name_reaches_html_escaped(stored):
    rewrite(stored, lambda tensors, metadata: metadata.update(algorithm="<script>alert(1)</script>"))
    assert "<script>" not in ExplorationPath.load(stored)._repr_html_()


def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path, stored):
    path = ExplorationPath.load(stored)
    with pytest.raises(OSError, match="its folder does not exist"):
        path.save(tmp_path / "nowhere" / "walk.safetensors")
    with pytest.raises(OSError, match="the walk cannot be written there"):
        path.save(tmp_path)  # a folder
    with pytest.raises(FileNotFoundError):
        ExplorationPath.load(tmp_path / "missing.safetensors")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may write every file")
def test_a_read_only_file_is_an_error_that_names_it(stored):
    path = ExplorationPath.load(stored)
    stored.chmod(0o400)
    with pytest.raises(OSError, match="the walk cannot be written there"):
        path.save(stored)


class TanhInNumpy(torch.autograd.Function):
    """A function whose backward pass cannot run in batches."""

    @staticmethod
    def forward(ctx, point):
        ctx.save_for_backward(point)
        return torch.from_numpy(np.tanh(point.detach().numpy()))

    @staticmethod
    def backward(ctx, change):
        (point,) = ctx.saved_tensors
        return change * torch.from_numpy(1 - np.tanh(point.detach().numpy()) ** 2)


def test_a_backward_pass_that_cannot_run_in_batches_runs_one_by_one():
    x = start(4)
    outputs, rows = jacobian(TanhInNumpy.apply, x)
    assert torch.allclose(outputs, x.tanh())
    assert torch.allclose(rows, torch.diag(1 - x.tanh() ** 2))
