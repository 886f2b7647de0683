"""Walks side by side are the walks alone: same points, same counts, fewer runs of the map."""

import threading
import time
from functools import partial

import pytest
import torch

from helpers import WalkSettings, differentiation, jacobian, simec, simexp, walk_class
from helpers.adapters.toy import paraboloid
from helpers.equivalence import gradient_noise, walk_together
from helpers.geometry.differentiation import batched_jacobian

W = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)).double()
START = torch.randn(8, generator=torch.Generator().manual_seed(1)).double()


def classes(x):
    """A smooth classifier of 8 numbers into 3 classes."""
    return (W @ torch.tanh(x)).log_softmax(0)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def walks():
    """Walks of every kind, as functions of the map; each makes its generator anew."""
    return [
        lambda f: simec(f, START, 30, generator=seeded(1)),
        lambda f: simexp(f, START, 20, generator=seeded(2)),
        lambda f: walk_class(f, START, 3.0, settings=WalkSettings(tolerance=1e-8), generator=seeded(3)),
        lambda f: simec(f, START, 7, settings=WalkSettings(eta=3), generator=seeded(4)),
    ]


def test_walks_together_are_the_walks_alone():
    for path, alone in zip(walk_together(classes, walks()), [walk(classes) for walk in walks()], strict=True):
        assert torch.allclose(path.points, alone.points, atol=1e-10)
        assert torch.allclose(path.outputs, alone.outputs, atol=1e-10)
        assert path.forward_passes == pytest.approx(alone.forward_passes, abs=2), "round-off decides on a last pass"
        assert path.backward_passes == alone.backward_passes
        assert path.stopped_because == alone.stopped_because


def test_the_map_is_run_once_for_all_that_wait():
    runs = []

    def counted(x):
        runs.append(x.shape)
        return classes(x)

    six = [partial(simec, x=START, steps=10, generator=seeded(i)) for i in range(6)]
    made = walk_together(counted, six)
    assert sum(path.forward_passes for path in made) == 6 * 11
    assert len(runs) == 11


def test_the_same_bits_whatever_the_threads_timing():
    def dawdling(walk, seconds):
        def slow(f):
            return walk(lambda x: (time.sleep(seconds), f(x))[1])

        return slow

    first = walk_together(classes, walks())
    slowed = [dawdling(walk, 0.002 * (i % 2)) for i, walk in enumerate(walks())]
    for path, again in zip(first, walk_together(classes, slowed), strict=True):
        assert torch.equal(path.points, again.points)


@pytest.mark.parametrize("kept", [2**17, 16, 8, 1])
def test_only_the_outputs_asked_for_are_differentiated_however_many_points_fit(kept, monkeypatch):
    monkeypatch.setattr(differentiation, "KEPT_NUMBERS", kept)
    points = torch.stack([START, START / 2])
    outputs, rows = batched_jacobian(classes, points)
    for point, said, found in zip(points, outputs, rows, strict=True):
        expected = jacobian(classes, point)
        assert torch.allclose(said, expected[0])
        assert torch.allclose(found, expected[1])
    assert torch.equal(batched_jacobian(classes, points, [2])[1][:, 2], rows[:, 2])
    assert not batched_jacobian(classes, points, [2])[1][:, :2].any()
    predicted = int(classes(START).argmax())
    walk = partial(gradient_noise, x=START, steps=9, size=0.1)
    (path,) = walk_together(classes, [lambda f: walk(f, generator=seeded(5))], rows=[predicted])
    assert torch.allclose(path.points, walk(classes, generator=seeded(5)).points)


@pytest.mark.parametrize("where", ["walk", "map", "first question"])
def test_an_error_ends_all_walks_and_is_raised(where):
    before, ended = threading.active_count(), []

    def failing(f):
        if where == "walk":
            f(START)
            raise ValueError("from the walk")
        return f(START if where == "map" else START[:5])

    def watched(f):
        try:
            return simec(f, START, 1000)
        finally:
            ended.append(True)

    def broken(x):
        if where == "map":
            raise ValueError("from the map")
        return classes(x)

    with pytest.raises((ValueError, RuntimeError), match=r"from the|cannot be multiplied"):
        walk_together(broken, [watched, failing, watched])
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before
    assert len(ended) == 2


def test_no_walks_and_walks_that_never_ask():
    assert walk_together(paraboloid, []) == []
    assert walk_together(paraboloid, [lambda f: 3, lambda f: float(f(START))]) == [3, float(paraboloid(START))]
