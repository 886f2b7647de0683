"""Where a walk heads: straight on, at random, or towards a target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.slices import SMALLEST_PROJECTION
from helpers.geometry import to_float64

RANDOM_HEADINGS = 4  # tried where the last direction leads nowhere, or at a stationary point of the distance
NEARER = 1e-3  # fraction of the distance that a straight null step must save; less counts as stationary
STATIONARY = math.sqrt(1 - (1 - NEARER) ** 2)  # the same as a cosine between the line to the target and the kernel
ARRIVED = 1e-3  # fraction of the first distance below which the target counts as reached
STEPS_PER_TURN = 3  # of a wandering walk; every turn takes a new Jacobian
SEARCH = 4.0  # way without coming nearer, in units of the first distance, after which the walk turns back
SEARCH_GROWTH = 3.0  # ratio of one such way to the one before
AIM = 0.9  # cosine between the curve and the direction to the target below which the walk aims again


@dataclass(frozen=True)
class Place:
    """Where a walk stands, as a direction sees it.

    Attributes:
        point: flat, float64.
        tangent: unit tangent of the walk, None at its start.
        project: projects a heading onto the kernel, inside the box.
        acceleration: the second derivative of the curve of the class along a unit null direction.
    """

    point: Tensor
    tangent: Tensor | None
    project: Callable[[Tensor], Tensor]
    acceleration: Callable[[Tensor], Tensor]

    def advance_towards(self, line: Tensor) -> float:
        """Return the component of a vector along the tangent; 0 at the start, where there is none."""
        return 0.0 if self.tangent is None else float(self.tangent @ line)


class Direction(Protocol):
    """Chooses headings; the walk takes the first one that leads somewhere."""

    end_reason: EndReason
    may_turn_back: bool  # whether a heading may lead back along the curve that was walked

    def headings(self, place: Place) -> Iterator[Tensor]:
        """Yield the headings to try from here, flat."""

    def turns(self, place: Place) -> bool:
        """Return whether the walk should leave its slice and choose a heading again."""

    def limit(self, place: Place) -> float:
        """Return the longest sensible step along the tangent."""

    def accepts(self, before: Tensor, after: Tensor) -> bool:
        """Return whether a step may end at a point."""


def random_heading(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a random unit vector of a flat point's size; the generator lives on the CPU."""
    heading = torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)
    return heading / heading.norm()


@dataclass
class Wandering:
    """Goes on along the tangent as far as the persistence says: 1 goes straight, 0 turns at random every few steps.

    Attributes:
        persistence: cosine between the tangent and the next heading.
        both_ways: whether to try opposite headings as well, as inside a box.
        generator: source of randomness.
    """

    persistence: float
    both_ways: bool
    generator: torch.Generator
    end_reason: EndReason = EndReason.NO_DIRECTION
    may_turn_back: bool = False
    _steps: int = 0

    def headings(self, place: Place) -> Iterator[Tensor]:
        """Yield the last tangent, mixed with a random direction, then random ones."""
        for attempt in range(1 + RANDOM_HEADINGS):
            heading = place.tangent if attempt == 0 else None
            if heading is None:
                heading = random_heading(place.point, self.generator)
            elif self.persistence < 1:
                fresh = random_heading(place.point, self.generator)
                heading = self.persistence * heading + math.sqrt(1 - self.persistence**2) * fresh
            yield heading
            if self.both_ways:
                yield -heading

    def turns(self, place: Place) -> bool:
        """Turn after every few steps unless the walk goes straight."""
        self._steps = (self._steps + 1) % STEPS_PER_TURN
        return self.persistence < 1 and self._steps == 0

    def limit(self, place: Place) -> float:
        """Set no limit."""
        return math.inf

    def accepts(self, before: Tensor, after: Tensor) -> bool:
        """Accept every point."""
        return True


class Approach:
    """Heads for a target, along the projection of the straight line onto the kernel.

    Where the projection vanishes, the distance to the target is stationary on the class. The walk goes on along a
    direction in which the class bends towards the target, if there is one. If there is none and the target has the
    held outputs, so that it may lie on the same piece, the walk goes straight on over the next maximum of the distance.
    After a long way without coming nearer than before it turns back and searches the other side, further each time.

    Args:
        start, target: flat, float64.
        on_level_set: whether the target has the held outputs.
        generator: source of randomness.
    """

    def __init__(self, start: Tensor, target: Tensor, on_level_set: bool, generator: torch.Generator):
        self._target, self._generator, self._on_level_set = target, generator, on_level_set
        self._first = float((target - start).norm())
        self._detour = self._receding = self._turn_back = False
        self._last, self._nearest, self._searched = start, self._first, 0.0  # since the walk was nearest
        self._search_limit = SEARCH * self._first
        self.end_reason, self.may_turn_back = EndReason.NOTHING_NEARER, True

    def headings(self, place: Place) -> Iterator[Tensor]:
        """Yield the direction to the target, or one that leads away from a stationary point; none at the end."""
        line = self._target - place.point
        if float(line.norm()) <= ARRIVED * self._first:
            self.end_reason = EndReason.TARGET_REACHED
            return
        if self._turn_back and place.tangent is not None:
            self._turn_back, self._detour, self._receding = False, True, False
            yield -place.tangent
        descent = place.project(line)
        if not self._detour:
            if _saving(descent, line) > NEARER:
                yield descent
                return
            for direction in self._null_directions(place):
                if 1 - float(line @ place.acceleration(direction)) < 0:
                    yield direction if float(direction @ line) >= 0 else -direction
        if self._on_level_set:
            self._detour, self._receding = True, False
            yield from self._null_directions(place)

    def turns(self, place: Place) -> bool:
        """Aim again at the target, at the end of a detour, or where the curve has turned away from it."""
        line = self._target - place.point
        along = place.advance_towards(line)
        if float(line.norm()) <= ARRIVED * self._first or self._searched_enough(place.point, float(line.norm())):
            return True
        if self._detour:  # it ends where a maximum of the distance has been passed
            self._receding |= along < -STATIONARY * float(line.norm())
            self._detour = not (self._receding and along > STATIONARY * float(line.norm()))
            return not self._detour
        descent = place.project(line)
        return _saving(descent, line) <= NEARER or along < AIM * float(descent.norm())

    def _searched_enough(self, point: Tensor, distance: float) -> bool:
        """Return whether the walk should turn back, because it has gone far without coming nearer than before."""
        self._searched += float((point - self._last).norm())
        self._last = point
        if distance < self._nearest:
            self._nearest, self._searched = distance, 0.0
        self._turn_back = self._on_level_set and self._searched > self._search_limit
        if self._turn_back:  # the way back does not count
            self._search_limit, self._searched = SEARCH_GROWTH * self._search_limit, -self._searched
        return self._turn_back

    def limit(self, place: Place) -> float:
        """Go no further than where the straight line is nearest to the target."""
        line = self._target - place.point
        along, distance = place.advance_towards(line), float(line.norm())
        return along if along > STATIONARY * distance and not self._detour else distance

    def accepts(self, before: Tensor, after: Tensor) -> bool:
        """Accept only nearer points, except on a detour."""
        return self._detour or bool((self._target - after).norm() < (self._target - before).norm())

    def _null_directions(self, place: Place) -> Iterator[Tensor]:
        """Yield the tangent and random null directions, of unit length."""
        if place.tangent is not None:
            yield place.tangent
        for _ in range(RANDOM_HEADINGS):
            wanted = random_heading(place.point, self._generator)
            direction = place.project(wanted)
            length = direction.norm()
            if length > SMALLEST_PROJECTION:
                yield direction / length


def _saving(descent: Tensor, line: Tensor) -> float:
    """Return the fraction of a distance that the nearest point of a straight null line saves."""
    share = float(descent.norm() / line.norm())
    return 1 - math.sqrt(max(0.0, 1 - share**2))


def flat(point: Tensor) -> Tensor:
    """Flatten a point to float64."""
    return to_float64(point.detach().flatten())
