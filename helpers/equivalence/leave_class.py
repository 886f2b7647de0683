"""The short way out of an equivalence class, into another class.

The outputs are class scores (log-probabilities, say); a point's class is its largest output. Each step is the
shortest move that closes the gap to the other class to first order; it is horizontal, a combination of the
pullback metric's non-zero eigenvectors, and no longer than a fraction of the first point's norm.

Source: ours; the linear step is the one of DeepFool (Moosavi-Dezfooli et al., 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.equivalence.broyden import SecantJacobian
from helpers.equivalence.path import NOT_DIFFERENTIABLE, ExplorationPath, Step, Trail, collect
from helpers.equivalence.settings import WalkSettings
from helpers.equivalence.simec import random_like
from helpers.equivalence.walk_class import feasible_move
from helpers.geometry import RANK_TOLERANCE, Box
from helpers.geometry.differentiation import SmoothMap


def leave_class_steps(
    f: SmoothMap,
    x: Tensor,
    to: int | None,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points on the way out as they are made; see ``leave_class``."""
    trail = Trail(f, x, bounds, differentiable=True)
    home = _check_classes(trail.outputs, to)
    settings.output_metric.weigh(trail.outputs, trail.outputs)  # refuses outputs that it does not fit
    longest = settings.exit_step * trail.scale
    yield trail.first()
    for made in range(settings.max_steps + 1):
        if lead(trail.outputs, home, to) >= settings.margin and int(trail.outputs.argmax()) != home:
            yield trail.stop("class left")
            return
        if made == settings.max_steps:
            yield trail.stop("max_steps made")
            return
        found = trail.jacobian(trail.point)
        if found is None:
            yield trail.stop(NOT_DIFFERENTIABLE)
            return
        move = shortest_exit(trail.point, *found, home, to, bounds, settings.margin)
        if move is None and not found[1].any():  # a flat spot: any direction is as good
            move = random_like(trail.point, generator) * longest
        if move is None:
            yield trail.stop("no direction inside the box leads out" if bounds else "no direction leads out")
            return
        step = trail.move(move * min(1.0, longest / float(move.norm())))
        yield step
        if step.stopped_because:
            return


def lead(outputs: Tensor, home: int, to: int | None) -> float:
    """Measure by how much the wanted class leads: ``to`` over all others, or any other over home."""
    others = torch.arange(len(outputs), device=outputs.device) != (home if to is None else to)
    gap = outputs[others].max() - outputs[home if to is None else to]
    return float(gap if to is None else -gap)


def shortest_exit(
    point: Tensor, outputs: Tensor, rows: Tensor, home: int, to: int | None, bounds: Box | None, margin: float
) -> Tensor | None:
    """Find the shortest move that puts another class (``to``, or the nearest) in front, to first order.

    Args:
        point: where we are.
        outputs: (k,) there.
        rows: Jacobian (k, *point.shape) there.
        home: the class to leave.
        to: the class to enter; the nearest one if None.
        bounds: the box, if any.
        margin: lead to reach.

    Returns:
        The move, or None where no output can be moved.
    """
    rival = home if to is None else int(outputs.masked_fill(_only(outputs, to), -torch.inf).argmax())
    best = None
    for other in range(len(outputs)) if to is None else [to]:
        if other == rival:
            continue
        gap = (outputs[rival] - outputs[other]).reshape(1)
        gap = gap + 1.05 * margin + 1e-5 * (1 + gap.abs())  # beyond the margin: Newton may come at it from below
        jacobian = SecantJacobian((rows[other] - rows[rival])[None], RANK_TOLERANCE)
        move = feasible_move(bounds, point, lambda frozen, j=jacobian, g=gap: j.solve_least_norm(g, frozen))
        if jacobian.rank and move.norm() > 0 and (best is None or move.norm() < best.norm()):
            best = move
    return best


def _only(outputs: Tensor, index: int) -> Tensor:
    return torch.arange(len(outputs), device=outputs.device) == index


def _check_classes(outputs: Tensor, to: int | None) -> int:
    """Return the class to leave, or raise a ValueError when there is none to go to."""
    home = int(outputs.argmax())
    if len(outputs) < 2:
        raise ValueError(f"f: has {len(outputs)} output, leaving a class takes at least 2")
    if to is not None and not 0 <= to < len(outputs):
        raise ValueError(f"to={to}: must be a class between 0 and {len(outputs) - 1}")
    if to == home:
        raise ValueError(f"to={to}: is the class that the point is in already")
    return home


def leave_class(
    f: SmoothMap,
    x: Tensor,
    to: int | None = None,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk the short way into another class.

    Args:
        f: the map; its largest output is the class.
        x: start, any shape.
        to: the class to enter; the nearest one if None.
        bounds: a box that no point leaves.
        settings: reads exit_step, margin, max_steps.
        generator: used only where every output is flat; seed 0 if None.

    Raises:
        ValueError: fewer than 2 outputs, ``to`` is no class or the present one, x or f(x) not finite, or
            x outside the bounds.
    """
    settings, generator = settings or WalkSettings(), generator or torch.Generator().manual_seed(0)
    walk = leave_class_steps(f, x, to, bounds, settings, generator)
    return collect(walk, "leave_class", settings, generator.initial_seed())
