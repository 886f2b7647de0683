"""A walk whose whole curve stays in one equivalence class: predictor-corrector continuation.

The class is cut with an affine slice through the present point: a null direction and the Jacobian's row space. The cut
is a single curve, which is followed by the classical method. A polynomial through the last control points predicts
the next point, a Broyden corrector brings it back, and a controller adapts the step's length. A step is accepted only
if the curve between its ends holds its tolerance and the class is near it. A new Jacobian, and with it a new slice, is
taken where the corrections become slow or the curve has turned.

Source: Allgower and Georg, Numerical Continuation Methods, 1990, chapters 6 and 7; the slices are ours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.equivalence.broyden import BroydenCorrector, Correction, Refusal, StepRefusedError
from helpers.equivalence.curve import Piece
from helpers.equivalence.curve_check import CurveCheck
from helpers.equivalence.directions import Approach, Direction, Place, Wandering, flat
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.interpolation import ControlPoints
from helpers.equivalence.level_set import LevelSet, NotFiniteError
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, walk_generator
from helpers.equivalence.slices import Slice, project_to_kernel
from helpers.equivalence.step_control import StepController
from helpers.equivalence.walk_state import Step, WalkState, collect_path
from helpers.geometry import Box, SmoothMap, check_finite
from helpers.geometry.arguments import check_positive

RESOLUTION = 1e3  # of a travel, in units of the rounding error of a coordinate
FIRST_STEP = 0.05  # fraction of the first point's norm
LARGEST_TURN = 0.7  # radians per step
SLICE_TURN = 1.0  # radians between a slice's null direction and its curve, above which a new slice is taken
SLOW = 0.35  # contraction of a step above which a new Jacobian is taken after it
AT_BOUND = 1e-6  # fraction of the longest step; bounds nearer than this are reached
STOPPED = 0.03  # share of the direction's squared length that bounds may stop within a step
BACK = 0.99  # cosine between a new slice's direction and the reversed tangent above which the walk would turn back
PREDICTION = 0.3  # largest correction of a predicted point, as a fraction of the step's length


class _ClassWalk:
    """Makes the steps of a walk, one at a time."""

    def __init__(
        self, state: WalkState, level_set: LevelSet, direction: Direction, settings: WalkSettings, scale: float
    ):
        self._state, self._level_set, self._direction, self._settings = state, level_set, direction, settings
        longest = settings.longest_step * scale
        self._control = StepController(min(FIRST_STEP * scale, longest), longest)
        self._here = state.point  # on the curve; the state's point is the last evaluation, within the tolerance of it
        self._rows: Tensor | None = None
        self._tangent: Tensor | None = None  # of unit length, (n,)
        self._axis: Tensor | None = None  # the tangent in the slice, (r + 1,); None where a slice has to be chosen
        self._length = 0.0  # of the step that was tried last
        self._fresh = False  # whether the Jacobian was taken at the present point

    def step(self, left: float) -> Step:
        """Make a step that holds both tolerances, halving its length until one does; stop if none does.

        Args:
            left: travel that is left to make.
        """
        reason = EndReason.NOT_HELD
        while not self._control.exhausted:
            try:
                end_reason = self._enter_slice() if self._axis is None else None
                if self._axis is None:
                    return self._state.stop(end_reason or EndReason.NO_DIRECTION)
                return self._try_step(self._axis, left)
            except StepRefusedError as refused:
                reason = self._after_refusal(refused.refusal)
            except NotFiniteError as error:
                reason = error.reason
                if self._axis is None:
                    break
                self._control.refuse(self._length)
                self._corrector.restore()
        return self._state.stop(self._at_bounds(reason))

    def _at_bounds(self, reason: EndReason) -> EndReason:
        """Name the box as the reason if a walk that cannot go on is at its bounds."""
        bounds = self._state.bounds
        if reason != EndReason.NOT_HELD or bounds is None or self._tangent is None:
            return reason
        ahead = flat(self._here) + 10 * AT_BOUND * self._control.longest * self._tangent
        inside = bounds.contains(ahead.reshape(self._here.shape).to(self._here))
        return reason if inside else EndReason.CLASS_LEAVES_BOX

    # -- slices

    def _enter_slice(self) -> EndReason | None:
        """Choose a slice through the present point; return why there is none."""
        rows, place = self._jacobian(), self._place()
        if len(rows) >= rows.shape[1]:
            return EndReason.TRIVIAL_KERNEL
        for heading in self._direction.headings(place):
            slice_ = Slice.along(rows, heading, self._here, self._state.bounds)
            if slice_ is not None and not self._turns_back(slice_):
                self._start_curve(slice_)
                return None
        if self._direction.end_reason == EndReason.TARGET_REACHED or self._fresh:
            return self._reason_without_direction()
        self._rows = None  # an updated Jacobian may be wrong about it
        return self._enter_slice()

    def _reason_without_direction(self) -> EndReason:
        reason = self._direction.end_reason
        return (
            self._at_bounds(EndReason.NOT_HELD)
            if reason == EndReason.NO_DIRECTION and self._tangent is not None
            else reason
        )

    def _turns_back(self, slice_: Slice) -> bool:
        """Return whether a slice leads back along the curve that was walked."""
        if self._tangent is None or self._direction.may_turn_back:
            return False
        return float(slice_.frame[0] @ self._tangent) < -BACK

    def _start_curve(self, slice_: Slice) -> None:
        axis = torch.zeros(slice_.dimension, dtype=torch.float64)
        axis[0] = 1.0
        self._points, self._axis, self._tangent = ControlPoints(slice_, axis), axis, slice_.frame[0]
        self._corrector = BroydenCorrector(self._level_set, slice_, self._jacobian(), self._fresh)

    def _place(self) -> Place:
        here, rows, bounds = self._here, self._jacobian(), self._state.bounds
        return Place(
            flat(here),
            self._tangent,
            lambda heading: project_to_kernel(rows, heading, here, bounds)[0],
            self._acceleration,
        )

    def _acceleration(self, direction: Tensor) -> Tensor:
        """Return the shortest second derivative of a curve of the class along a unit null direction, by a difference.

        Along x + s t, the outputs change by s^2/2 H(t, t); the acceleration a solves J a = -H(t, t).
        """
        point, step, rows = self._here, self._control.length, self._jacobian()
        moved = (flat(point) + step * direction).reshape(point.shape).to(point)
        change = self._level_set.residual(moved).values - self._level_set.residual(point).values
        gram = rows @ rows.T
        return -(rows.T @ torch.linalg.lstsq(gram, 2 / step**2 * change.to(gram)[:, None]).solution)[:, 0]

    # -- steps

    def _jacobian(self) -> Tensor:
        """Return the Jacobian at the present point, (r, n); take it where there is none."""
        if self._rows is None:
            self._rows, self._fresh = self._level_set.rows(self._here), True
        return self._rows

    def _try_step(self, axis: Tensor, left: float) -> Step:
        """Predict, correct and check a step; raise the reason if it is refused."""
        points, corrector = self._points, self._corrector
        limit = min(self._direction.limit(self._place()), self._bounds_limit(axis))
        self._length = length = self._control.propose(left, limit)
        start = float(axis @ points.last)
        predictor = points.interpolant(axis, start)
        predicted = predictor.at(start + length)
        corrected = corrector.correct(predicted, axis, self._settings.tolerance, PREDICTION * length)
        trial = points.copy()
        trial.insert(corrected.improved, axis)
        end = float(axis @ corrected.improved)
        difference = corrected.first.error / max(predictor.node_product(end), 1e-300)
        check = CurveCheck(corrector, trial, axis, difference, self._settings.curve_tolerance)
        check.check(start, end, corrected.contraction or SLOW)
        polynomial = trial.interpolant(axis, end)
        tangent = polynomial.tangent(end)
        if float(tangent @ axis) < math.cos(LARGEST_TURN):
            raise StepRefusedError(Refusal.TURN)
        arrival = points.slice.point(corrected.measured)
        if not self._direction.accepts(flat(self._here), flat(arrival)):
            raise StepRefusedError(Refusal.AWAY)
        pieces = self._pieces(trial, axis, start, end)
        self._control.accept(length, corrected.contraction, check.error, len(polynomial.weights))
        self._advance(trial, tangent, corrected)
        return self._state.follow(arrival, corrected.last.outputs, pieces, check.drift)

    def _pieces(self, trial: ControlPoints, axis: Tensor, start: float, end: float) -> tuple[Piece, ...]:
        marks = sorted(u for u in (float(axis @ z) for z in trial.coordinates) if start <= u <= end)
        return tuple(trial.piece(axis, one, other) for one, other in itertools.pairwise(marks))

    def _bounds_limit(self, axis: Tensor) -> float:
        """Return the length at which the bounds will have stopped a share of the direction."""
        bounds, point = self._state.bounds, self._here
        if bounds is None:
            return math.inf
        direction = self._points.slice.vector(axis)
        room = torch.where(direction > 0, flat(bounds.upper.expand_as(point)), flat(bounds.lower.expand_as(point)))
        times = ((room - flat(point)) / direction).nan_to_num(math.inf, math.inf, math.inf)
        order = times.argsort()
        stopped = direction[order].square().cumsum(0) > STOPPED
        first = times[order][stopped][:1]
        return float(first) * 1.0001 + 1e-9 * self._control.longest if len(first) else math.inf

    def _advance(self, trial: ControlPoints, tangent: Tensor, corrected: Correction) -> None:
        """Move to the end of an accepted step, and leave the slice if it has served its time."""
        corrector, slice_ = self._corrector, trial.slice
        corrector.follow(tangent)
        self._points, self._axis = trial, tangent
        self._tangent = slice_.vector(tangent)
        self._rows, renewed = corrector.rows, corrector.refreshed and not self._fresh
        turned = float(tangent[0]) < math.cos(SLICE_TURN)
        self._here = self._snap(slice_.point(corrected.improved))
        self._fresh = False
        at_bound = self._bounds_limit(tangent) < AT_BOUND * self._control.longest
        if renewed:
            self._axis = None
        elif turned or at_bound or corrected.contraction > SLOW or self._direction.turns(self._place()):
            self._rows = self._axis = None
        corrector.keep()

    def _snap(self, point: Tensor) -> Tensor:
        """Move coordinates that reach a bound up to round-off onto it, so that they count as being there."""
        bounds, near = self._state.bounds, AT_BOUND * self._control.longest
        if bounds is None:
            return point
        point = torch.where(point - bounds.lower < near, bounds.lower.to(point), point)
        return torch.where(bounds.upper - point < near, bounds.upper.to(point), point)

    def _after_refusal(self, refusal: Refusal) -> EndReason:
        """Halve the step, and take a new Jacobian where the old one may be to blame."""
        self._control.refuse(self._length)
        self._corrector.restore()
        if not self._fresh and refusal in (Refusal.CONTRACTION, Refusal.PREDICTION, Refusal.AWAY):
            self._level_set.forget_rank()
            self._rows = self._axis = None
        return self._direction.end_reason if refusal == Refusal.AWAY else EndReason.NOT_HELD


def walk_class(
    f: SmoothMap,
    x: Tensor,
    travel: float = 10.0,
    towards: Tensor | None = None,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk inside the equivalence class of x, on a curve along which every output is held.

    The curve is checked at points of each step. Without a bound on the derivatives of f no check is a proof: features
    of f that are much narrower than a step, or a start where the Jacobian vanishes, can mislead it.

    Args:
        f: the map whose output should stay.
        x: start, any shape.
        travel: arc length after which the walk ends.
        towards: a point to come as near to as the class allows; without it the walk goes straight or wanders, as
            settings.persistence says.
        bounds: a box that the curve does not leave.
        settings: reads tolerance, curve_tolerance, persistence, longest_step, max_steps, rank_tolerance.
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
    held: Tensor | None = None,
) -> Iterator[Step]:
    """Yield the steps of a walk as they are accepted; see ``walk_class``.

    Args other than those of ``walk_class``:
        held: the outputs (k,) to hold, for a walk that goes on where an earlier one ended; f(x) if None.
    """
    check_positive("travel", travel)
    state = WalkState(f, x, bounds)
    resolution = RESOLUTION * torch.finfo(state.point.dtype).eps * state.scale
    if travel < resolution:
        raise ValueError(
            f"travel={travel}: is too short for {state.point.dtype} numbers; wanted {resolution:.2g} or more"
        )
    level_set = LevelSet(state.f, state.outputs if held is None else held, settings.rank_tolerance)
    scale = state.scale
    if towards is None:
        direction: Direction = Wandering(settings.persistence, bounds is not None, generator)
    else:
        _check_target(towards, x)
        towards = towards.to(x)
        reached = (state.f(towards.detach()) - state.outputs).abs().max() <= settings.curve_tolerance
        direction = Approach(flat(x), flat(towards), bool(reached) and bounds is None, generator)
        scale = max(scale, float((towards - x).norm()))
    walk, walked = _ClassWalk(state, level_set, direction, settings, scale), 0.0
    yield state.first()
    for _ in range(settings.max_steps):
        step = walk.step(travel - walked)
        yield step
        if step.stopped_because:
            return
        walked += step.size
        if walked >= travel * (1 - 1e-6):
            yield state.stop(EndReason.TRAVEL_REACHED)
            return
    yield state.stop(EndReason.MAX_STEPS)


def _check_target(towards: Tensor, x: Tensor) -> None:
    check_finite(towards, "towards")
    if towards.shape != x.shape:
        raise ValueError(f"towards: has shape {tuple(towards.shape)}, the start has {tuple(x.shape)}")
