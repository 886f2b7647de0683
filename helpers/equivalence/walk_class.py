"""Our walk inside an equivalence class: null steps, each corrected until the output is back.

A null step leaves the class by a distance that grows with the square of its length. Corrections
x <- x + J^+ (f(x_0) - f(x)), the shortest moves that undo the change to first order, bring it back; a point is
accepted only when every output is within the tolerance of its first value.

A Jacobian of k outputs costs as much as 2 k forward passes and a step needs far less than a new one: the last one is
kept, every forward pass mends it (``SecantJacobian``), and it is taken anew, where the walk stands, only when the
corrections would otherwise take more forward passes than that. The length of a step climbs towards the most travel
for a pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from helpers.equivalence.broyden import SecantJacobian
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, check_positive, walk_generator
from helpers.equivalence.simec import random_like
from helpers.equivalence.walk_state import Step, WalkState, collect_path
from helpers.geometry import Box, check_finite
from helpers.geometry.differentiation import SmoothMap

NOT_HELD = "the tolerance cannot be held"
SMALLEST_STEP = 1e-5  # fraction of the longest step under which a step counts as refused
STILL = 1e-3  # fraction of the wanted move's length under which what is left of it counts as nothing
NEARER = 1e-3  # share of the distance that the class, taken as flat, must still promise for a walk to go on
FRESH = 4  # random directions tried where the last one leads nowhere
MOVED = 0.1  # fraction of its length that a step has to come after its corrections
STRAIGHT = 0.35  # fraction of the approach that a step promises which it has to keep
PATIENCE = 1.3  # forward passes still to come, for each output, above which a new Jacobian is cheaper
CLIMB = 1.3  # factor between the lengths of one step and the next
EXCHANGES = 20  # times that walls are taken into account and released before they are only taken


def feasible_move(bounds: Box | None, point: Tensor, solve: Callable[[Tensor | None], Tensor]) -> Tensor:
    """Solve for a move that pushes through no wall: coordinates that would are frozen, the others solve again.

    A coordinate is released when the solution no longer pushes it outwards, as in active-set methods.

    Args:
        bounds: the box, if any.
        point: inside the box.
        solve: boolean mask of the frozen coordinates, None for none -> move, and where the frozen would be pushed.
    """
    move = solve(None)
    if bounds is None:
        return move
    frozen = torch.zeros_like(point, dtype=torch.bool)
    for made in itertools.count():
        blocked = bounds.blocks(point, move)
        if made >= EXCHANGES:
            blocked |= frozen
        if torch.equal(blocked, frozen):
            return move * ~frozen
        frozen, move = blocked, solve(blocked)


def null_move(jacobian: SecantJacobian, bounds: Box | None, point: Tensor, wanted: Tensor) -> Tensor:
    """Find what of a wanted move neither changes the output, to first order, nor leaves the box."""
    return feasible_move(bounds, point, lambda frozen: jacobian.project_to_kernel(wanted, frozen))


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


Propose = Callable[[SecantJacobian, Tensor], Proposal]  # Jacobian at the present point, the point -> proposal


def wander(start: Tensor, bounds: Box | None, persistence: float, generator: torch.Generator) -> Propose:
    """Keep the last step's direction as far as persistence says; take a fresh one when walls have used it up."""
    here, heading, last = start, torch.zeros_like(start), torch.zeros_like(start)

    def propose(jacobian: SecantJacobian, point: Tensor) -> Proposal:
        nonlocal here, heading, last
        if point is not here:  # the last proposal was taken
            here, heading = point, last
        for wanted in _wishes(heading, persistence, generator, both_ways=bounds is not None):
            move = null_move(jacobian, bounds, point, wanted)
            if move.norm() > STILL * wanted.norm():
                last = move / move.norm()
                return Proposal(last)
        spent = "no null direction was found inside the box" if jacobian.nullity else "the kernel is trivial"
        return Proposal(None, refusal=spent)

    return propose


def _wishes(heading: Tensor, persistence: float, generator: torch.Generator, both_ways: bool) -> Iterator[Tensor]:
    """Yield directions to try, drawn as they are asked for: the heading first; their opposites too where walls are."""
    for made in range(1 + FRESH):
        wish = random_like(heading, generator) if made else _mixed(heading, persistence, generator)
        yield wish
        if both_ways:
            yield -wish


def approach(start: Tensor, target: Tensor, bounds: Box | None) -> Propose:
    """Take what the kernel and the box leave of the straight line to the target, and only come nearer."""
    whole, nothing_nearer = (target - start).norm(), "no nearer point of the class lies ahead"

    def propose(jacobian: SecantJacobian, point: Tensor) -> Proposal:
        distance = (target - point).norm()
        if distance <= STILL * whole:
            return Proposal(None, refusal="target reached")
        move = null_move(jacobian, bounds, point, target - point)
        length = float(move.norm())
        if 1 - math.sqrt(max(0.0, 1 - (length / float(distance)) ** 2)) <= NEARER:
            return Proposal(None, refusal=nothing_nearer)

        def comes_nearer(arrival: Tensor) -> bool:
            gained, straight = distance - (target - arrival).norm(), length / distance
            return bool(gained > STRAIGHT * straight * (arrival - point).norm())

        return Proposal(move / length, length, comes_nearer, nothing_nearer)

    return propose


class _Stepper:
    """Makes corrected null steps from a state's end; keeps the Jacobian and learns how long a step may be."""

    def __init__(
        self, state: WalkState, settings: WalkSettings, wanted: Tensor | None, propose: Propose, travel: float
    ):
        self.state, self.settings, self.propose = state, settings, propose
        self.wanted = state.outputs if wanted is None else wanted
        self.longest = settings.longest_step * state.scale
        self.crumb = 0.01 * min(self.longest, travel)  # no shorter step is made on purpose
        self.reach, self.sign, self.gain = self.longest, -1, 0.0
        self.jacobian: SecantJacobian | None = None
        self.exact = False  # whether the Jacobian was taken where the walk stands and not touched since

    def step(self, left: float) -> Step:
        """Step as proposed, halving until the corrections hold and the arrival will do; stop if none does.

        Args:
            left: travel that is left to make.
        """
        spent, shorter, doubtful = self.state.f.cost, 1.0, self.jacobian is None
        refusal = NOT_HELD
        while True:
            if doubtful and not self.exact and not self._take(self.state.point):
                return self.state.stop(EndReason.NOT_DIFFERENTIABLE)
            proposal = self.propose(self.jacobian, self.state.point)
            if proposal.direction is None:
                if not self.exact and self._take(self.state.point):  # a mended Jacobian may be wrong about it
                    proposal = self.propose(self.jacobian, self.state.point)
                if proposal.direction is None:
                    return self.state.stop(proposal.refusal)
            steps_left = min(1e6, max(1.0, left / self.reach))
            even = min(
                1.02 * self.reach, 1.02 * left / math.ceil(steps_left)
            )  # equal steps to the end, no crumb after them
            length = shorter * min(max(even, self.crumb), proposal.limit)
            if length < SMALLEST_STEP * min(self.longest, proposal.limit):
                return self.state.stop(refusal)
            arrival, outputs, refusal = self._correct(self.state.point + length * proposal.direction, length)
            if not refusal and not float((arrival - self.state.point).norm()) > MOVED * length:
                refusal = NOT_HELD  # the corrections led back to where the step began
            if not refusal and proposal.accept(arrival):
                self._learn(length, spent, shorter < 1)
                return self.state.advance(arrival, outputs)
            shorter /= 2
            doubtful = not refusal or shorter < 0.5  # the mended Jacobian may be to blame
            refusal = refusal or proposal.refusal

    def _take(self, point: Tensor) -> bool:
        """Take the Jacobian anew; False, and the old one kept, where it is not finite."""
        rows = self.state.f.jacobian(self.state.f.linearize(point))
        if not torch.isfinite(rows).all():
            return False
        self.jacobian = SecantJacobian(rows, self.settings.rank_tolerance)
        self.exact = point is self.state.point
        return True

    def _correct(self, start: Tensor, longest: float) -> tuple[Tensor, Tensor, str]:
        """Bring a point back to the class.

        Args:
            start: a point near the class.
            longest: longest sensible correction.

        Returns:
            Where the corrections ended, the outputs there, and why they failed, empty if they did not.
        """
        state, settings = self.state, self.settings
        point = state.clamp(start)
        before, said, last, taken = state.point, state.outputs, 0.0, False
        for _ in range(settings.corrections + 1):
            outputs = state.f(point)
            residual = self.wanted - outputs
            error, size = float(residual.abs().max()), float(residual.norm())
            if not math.isfinite(error):
                return point, outputs, EndReason.NOT_FINITE
            self.jacobian.update(point - before, outputs - said)
            self.exact, before, said = False, point, outputs
            if error <= settings.tolerance:
                return point, outputs, ""
            if last and _passes_left(size, last, settings.tolerance) > PATIENCE * len(outputs) + 2:
                if taken or not self._take(point):
                    break
                taken, last = True, 0.0
            else:
                last = size
            move = feasible_move(state.bounds, point, partial(self.jacobian.solve_least_norm, residual))
            if not float(move.norm()) <= longest:
                break
            point = state.clamp(point + move)
        return point, outputs, NOT_HELD

    def _learn(self, length: float, spent: int, refused: bool) -> None:
        """Let the length of the next step climb towards the most travel for a pass."""
        gain = length / (self.state.f.cost - spent)
        if refused:
            self.sign, self.reach = -1, length
        elif length < 0.5 * self.reach:
            return
        elif gain < self.gain:
            self.sign = -self.sign
        self.gain = gain
        self.reach = min(self.longest, self.reach * CLIMB**self.sign)


def _passes_left(size: float, last: float, tolerance: float) -> float:
    """Estimate how many corrections are left, from a residual's last two sizes and the size to reach."""
    if size >= last:
        return math.inf
    return math.log(tolerance / size) / math.log(size / last)


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
    settings, (generator, seed) = settings or WalkSettings(), walk_generator(generator)
    walk = walk_class_steps(f, x, travel, towards, bounds, settings, generator)
    return collect_path(walk, "walk_class", settings, seed)


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
    state = WalkState(f, x, bounds)
    if towards is None:
        propose = wander(state.point, bounds, settings.persistence, generator)
    else:
        _check_target(towards, x)
        propose = approach(state.point, towards.detach(), bounds)
    stepper, walked = _Stepper(state, settings, wanted, propose, travel), 0.0
    yield state.first()
    for _ in range(settings.max_steps):
        step = stepper.step(travel - walked)
        yield step
        if step.stopped_because:
            return
        walked += step.size
        if walked >= travel:
            yield state.stop("travel reached")
            return
    yield state.stop("max_steps made")


def _check_target(towards: Tensor, x: Tensor) -> None:
    check_finite(towards, "towards")
    if towards.shape != x.shape:
        raise ValueError(f"towards: has shape {tuple(towards.shape)}, the start has {tuple(x.shape)}")
