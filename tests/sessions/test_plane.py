"""Two walks over the plane: closed forms on the paraboloid, then behaviour."""

import json

import pytest
import torch

from helpers import ExplorationPath
from helpers.adapters import ToyAdapter
from helpers.adapters.toy import paraboloid, saddle, waves
from helpers.sessions import PlaneSession

FUNCTIONS = {"paraboloid": paraboloid, "saddle": saddle, "waves": waves}


@pytest.fixture
def session():
    return PlaneSession(FUNCTIONS)


def step(session, times=1):
    for _ in range(times):
        session.step()


def test_the_naive_walk_drifts_by_pythagoras_and_the_corrected_one_does_not(session):
    step(session, 12)
    lengths = session.path.step_sizes
    assert torch.allclose(session.naive_path.step_sizes, lengths)
    assert torch.allclose(session.naive_path.drift[1:], (lengths**2).cumsum(0))
    assert session.path.drift.max() <= 1e-10
    last = session.frames[-1]
    assert last["drifts"]["naive"] == pytest.approx(float(lengths.square().sum()), rel=1e-5)
    assert last["drifts"]["corrected"] == pytest.approx(float(session.path.drift[-1]), rel=1e-5)
    assert last["travel"] == pytest.approx(session.path.travel, rel=1e-5)
    for name, path in (("naive", session.naive_path), ("corrected", session.path)):
        points = torch.tensor([frame[name] for frame in session.frames], dtype=torch.float64)
        assert torch.allclose(points, path.points, rtol=1e-4)
    assert json.loads(json.dumps(session.frames)) == session.frames


def test_the_naive_walk_never_turns_back(session):
    step(session, 60)
    moves = session.naive_path.points.diff(dim=0)
    assert (moves[1:] * moves[:-1]).sum(1).min() > 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_first_steps_have_the_same_direction(session, name):
    session.choose(function=name)
    step(session)
    moves = [path.points[1] - path.points[0] for path in (session.path, session.naive_path)]
    assert torch.cosine_similarity(*moves, dim=0) > 0.98


def test_another_function_start_or_step_length_restarts_both_walks(session):
    for choice in ({"function": "waves"}, {"start": [-0.6, 0.8]}, {"step_length": "long (0.8)"}):
        step(session, 2)
        session.choose(**choice)
        assert (len(session.path), len(session.naive_path), session.selected) == (0, 0, 0)
    assert session.path.points.tolist() == [[-0.6, 0.8]]
    step(session, 8)  # the first steps are short: the control of the step length starts small
    longest = float(session.path.step_sizes.max())
    session.choose(step_length="short (0.1)")
    step(session, 8)
    assert float(session.path.step_sizes.max()) < longest


def test_a_restart_walks_the_same_way_again(session):
    step(session, 4)
    first = session.path.points
    session.restart()
    step(session, 4)
    assert torch.equal(session.path.points, first)


def test_from_an_earlier_point_both_walks_go_on_from_there(session):
    step(session, 4)
    session.select(2)
    assert session.step() is session.frames[3]
    assert len(session.path) == 4


def test_where_the_function_is_flat_the_corrected_walk_cannot_leave(session):
    session.choose(start=[0.0, 0.0])
    step(session, 3)
    assert session.path.displacement < 1e-3
    assert session.path.drift.max() <= 1e-10


def test_a_trivial_kernel_is_reported():
    session = PlaneSession({"hills": ToyAdapter.load("three-hills").log_probabilities})
    step(session)
    assert session.stopped_because == session.path.stopped_because == "the kernel is trivial"


class FailingMap:
    """The paraboloid, which raises an error once ``error`` is set."""

    error: type[BaseException] | None = None
    calls = 0

    def __call__(self, point):
        self.calls += 1
        if self.error:
            raise self.error("no value here")
        return paraboloid(point)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_all_as_it_was(error):
    f = FailingMap()
    session = PlaneSession({"f": f})
    step(session, 3)
    calls, frames, f.error = f.calls, session.frames, error
    for action in (session.step, lambda: session.choose(start=[0.5, 0.5])):
        with pytest.raises(error):
            action()
    assert (session.frames, session.choices.start) == (frames, (1.0, 0.5))
    f.error, calls = None, f.calls
    for index in (0, 2, 1):
        session.select(index)
    assert f.calls == calls, "the stored points are shown without computing"
    session.select(3)
    step(session)
    assert len(session.path) == 4
    assert session.path.drift.max() <= 1e-10


def test_both_paths_can_be_saved(session, tmp_path):
    step(session, 2)
    for path in (session.path, session.naive_path):
        path.save(tmp_path / "walk.safetensors")
        assert torch.equal(ExplorationPath.load(tmp_path / "walk.safetensors").points, path.points)
