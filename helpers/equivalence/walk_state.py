"""The state of a walk: where it is, what the map gives there, and what it has cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.equivalence.counted_map import CountedMap
from helpers.equivalence.curve import Curve, Piece
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings
from helpers.geometry import ROUNDING, Box, Linearization, SmoothMap, check_finite
from helpers.geometry.arguments import check_whole


@dataclass(frozen=True)
class Step:
    """One accepted point of a walk. The last item of a walk repeats its end and says why it ended.

    Attributes:
        point: where the walk is.
        outputs: the value of the map there, (k,).
        size: Euclidean length of the step that led here; 0 for the first point.
        forward_passes, backward_passes: passes since the walk began.
        stopped_because: None while the walk continues; the reason in the last item.
        pieces: the curve that led here, for a walk whose curve is checked.
        curve_drift: the largest change of any output that was measured on that curve, between its ends.
    """

    point: Float[Tensor, "*point"]
    outputs: Float[Tensor, " k"]
    size: float
    forward_passes: int
    backward_passes: int
    stopped_because: str | None = None
    pieces: tuple[Piece, ...] = ()
    curve_drift: float = 0.0


class WalkState:
    """The end of a walk that grows: checks the start, makes steps, and reports why the walk ends.

    Args:
        f: the map.
        point: the start.
        bounds: the box, if any.
        differentiable: whether the Jacobian will be needed at every point that the walk moves to.

    Raises:
        ValueError: the start or the outputs there are not finite, or the start lies outside the bounds.
    """

    def __init__(self, f: SmoothMap, point: Float[Tensor, "*point"], bounds: Box | None, differentiable: bool = False):
        check_finite(point)
        if bounds is not None and bounds.broadcast_shape(point) != point.shape:
            raise ValueError(f"bounds: of shape {tuple(bounds.lower.shape)} do not fit a point of {tuple(point.shape)}")
        if bounds is not None and not torch.equal(bounds.clamp(point), point):
            raise ValueError("point: lies outside the bounds; start from bounds.clamp(point) instead")
        self.f, self._differentiable = CountedMap(f), differentiable
        self.point = point.detach().clone()
        self.bounds = (
            None if bounds is None else Box(bounds.lower.to(self.point, copy=True), bounds.upper.to(point, copy=True))
        )
        self.outputs, self._linearization = self._evaluate(self.point)
        check_finite(self.outputs, "outputs")
        check_repeatable(self.outputs, self.f(self.point))

    @property
    def scale(self) -> float:
        """The norm of the point, the unit of step lengths; 1 at the origin."""
        return float(self.point.norm()) or 1.0

    def first(self) -> Step:
        """Report the start."""
        return self._step(0.0, None)

    def jacobian(self) -> Float[Tensor, "k *point"] | None:
        """Differentiate where the walk is, or return None if the Jacobian is not finite there."""
        linearization = self._linearization or self.f.linearize(self.point)
        rows = self.f.jacobian(linearization)
        return rows if torch.isfinite(rows).all() else None

    def gradient(self, output: int) -> Float[Tensor, "*point"]:
        """Differentiate one output where the walk is."""
        return self.f.gradient(self._linearization or self.f.linearize(self.point), output)

    def move(self, by: Float[Tensor, "*point"]) -> Step:
        """Move as far as the box allows, or stop where the output is not finite."""
        point = self.clamp(self.point + by)
        outputs, linearization = self._evaluate(point)
        if not torch.isfinite(outputs).all():
            return self.stop(EndReason.NOT_FINITE)
        step = self.advance(point, outputs)
        self._linearization = linearization
        return step

    def clamp(self, point: Float[Tensor, "*point"]) -> Float[Tensor, "*point"]:
        """Return the nearest point of the box."""
        return point if self.bounds is None else self.bounds.clamp(point)

    def advance(self, point: Float[Tensor, "*point"], outputs: Float[Tensor, " k"]) -> Step:
        """Go to an accepted point, where the map was evaluated before."""
        size = float((point - self.point).norm())
        self.point, self.outputs, self._linearization = point, outputs, None
        return self._step(size, None)

    def follow(
        self, end: Float[Tensor, "*point"], outputs: Float[Tensor, " k"], pieces: tuple[Piece, ...], curve_drift: float
    ) -> Step:
        """Go to the end of an accepted curve; the size of the step is the arc length."""
        step = self.advance(end, outputs)
        length = sum(float(piece.lengths()[-1]) for piece in pieces)
        return replace(step, size=length, pieces=pieces, curve_drift=curve_drift)

    def stop(self, reason: str) -> Step:
        """Report why the walk ends here."""
        return self._step(0.0, reason)

    def _evaluate(self, point: Tensor) -> tuple[Tensor, Linearization | None]:
        if not self._differentiable:
            return self.f(point), None
        linearization = self.f.linearize(point)
        return linearization.outputs, linearization

    def _step(self, size: float, reason: str | None) -> Step:
        passes = self.f.forward_passes, self.f.backward_passes
        return Step(self.point.clone(), self.outputs.clone(), size, *passes, reason)


def uncorrected_steps(
    next_move: Callable[[WalkState], Tensor | EndReason],
    f: SmoothMap,
    x: Float[Tensor, "*point"],
    steps: int,
    bounds: Box | None,
) -> Iterator[Step]:
    """Yield the points of a walk without corrections as they are made.

    Args:
        next_move: returns the next move from where the walk is, or why there is none.
        f: the map.
        x: the first point.
        steps: how many steps.
        bounds: the feasible box, onto which each point is projected.
    """
    check_whole("steps", steps, least=1)
    state = WalkState(f, x, bounds, differentiable=True)
    yield from follow_moves(state, (next_move(state) for _ in range(steps)))


def follow_moves(state: WalkState, moves: Iterable[Tensor | EndReason]) -> Iterator[Step]:
    """Yield the start, and the points to which moves lead, until there is none or a reason to end stands for one."""
    yield state.first()
    for move in moves:
        if isinstance(move, EndReason):
            yield state.stop(move)
            return
        step = state.move(move)
        yield step
        if step.stopped_because:
            return
    yield state.stop(EndReason.ALL_STEPS)


def check_repeatable(outputs: Float[Tensor, " k"], again: Float[Tensor, " k"]) -> None:
    """Raise a ValueError unless two evaluations at one point agree up to rounding."""
    difference = float((again - outputs).abs().max())
    if not difference <= ROUNDING * torch.finfo(outputs.dtype).eps * (1 + float(outputs.abs().max())):
        raise ValueError(
            f"f: gives two results for one point, they differ by {difference:.2g}; is a model in training mode "
            "(model.eval() turns dropout off), or does f draw random numbers?"
        )


def collect_path(steps: Iterable[Step], algorithm: str, settings: WalkSettings, seed: int) -> ExplorationPath:
    """Walk to the end and keep every point.

    Args:
        steps: a walk (``simec_steps`` and the like); its last item carries the reason for the end.
        algorithm: name of the walk.
        settings: of the walk.
        seed: of its random generator.
    """
    points: list[Step] = []
    try:
        for step in steps:
            points.append(step)
    except KeyboardInterrupt:  # the stop button of a notebook keeps what was walked
        if not points:
            raise
        end = replace(points[-1], stopped_because=EndReason.INTERRUPTED)
    else:
        end = points.pop()
    return path_of_steps(points, end, algorithm, settings, seed)


def path_of_steps(steps: list[Step], end: Step, algorithm: str, settings: WalkSettings, seed: int) -> ExplorationPath:
    """Assemble a path.

    Args:
        steps: the points, the start first.
        end: carries the reason for the end and the passes of the whole walk.
        algorithm: name of the walk.
        settings: of the walk.
        seed: of its random generator.
    """
    has_curve = len(steps) > 1 and all(step.pieces for step in steps[1:])
    pieces = [piece for step in steps for piece in step.pieces] if has_curve else []
    return ExplorationPath(
        points=torch.stack([step.point for step in steps]),
        outputs=torch.stack([step.outputs for step in steps]),
        step_sizes=torch.tensor([step.size for step in steps[1:]], dtype=torch.float64),
        algorithm=algorithm,
        settings=settings,
        seed=seed,
        stopped_because=end.stopped_because or "no further step was made",
        forward_passes=end.forward_passes,
        backward_passes=end.backward_passes,
        curve=Curve(pieces) if pieces else None,
        curve_drift=torch.tensor([step.curve_drift for step in steps[1:]], dtype=torch.float64) if pieces else None,
    )
