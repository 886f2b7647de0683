"""Our walk inside an equivalence class: null steps, each corrected until the output is back.

A null step leaves the class by a distance that grows with the square of its length. Newton's corrections
x <- x + J^+ (f(x_0) - f(x)), the shortest moves that undo the change to first order, bring it
back; a point is accepted only when every output is within the tolerance of its first value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.equivalence.path import ExplorationPath, Step, Trail, collect
from helpers.equivalence.published import random_like
from helpers.equivalence.settings import WalkSettings, check_positive
from helpers.geometry import Box, Euclidean, PullbackMetric, SmoothMap, check_finite

SMALLEST_STEP = 1e-5  # fraction of the longest step under which a step counts as refused
STILL = 1e-3  # fraction of the wanted move's length under which what is left of it counts as nothing


@dataclass(frozen=True)
class Correction:
    """A point brought back to the class, with the map's value there and the corrections it took."""

    point: Tensor
    outputs: Tensor
    corrections: int


def feasible_move(
    metric: PullbackMetric,
    bounds: Box | None,
    point: Tensor,
    solve: Callable[[PullbackMetric, Tensor], Tensor],
) -> Tensor:
    """Solve for a move that pushes through no wall, by freezing the coordinates that would.

    Args:
        metric: at or near the point.
        bounds: the box, if any.
        point: inside the box.
        solve: (metric with coordinates frozen, boolean mask of the frozen) -> move, zero where frozen.
    """
    frozen = torch.zeros_like(point, dtype=torch.bool)
    move = solve(metric, frozen)
    while bounds is not None:
        blocked = bounds.blocked(point, move) & ~frozen
        if not blocked.any():
            break
        frozen |= blocked
        move = solve(metric.freeze(frozen), frozen)
    return move


def null_move(metric: PullbackMetric, bounds: Box | None, point: Tensor, wanted: Tensor) -> Tensor:
    """Find what of a wanted move neither changes the output, to first order, nor leaves the box."""
    return feasible_move(
        metric, bounds, point, lambda m, frozen: m.project_vertical(wanted.masked_fill(frozen, 0)) * ~frozen
    )


def correct(
    f: SmoothMap,
    start: Tensor,
    wanted: Tensor,
    metric: PullbackMetric,
    bounds: Box | None,
    settings: WalkSettings,
) -> Correction | None:
    """Bring a point back to the class by Newton corrections with a fixed Jacobian.

    Args:
        f: the map.
        start: a point near the class.
        wanted: outputs to come back to, (k,).
        metric: the pullback metric at a point nearby, whose Jacobian is used.
        bounds: the box, if any.
        settings: reads tolerance and corrections.

    Returns:
        The corrected point, or None when the corrections do not contract or the output is not finite.
    """
    point = start if bounds is None else bounds.clamp(start)
    last_error = math.inf
    for made in range(settings.corrections + 1):
        outputs = f(point)
        residual = wanted - outputs
        error = float(residual.abs().max())
        if error <= settings.tolerance:
            return Correction(point, outputs, made)
        if not error < 0.7 * last_error:  # also when the error is NaN
            return None
        last_error = error
        move = feasible_move(metric, bounds, point, lambda m, _, r=residual: m.solve_horizontal(r))
        point = point + move if bounds is None else bounds.clamp(point + move)
    return None


def wander_steps(
    f: SmoothMap,
    x: Tensor,
    travel: float,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
    wanted: Tensor | None = None,
) -> Iterator[Step]:
    """Yield the points of a corrected walk that goes nowhere in particular; see ``walk_class``."""
    check_positive("travel", travel)
    trail = Trail(f, x, bounds)
    stepper = _Stepper(trail, bounds, settings, wanted)
    yield trail.first()
    walked, previous = 0.0, trail.point
    for _ in range(settings.max_steps):
        metric = stepper.metric()
        if metric is None:
            yield trail.stop("the output is not finite")
            return
        heading, previous = trail.point - previous, trail.point
        direction = stepper.direction(metric, _mixed(heading, settings.persistence, generator))
        if direction is None:  # the kept heading is spent: try a fresh one
            direction = stepper.direction(metric, random_like(trail.point, generator))
        if direction is None:
            yield trail.stop("no null direction is left inside the box" if metric.nullity else "the kernel is trivial")
            return
        found = stepper.step(metric, direction, math.inf)
        if found is None:
            yield trail.stop(stepper.refusal)
            return
        yield (step := trail.advance(found.point, found.outputs))
        walked += step.size
        if walked >= travel:
            yield trail.stop("travel reached")
            return
    yield trail.stop("max_steps made")


def towards_steps(
    f: SmoothMap,
    x: Tensor,
    towards: Tensor,
    travel: float,
    bounds: Box | None,
    settings: WalkSettings,
    wanted: Tensor | None = None,
) -> Iterator[Step]:
    """Yield the points of a corrected walk towards a target point; see ``walk_class``."""
    check_positive("travel", travel)
    check_finite(towards, "towards")
    if towards.shape != x.shape:
        raise ValueError(f"towards: has shape {tuple(towards.shape)}, the start has {tuple(x.shape)}")
    trail = Trail(f, x, bounds)
    stepper = _Stepper(trail, bounds, settings, wanted)
    yield trail.first()
    walked, whole = 0.0, float((towards - trail.point).norm())
    for _ in range(settings.max_steps):
        left = towards - trail.point
        if left.norm() <= STILL * whole:
            yield trail.stop("target reached")
            return
        metric = stepper.metric()
        if metric is None:
            yield trail.stop("the output is not finite")
            return
        move = null_move(metric, bounds, trail.point, left)
        length, distance = float(move.norm()), left.norm()
        if length <= STILL * distance:
            yield trail.stop("no nearer point of the class lies ahead")
            return
        found = stepper.step(metric, move / length, length, lambda p, d=distance: (towards - p).norm() < d)
        if found is None:
            yield trail.stop(stepper.refusal)
            return
        yield (step := trail.advance(found.point, found.outputs))
        walked += step.size
        if walked >= travel:
            yield trail.stop("travel reached")
            return
    yield trail.stop("max_steps made")


class _Stepper:
    """Makes corrected null steps from a trail's end, and learns how long they may be."""

    def __init__(self, trail: Trail, bounds: Box | None, settings: WalkSettings, wanted: Tensor | None):
        self.trail, self.bounds, self.settings = trail, bounds, settings
        self.wanted = trail.outputs if wanted is None else wanted
        self.longest = settings.longest_step * trail.scale
        self.reach = self.longest
        self.refusal = ""

    def metric(self) -> PullbackMetric | None:
        """Take the Euclidean pullback metric at the trail's end; None where it is not finite.

        The tolerance is Euclidean, and every output metric has the same kernel; Fisher-Rao's factor would lose the
        outputs of improbable classes in round-off.
        """
        outputs, rows = self.trail.f.jacobian(self.trail.point)
        if not (torch.isfinite(outputs).all() and torch.isfinite(rows).all()):
            return None
        return PullbackMetric.from_jacobian(self.trail.point, outputs, rows, Euclidean(), self.settings.rank_tolerance)

    def direction(self, metric: PullbackMetric, wanted: Tensor) -> Tensor | None:
        """Take the null direction nearest to a wanted one; None where nothing is left of it."""
        move = null_move(metric, self.bounds, self.trail.point, wanted)
        length = move.norm()
        return None if length <= STILL * wanted.norm() else move / length

    def step(
        self,
        metric: PullbackMetric,
        direction: Tensor,
        limit: float,
        accept: Callable[[Tensor], bool] = lambda point: True,
    ) -> Correction | None:
        """Step along a unit direction, at most limit far, halving until the correction holds; None if none does."""
        length, self.refusal = min(self.reach, limit), "the tolerance cannot be held"
        smallest = SMALLEST_STEP * min(self.longest, limit)
        while length >= smallest:
            ahead = self.trail.point + length * direction
            found = correct(self.trail.f, ahead, self.wanted, metric, self.bounds, self.settings)
            if found is not None and accept(found.point):
                self.reach = min(self.longest, length * _growth(found.corrections))
                return found
            if found is not None:
                self.refusal = "no nearer point of the class lies ahead"
            length /= 2
        return None


def _growth(corrections: int) -> float:
    """Say by what factor the next step may be longer, from the corrections that this one took."""
    return 1.5 if corrections <= 2 else 1.0 if corrections <= 4 else 0.7


def _mixed(heading: Tensor, persistence: float, generator: torch.Generator) -> Tensor:
    """Mix the last heading with a fresh random direction, both of unit length."""
    fresh = random_like(heading, generator)
    fresh = fresh / fresh.norm()
    if heading.norm() == 0:
        return fresh
    return persistence * heading / heading.norm() + math.sqrt(1 - persistence**2) * fresh


def walk_class(
    f: SmoothMap,
    x: Tensor,
    travel: float = 10.0,
    towards: Tensor | None = None,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk inside the equivalence class of x with every output held within the tolerance.

    Args:
        f: the map whose output should stay.
        x: start, any shape.
        travel: Euclidean length after which the walk ends.
        towards: a point to come as near to as the class allows; without it the walk goes straight
            or wanders, as settings.persistence says.
        bounds: a box that no point leaves.
        settings: reads tolerance, persistence, longest_step, corrections, max_steps, rank_tolerance.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: travel <= 0, a target of another shape, x or f(x) not finite, or x outside the box.
    """
    settings, generator = settings or WalkSettings(), generator or torch.Generator().manual_seed(0)
    walk = walk_class_steps(f, x, travel, towards, bounds, settings, generator)
    return collect(walk, "walk_class", settings, generator.initial_seed())


def walk_class_steps(
    f: SmoothMap,
    x: Tensor,
    travel: float,
    towards: Tensor | None,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
    wanted: Tensor | None = None,
) -> Iterator[Step]:
    """Yield the points of a corrected walk as they are accepted; see ``walk_class``.

    Args other than those of ``walk_class``:
        wanted: the outputs (k,) to hold, for a walk that goes on where an earlier one ended; f(x) if None.
    """
    if towards is None:
        return wander_steps(f, x, travel, bounds, settings, generator, wanted)
    return towards_steps(f, x, towards, travel, bounds, settings, wanted)
