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

from helpers.equivalence.path import NOT_FINITE, ExplorationPath, Step, Trail, collect
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


@dataclass(frozen=True)
class Proposal:
    """Where to step next, or why nowhere.

    Attributes:
        direction: of unit length, null at the present point; None when there is none.
        limit: longest sensible step.
        accept: says whether an arrival will do.
        refusal: why there is no direction, or, if every arrival was refused, why the walk ends.
    """

    direction: Tensor | None
    limit: float = math.inf
    accept: Callable[[Tensor], bool] = lambda _: True
    refusal: str = ""


Propose = Callable[[PullbackMetric, Tensor], Proposal]  # metric at the present point, the point -> proposal


def wander(start: Tensor, bounds: Box | None, persistence: float, generator: torch.Generator) -> Propose:
    """Keep the last step's direction as far as persistence says; take a fresh one when walls have used it up."""
    previous = start

    def propose(metric: PullbackMetric, point: Tensor) -> Proposal:
        nonlocal previous
        heading, previous = point - previous, point
        for wish in (lambda: _mixed(heading, persistence, generator), lambda: random_like(point, generator)):
            wanted = wish()
            move = null_move(metric, bounds, point, wanted)
            if move.norm() > STILL * wanted.norm():
                return Proposal(move / move.norm())
        spent = "no null direction is left inside the box" if metric.nullity else "the kernel is trivial"
        return Proposal(None, refusal=spent)

    return propose


def approach(start: Tensor, target: Tensor, bounds: Box | None) -> Propose:
    """Take what the kernel and the box leave of the straight line to the target, and only come nearer."""
    whole, nothing_nearer = (target - start).norm(), "no nearer point of the class lies ahead"

    def propose(metric: PullbackMetric, point: Tensor) -> Proposal:
        distance = (target - point).norm()
        if distance <= STILL * whole:
            return Proposal(None, refusal="target reached")
        move = null_move(metric, bounds, point, target - point)
        length = float(move.norm())
        if length <= STILL * distance:
            return Proposal(None, refusal=nothing_nearer)
        return Proposal(move / length, length, lambda arrival: (target - arrival).norm() < distance, nothing_nearer)

    return propose


class _Stepper:
    """Makes corrected null steps from a trail's end, and learns how long they may be."""

    def __init__(self, trail: Trail, settings: WalkSettings, wanted: Tensor | None):
        self.trail, self.settings = trail, settings
        self.wanted = trail.outputs if wanted is None else wanted
        self.longest = settings.longest_step * trail.scale
        self.reach = self.longest

    def metric(self) -> PullbackMetric | None:
        """Take the Euclidean pullback metric at the trail's end; None where it is not finite.

        The tolerance is Euclidean, and every output metric has the same kernel; Fisher-Rao's factor would lose the
        outputs of improbable classes in round-off.
        """
        found = self.trail.jacobian()
        if found is None:
            return None
        return PullbackMetric.from_jacobian(self.trail.point, *found, Euclidean(), self.settings.rank_tolerance)

    def step(self, metric: PullbackMetric, proposal: Proposal) -> Step:
        """Step as proposed, halving until the correction holds and the arrival will do; stop if none does."""
        length, refusal = min(self.reach, proposal.limit), "the tolerance cannot be held"
        smallest = SMALLEST_STEP * min(self.longest, proposal.limit)
        while length >= smallest:
            ahead = self.trail.point + length * proposal.direction
            found = correct(self.trail.f, ahead, self.wanted, metric, self.trail.bounds, self.settings)
            if found is not None and proposal.accept(found.point):
                self.reach = min(self.longest, length * _growth(found.corrections))
                return self.trail.advance(found.point, found.outputs)
            if found is not None:
                refusal = proposal.refusal
            length /= 2
        return self.trail.stop(refusal)


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
    check_positive("travel", travel)
    trail = Trail(f, x, bounds)
    if towards is None:
        propose = wander(trail.point, bounds, settings.persistence, generator)
    else:
        _check_target(towards, x)
        propose = approach(trail.point, towards, bounds)
    stepper, walked = _Stepper(trail, settings, wanted), 0.0
    yield trail.first()
    for _ in range(settings.max_steps):
        metric = stepper.metric()
        proposal = Proposal(None, refusal=NOT_FINITE) if metric is None else propose(metric, trail.point)
        step = trail.stop(proposal.refusal) if proposal.direction is None else stepper.step(metric, proposal)
        yield step
        if step.stopped_because:
            return
        walked += step.size
        if walked >= travel:
            yield trail.stop("travel reached")
            return
    yield trail.stop("max_steps made")


def _check_target(towards: Tensor, x: Tensor) -> None:
    check_finite(towards, "towards")
    if towards.shape != x.shape:
        raise ValueError(f"towards: has shape {tuple(towards.shape)}, the start has {tuple(x.shape)}")
