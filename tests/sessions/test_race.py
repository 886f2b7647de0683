"""The race of all algorithms from one input, and the random control in it."""

import json
import math
from dataclasses import replace

import pytest
import torch

from helpers import WalkSettings
from helpers.equivalence import random_steps
from helpers.sessions import ImageInput, Race, walk
from helpers.sessions.session import first_step


@pytest.fixture
def race(vit, digits):
    return Race(ImageInput(vit.in_pixels(), digits.images[17]))


def test_random_steps_are_as_long_as_simecs_in_any_direction():
    rows = torch.tensor([[3.0, 0, 0, 0], [0, 2.0, 0, 0]], dtype=torch.float64)
    walk = random_steps(
        lambda x: rows @ x, torch.zeros(4, dtype=torch.float64), 300, None, WalkSettings(eta=6), torch.Generator()
    )
    points = [step.point for step in walk]
    moves = torch.stack(points[:-1]).diff(dim=0)
    assert torch.allclose(moves.norm(dim=1), torch.tensor(6 * math.sqrt(4 / 9), dtype=torch.float64))
    assert torch.allclose(moves.square().mean(0), moves.square().mean(), rtol=0.3)  # no direction is preferred


def test_all_walk_equally_far_and_only_the_corrected_one_holds_the_tolerance(race):
    for _ in range(6):
        frame = race.step()
    lanes = frame["lanes"]
    assert list(lanes) == list(walk.ALGORITHMS) == list(race.paths)
    assert {name: lane["algorithm"] for name, lane in lanes.items()} == {name: name for name in walk.ALGORITHMS}
    travels = [lane["travel"] for lane in lanes.values()]
    assert max(travels) < 1.5 * min(travels)
    drifts = {name: lane["drift"] for name, lane in lanes.items()}
    assert drifts["corrected"] <= 1e-4 < 100 * drifts["corrected"] < drifts["SiMEC"] < drifts["random"]
    assert drifts["SiMEC"] < drifts["SiMExp"]
    for name, path in race.paths.items():
        assert lanes[name]["drift"] == pytest.approx(float(path.drift[-1]), rel=1e-4)
    assert len(json.dumps(frame)) < 10_000


def test_it_goes_back_forth_and_on_and_restarts(race):
    frames = [race.frames[0], *(race.step() for _ in range(3))]
    points = race.paths["corrected"].points
    assert race.frames == frames
    assert race.back() is frames[2]
    assert race.step() == frames[3] and race.frames == frames
    race.select(1)
    race.choose(step_length="long")
    assert race.frames == frames
    race.step()
    assert race.frames[:2] == frames[:2] and len(race.frames) == 3
    race.choose(step_length="medium")
    race.restart()
    assert (len(race.frames), race.selected) == (1, 0)
    assert [race.step() for _ in range(3)] == frames[1:]
    assert torch.equal(race.paths["corrected"].points, points)


def test_an_error_in_one_lane_moves_none(race, monkeypatch):
    race.step()
    before, points = race.frames, {name: path.points for name, path in race.paths.items()}
    with monkeypatch.context() as broken:
        broken.setattr(race.lanes["SiMExp"], "_create_point", lambda step: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            race.step()
    assert (race.frames, race.selected) == (before, 1)
    assert all(torch.equal(path.points, points[name]) for name, path in race.paths.items())
    monkeypatch.undo()
    race.step()
    for name in ("SiMEC", "random"):
        path = race.paths[name]
        moves = path.points.diff(dim=0).flatten(1).norm(dim=1)
        assert torch.allclose(moves, path.step_sizes.to(moves), rtol=1e-4), "no step is missing"
    assert {len(path) for name, path in race.paths.items() if name != "corrected"} == {2}


def end_at_once(f, x, *_):
    first = first_step(f, x)
    yield from (first, replace(first, stopped_because="the kernel is trivial"))


def test_another_branch_replaces_the_later_points_of_every_lane(race, monkeypatch):
    for _ in range(3):
        race.step()
    race.select(1)
    race.choose(step_length="long")
    monkeypatch.setitem(walk.UNCORRECTED, "SiMEC", end_at_once)
    race.step()
    assert len(race.frames) == 3
    assert len(race.paths["SiMEC"]) == 1, "the lane that cannot go on ends where the branch begins"
    assert len(race.paths["random"]) == 2


def test_a_choice_that_changes_no_point_makes_a_branch_of_its_own(race):
    for _ in range(3):
        race.step()
    race.select(0)
    race.choose(tolerance=2e-4)  # larger than any change on these short steps
    race.step()
    assert len(race.frames) == 2
    for index in (0, 1):
        race.select(index)


def test_a_lane_that_cannot_go_on_says_so_and_the_others_go_on(race, monkeypatch):
    before = race.step()["lanes"]
    race.lanes["SiMEC"].interrupt()
    monkeypatch.setitem(walk.UNCORRECTED, "SiMEC", end_at_once)
    after = race.step()["lanes"]
    assert after["SiMEC"] == before["SiMEC"] | {"ended": "the kernel is trivial"}
    assert after["random"]["travel"] > before["random"]["travel"]
    assert race.stopped_because is None
