"""What every session shares: its points, going back and forth between them, and a next step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from helpers.equivalence import ExplorationPath, Step, WalkSettings, create_generator, path_of_steps
from helpers.geometry import SmoothMap

UNLIMITED = 10**9  # steps or travel of a walk that goes on as long as someone asks for steps
DIGITS = 6  # significant digits of the numbers in a frame
Frame = dict[str, Any]  # what is seen at a point, as plain numbers and texts
Walk = tuple[Callable[[Step], Step], Iterator[Step]]  # how a step becomes one of whole points, and the steps


@dataclass(frozen=True)
class WalkPoint:
    """One point of a session.

    Attributes:
        step: that led here, to a whole point; its passes are those since the start of the session.
        choices: that the step was made with; None at the start.
        frame: what is seen here.
        other: the step of a second walk beside this one, where there is one.
        begins: whether a walk begins with this step, and draws from a generator of its own.
    """

    step: Step
    choices: Any
    frame: Frame
    other: Step | None = None
    begins: bool = False


class Session(ABC):
    """A walk made by hand: step, go back, and go on from any point with other choices.

    If a step raises an error, or is interrupted, the session stays as it was. A subclass sets ``_points`` to the start,
    and implements ``_start_walk`` and ``_create_point``.

    Attributes:
        choices: what the next step will be made with.
        first_choices: what it is made with unless something else is chosen.
        selected: the number of the point from which the next step will be made.
        stopped_because: why the last step did not move; None if it did.
    """

    choices: Any
    first_choices: Any

    def __init__(self, settings: WalkSettings, seed: int):
        self._settings, self.seed = settings, seed
        self.selected = 0
        self.stopped_because: str | None = None
        self._points: list[WalkPoint] = []
        self._walk: tuple[Any, Walk] | None = None  # the choices of the walk in progress, and the walk

    @abstractmethod
    def _start_walk(self, generator: torch.Generator) -> Walk:
        """Start a walk with the present choices at the selected point; its first step repeats that point."""

    @abstractmethod
    def _create_point(self, step: Step) -> WalkPoint:
        """Create the point to which a step leads from the selected one."""

    @property
    def points(self) -> list[WalkPoint]:
        """The start, and the points that were walked to."""
        return self._points

    @property
    def moves(self) -> list[tuple[Any, bool]]:
        """The choices with which each point after the start was made, and whether a walk begins with it."""
        return [(point.choices, point.begins) for point in self._points[1:]]

    @property
    def frames(self) -> list[Frame]:
        """What is seen at each point."""
        return [point.frame for point in self._points]

    def step(self) -> Frame:
        """Go to the next point: a stored one if it was made with the present choices, otherwise a new one.

        A new point replaces all later ones. Where the walk cannot go on, the selected point stays, and
        ``stopped_because`` says why.
        """
        following = self._points[self.selected + 1 : self.selected + 2]
        if following and following[0].choices == self.choices:
            return self.select(self.selected + 1)
        walk, self._walk = self._walk, None  # an iterator that raises an error is exhausted
        begins = walk is None or walk[0] != self.choices or bool(following)
        if walk is None or begins:
            # The seed depends on the point only, so that the same choices at the same points make the same walk.
            walk = (self.choices, self._start_walk(create_generator(self.seed + self.selected)))
            next(walk[1][1])  # the start, which is stored already
        complete, steps = walk[1]
        last, step = self._points[self.selected], next(steps)
        if step.stopped_because:
            forward, backward = step.forward_passes, step.backward_passes  # with those of the last attempt
            repeated = replace(last.step, forward_passes=forward, backward_passes=backward)
            later = self._points[self.selected + 1 :]
            self._points = [*self._points[: self.selected], replace(last, step=repeated), *later]
            self.stopped_because = step.stopped_because
            return last.frame
        point = replace(self._create_point(complete(step)), begins=begins)
        self._points = [*self._points[: self.selected + 1], point]
        self._walk, self.stopped_because = walk, None
        self.selected += 1
        return self._points[-1].frame

    def back(self) -> Frame:
        """Go to the previous point."""
        return self.select(max(0, self.selected - 1))

    def select(self, index: int) -> Frame:
        """Go to a stored point."""
        if not 0 <= index < len(self._points):
            raise ValueError(f"index={index}: must be between 0 and {len(self._points) - 1}, the last point")
        self.selected, self.stopped_because = index, None
        return self._points[index].frame

    def discard_later(self) -> None:
        """Discard all points after the selected one."""
        if self._points[self.selected + 1 :]:
            self._points, self._walk = self._points[: self.selected + 1], None

    def restart(self) -> Frame:
        """Go back to the start, discard all other points, and draw the same random directions again."""
        frame = self.select(0)
        self.discard_later()
        return frame

    def interrupt(self) -> None:
        """End the walk in progress; the next step begins a new one at the selected point."""
        self._walk = None

    def _assemble_path(self, steps: list[Step], algorithm: str) -> ExplorationPath:
        end = replace(steps[-1], stopped_because=self.stopped_because)
        return path_of_steps(steps, end, algorithm or "no step yet", self._settings, self.seed)


@torch.no_grad()
def first_step(f: SmoothMap, point: Tensor) -> Step:
    """Evaluate a map at the start of a walk."""
    return Step(point, f(point), size=0.0, forward_passes=1, backward_passes=0)


def add_passes(step: Step, previous: Step) -> Step:
    """Return a step whose passes include those of a previous step."""
    return replace(
        step,
        forward_passes=step.forward_passes + previous.forward_passes,
        backward_passes=step.backward_passes + previous.backward_passes,
    )


def check_option(name: str, value: Any, options: Collection[str]) -> None:
    """Raise a ValueError unless a value is one of the options."""
    if value not in options:
        raise ValueError(f"{name}={value!r}: wanted one of {', '.join(options)}")


def round_number(value: float) -> float:
    """Round a number to the digits of a frame."""
    return float(f"{value:.{DIGITS}g}")
