"""What every session shares, on a walk whose moves are the random numbers themselves."""

from dataclasses import dataclass

import pytest
import torch

from helpers.equivalence import Step, WalkSettings, create_generator
from helpers.sessions.session import Session, WalkPoint

SEED = 7


@dataclass(frozen=True)
class Choice:
    name: str = "first"


class NoiseSession(Session):
    """Each move is drawn from the walk's generator."""

    def __init__(self):
        super().__init__(WalkSettings(), SEED)
        self.choices = Choice()
        self._points = [WalkPoint(Step(torch.zeros(2), torch.zeros(1), 0.0, 1, 0), None, {})]

    def _start_walk(self, generator):
        def walk(point):
            yield Step(point, torch.zeros(1), 0.0, 1, 0)
            while True:
                point = point + torch.randn(2, generator=generator)
                yield Step(point, torch.zeros(1), 1.0, 1, 0)

        return lambda step: step, walk(self._points[self.selected].step.point)

    def _create_point(self, step):
        return WalkPoint(step, self.choices, {})


def draw(seed, count=1):
    generator = create_generator(seed)
    return torch.stack([torch.randn(2, generator=generator) for _ in range(count)])


def moves(session):
    return torch.stack([point.step.point for point in session.points]).diff(dim=0)


@pytest.mark.parametrize("end", ["interrupt", "choices", "both"])
def test_a_walk_draws_from_the_seed_plus_the_number_of_the_point_where_it_begins(end):
    session = NoiseSession()
    session.step()
    session.step()
    assert torch.allclose(moves(session), draw(SEED, 2)), "one walk draws on from one generator"
    if end != "choices":
        session.interrupt()
    if end != "interrupt":
        session.choices = Choice("second")
    session.step()
    session.step()
    assert torch.allclose(moves(session)[2:], draw(SEED + 2, 2))
    session.select(1)
    session.choices = Choice("third")
    session.step()
    assert torch.allclose(moves(session), torch.cat([draw(SEED), draw(SEED + 1)]))
    assert [point.begins for point in session.points] == [False, True, True]
