"""The plane walker driven as its controls drive it: closed forms on the paraboloid, then behaviour."""

import numpy as np
import pytest
import torch

from helpers import ExplorationPath
from helpers.adapters import ToyAdapter
from helpers.adapters.toy import paraboloid, saddle, waves
from helpers.widgets import PlaneWalker
from helpers.widgets.plane_walker import compute_level_curves, evaluate_on_grid


@pytest.fixture
def walker():
    return PlaneWalker({"paraboloid": paraboloid, "saddle": saddle, "waves": waves})


def press(walker, name, times=1):
    for _ in range(times):
        walker.buttons[name].click()


def test_the_naive_walk_drifts_by_pythagoras_and_the_corrected_one_does_not(walker):
    press(walker, "step", 12)
    lengths = walker.path.step_sizes
    assert torch.allclose(walker.naive_path.step_sizes, lengths)
    assert torch.allclose(walker.naive_path.drift[1:], (lengths**2).cumsum(0))
    assert walker.path.drift.max() <= 1e-10
    assert walker.view.drifts == pytest.approx([float(lengths.square().sum()), float(walker.path.drift[-1])])
    assert walker.view.naive == walker.naive_path.points.tolist()
    assert walker.view.corrected == walker.path.points.tolist()
    assert "point 12 of 12" in walker.status.value


def test_the_naive_walk_never_turns_back(walker):
    press(walker, "step", 60)
    moves = walker.naive_path.points.diff(dim=0)
    assert (moves[1:] * moves[:-1]).sum(1).min() > 0


@pytest.mark.parametrize("name", ["paraboloid", "saddle", "waves"])
def test_the_first_steps_have_the_same_direction(walker, name):
    walker.function.value = name
    press(walker, "step")
    moves = [path.points[1] - path.points[0] for path in (walker.path, walker.naive_path)]
    assert torch.cosine_similarity(*moves, dim=0) > 0.98


def test_level_curves_of_the_paraboloid_are_circles():
    (curve,) = compute_level_curves(evaluate_on_grid(paraboloid, 2.0), 2.0, [1.5])
    assert np.linalg.norm(curve, axis=1) == pytest.approx(np.sqrt(1.5), abs=2e-3)


def test_level_curves_leave_out_what_is_not_finite():
    curves = compute_level_curves(evaluate_on_grid(lambda p: p[:1].log() + p[1], 2.0), 2.0, [0.0])
    assert curves and min(x for curve in curves for x, _ in curve) > 0


def test_a_click_restarts_both_walks_there(walker):
    press(walker, "step", 3)
    walker.play.playing = True
    walker.view.start = [-0.6, 0.8]
    assert not walker.play.playing
    assert len(walker.path) == 0
    assert walker.slider.disabled
    assert walker.view.corrected == [[-0.6, 0.8]]
    radii = np.linalg.norm(walker.view.level[0], axis=1)
    assert radii == pytest.approx(1.0, abs=2e-3)


def test_a_new_function_and_a_new_step_length_restart_both_walks(walker):
    press(walker, "step", 3)
    before = walker.view.contours
    walker.function.value = "waves"
    assert walker.view.contours != before
    assert "waves" in walker.view.label
    assert len(walker.path) == 0
    press(walker, "step", 8)  # the first steps are short: the control of the step length starts small
    longest = float(walker.path.step_sizes.max())
    walker.step_length.value = "long (0.8)"
    press(walker, "step", 8)
    assert float(walker.path.step_sizes.max()) > longest


def test_a_restart_walks_the_same_way_again(walker):
    press(walker, "step", 4)
    first = walker.path.points
    press(walker, "restart")
    press(walker, "step", 4)
    assert torch.equal(walker.path.points, first)


def test_where_the_function_is_flat_the_corrected_walk_cannot_leave(walker):
    walker.view.start = [0.0, 0.0]
    press(walker, "step", 3)
    assert walker.path.displacement < 1e-3
    assert walker.path.drift.max() <= 1e-10


def test_a_trivial_kernel_is_reported(walker):
    hills = ToyAdapter.load("three-hills")
    stuck = PlaneWalker({"hills": hills.log_probabilities})
    press(stuck, "step")
    assert "the kernel is trivial" in stuck.status.value
    assert stuck.path.stopped_because == "the kernel is trivial"


class FailingMap:
    """The paraboloid, which raises an error once ``error`` is set."""

    error: type[BaseException] | None = None
    calls = 0

    def __call__(self, point):
        self.calls += 1
        if self.error:
            raise self.error("no value here")
        return paraboloid(point)


@pytest.mark.parametrize(("error", "message"), [(ValueError, "no value here"), (KeyboardInterrupt, "interrupted")])
def test_points_are_kept_after_an_error_and_an_interrupt(error, message):
    f = FailingMap()
    walker = PlaneWalker({"f": f})
    press(walker, "step", 3)
    f.error = error
    walker.play.playing = True
    press(walker, "step", 2)
    assert message in walker.status.value
    assert walker.status.is_error
    assert not walker.status.busy
    assert not walker.play.playing
    assert len(walker.path) == 3
    f.error = None
    press(walker, "step")
    assert len(walker.path) == 4
    assert not walker.status.is_error
    assert walker.path.drift.max() <= 1e-10


def test_an_error_at_a_new_start_is_shown():
    f = FailingMap()
    walker = PlaneWalker({"f": f})
    f.error = ValueError
    walker.view.start = [0.5, 0.5]
    assert "cannot start here: no value here" in walker.status.value


def test_the_slider_computes_nothing():
    f = FailingMap()
    walker = PlaneWalker({"f": f})
    press(walker, "step", 4)
    calls = f.calls
    for index in (0, 2, 4, 1):
        walker.slider.value = index
        assert len(walker.view.corrected) == index + 1
    assert f.calls == calls


def test_both_paths_can_be_saved(walker, tmp_path):
    press(walker, "step", 2)
    for path in (walker.path, walker.naive_path):
        path.save(tmp_path / "walk.safetensors")
        assert torch.equal(ExplorationPath.load(tmp_path / "walk.safetensors").points, path.points)
