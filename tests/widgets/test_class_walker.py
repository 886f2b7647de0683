"""The class walker driven as its buttons drive it; tests/browser does the same in a real browser."""

import numpy as np
import pytest
import torch

from helpers import ExplorationPath
from helpers.geometry import Box
from helpers.widgets import ClassWalker


@pytest.fixture(params=["embeddings", "pixels"])
def walker(request, vit, digits):
    return ClassWalker(vit if request.param == "embeddings" else vit.in_pixels(), digits.images[17])


def press(walker, name, times=1):
    for _ in range(times):
        walker.buttons[name].click()


def test_stepping_walks_inside_the_class(walker):
    press(walker, "step", 5)
    assert walker.slider.value == walker.slider.max == 5
    assert isinstance(walker.path, ExplorationPath)
    assert walker.path.drift.max() <= 1e-4
    assert walker.path.algorithm == "corrected"
    assert "point 5 of 5" in walker.status.value


def test_the_slider_shows_stored_points_and_computes_nothing(walker):
    first = walker.view.picture
    press(walker, "step", 4)
    cost = walker.path.forward_passes
    walker._adapter = None  # the model cannot be used
    walker.slider.value = 0
    assert walker.view.picture == first
    press(walker, "step", 2)
    assert walker.slider.value == 2
    press(walker, "back")
    assert walker.slider.value == 1
    assert walker.path.forward_passes == cost
    assert len(walker.path) == 4
    assert not walker.status.is_error


def test_simexp_changes_the_bars_and_simec_less(walker):
    walker.algorithm.value = "SiMExp"
    press(walker, "step", 10)
    out = float(walker.path.drift[-1])
    press(walker, "restart")
    assert len(walker.path) == 0
    walker.algorithm.value = "SiMEC"
    press(walker, "step", 10)
    assert float(walker.path.drift[-1]) < out
    assert walker.bars.values == pytest.approx(walker.path.outputs[-1].exp().tolist())


def test_only_chosen_patches_move(walker):
    walker.view.selected = [16, 17, 24]
    press(walker, "step", 3)
    moved = (walker.path.points[-1] - walker.path.points[0]).abs().sum(1).nonzero().flatten()
    assert moved.tolist() == [16, 17, 24]


def test_a_new_algorithm_discards_later_points(walker):
    press(walker, "step", 4)
    walker.slider.value = 2
    walker.algorithm.value = "SiMExp"
    assert len(walker.path) == 2
    press(walker, "step")
    assert len(walker.path) == 3
    assert walker.path.algorithm == "corrected + SiMExp"
    assert torch.equal(walker.path.outputs.argmax(1), walker.path.classes)


def test_a_step_without_patches_shows_an_error(walker):
    press(walker, "no patches")
    press(walker, "step")
    assert "click at least one" in walker.status.value
    assert len(walker.path) == 0
    press(walker, "all patches")
    press(walker, "step")
    assert len(walker.path) == 1


def test_a_walk_that_stops_says_why_and_counts_its_passes(walker, monkeypatch):
    monkeypatch.setattr(walker._adapter, "bounds", lambda point: Box(point, point))  # no direction stays inside
    passes = [walker.path.forward_passes]
    for _ in range(2):
        walker.play.playing = True
        press(walker, "step")
        assert walker.status.value == "the walk stopped: no null direction was found inside the box"
        assert not walker.play.playing
        assert walker.path.stopped_because == "no null direction was found inside the box"
        passes.append(walker.path.forward_passes)
    assert passes == sorted(set(passes))
    monkeypatch.undo()
    press(walker, "step")
    assert (len(walker.path), walker.path.stopped_because) == (1, "no further step was made")


def test_a_walk_from_a_corner_of_the_box_stays_inside(vit):
    walker = ClassWalker(vit.in_pixels(), np.zeros((28, 28)))
    walker.view.selected = [0]
    press(walker, "step", 10)
    assert walker.status.value.startswith("point 10 of 10:")
    assert walker.path.displacement > 0
    assert vit.in_pixels().bounds(walker.path.points[0]).contains(walker.path.points)


def test_play_steps_and_stops_at_an_error(walker):
    walker.play.playing = True
    walker.play.value += 1
    assert len(walker.path) == 1
    press(walker, "no patches")
    walker.play.value += 1
    assert not walker.play.playing


def test_the_path_can_be_saved(walker, tmp_path):
    press(walker, "step", 2)
    walker.path.save(tmp_path / "walk.safetensors")
    assert torch.equal(ExplorationPath.load(tmp_path / "walk.safetensors").points, walker.path.points)


def test_a_new_step_length_in_a_corrected_walk_keeps_its_tolerance(walker):
    for _ in range(6):
        for step_length in walker.step_length.options:
            walker.step_length.value = step_length
            press(walker, "step")
    assert walker.path.algorithm == "corrected"
    assert walker.path.drift.max() <= 1e-4


def test_after_an_error_the_next_step_continues(walker, monkeypatch):
    press(walker, "step")
    with monkeypatch.context() as broken:
        broken.setattr(walker._adapter.model.vit.layernorm, "forward", lambda *_: 1 / 0)
        press(walker, "step")
        assert "division by zero" in walker.status.value
    press(walker, "step")
    assert len(walker.path) == 2


def test_an_error_at_the_first_step_is_shown_and_cleared(walker, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(walker._adapter.model.vit.layernorm, "forward", lambda *_: 1 / 0)
        press(walker, "step", 2)
        assert "division by zero" in walker.status.value
        assert walker.status.is_error
    press(walker, "step")
    assert len(walker.path) == 1
    assert not walker.status.is_error


def test_an_interrupt_keeps_all_points(walker, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    press(walker, "step", 2)
    points = walker.path.points
    with monkeypatch.context() as stopped:
        stopped.setattr(walker._adapter.model.vit.layernorm, "forward", interrupt)
        walker.play.playing = True
        press(walker, "step")
    assert "interrupted" in walker.status.value
    assert not walker.play.playing
    assert torch.equal(walker.path.points, points)


def test_the_stop_button_of_play_makes_no_step(walker):
    walker.play.value = 2
    walker.play.value = 0
    assert len(walker.path) == 1


def test_passes_add_up_over_algorithms_and_later_points_take_theirs_with_them(walker):
    walker.algorithm.value = "SiMEC"
    press(walker, "step", 2)
    two = walker.path.cost
    walker.algorithm.value = "SiMExp"
    press(walker, "step", 2)
    four = walker.path.cost
    assert four > two
    walker.slider.value = 2
    walker.algorithm.value = "SiMEC"
    assert walker.path.cost == two
    press(walker, "step", 2)
    assert walker.path.cost == four


def test_a_restart_draws_the_same_directions_again(walker):
    walker.algorithm.value = "SiMExp"
    press(walker, "step", 2)
    first = walker.path.points
    press(walker, "restart")
    press(walker, "step", 2)
    assert torch.equal(walker.path.points, first)


def test_the_path_of_some_patches_is_a_list_of_whole_points(walker, tmp_path):
    walker.view.selected = [3, 4]
    press(walker, "step", 2)
    assert walker.path.curve is None
    with pytest.raises(ValueError, match="makes points and no curve"):
        walker.path.at(0.1)
