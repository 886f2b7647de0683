"""The short way from the predicted class of a point into another class.

The outputs are class scores (log-probabilities, say), and the predicted class is the largest output. Each step is the
shortest move that closes the gap to the other class to first order. It is a combination of the eigenvectors of the
pullback metric whose eigenvalue is not zero, and no longer than a fraction of the norm of the first point.

Source: ours; the linear step is the one of DeepFool (Moosavi-Dezfooli et al., 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.equivalence.active_set import feasible_move
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, walk_generator
from helpers.equivalence.simec import random_like
from helpers.equivalence.walk_state import Step, WalkState, collect_path, follow_moves
from helpers.geometry import Box, to_float64
from helpers.geometry.arguments import check_whole
from helpers.geometry.differentiation import SmoothMap

STALLED_STEPS = 200  # steps in a row without a larger lead, after which a margin counts as out of reach
FLAT_STEPS = 20  # random steps in a row from points where no output changes, after which the map counts as flat


def leave_class_steps(
    f: SmoothMap,
    x: Tensor,
    to: int | None,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points on the way out as they are made; see ``leave_class``."""
    state = WalkState(f, x, bounds, differentiable=True)
    yield from follow_moves(state, _exit_moves(state, to, settings, generator))


def _exit_moves(
    state: WalkState, to: int | None, settings: WalkSettings, generator: torch.Generator
) -> Iterator[Tensor | EndReason]:
    """Yield the moves on the way out, each from where the walk is by then, and at last why there is no other."""
    predicted, longest = _check_classes(state.outputs, to), settings.exit_step * state.scale
    settings.output_metric.weigh(state.outputs, state.outputs)  # refuses outputs that it does not fit
    largest_lead, stalled_steps, flat_steps = -math.inf, 0, 0
    for step in range(settings.max_steps + 1):
        present = lead(state.outputs, predicted, to)
        stalled_steps = 0 if present > largest_lead else stalled_steps + 1
        largest_lead = max(present, largest_lead)
        if present >= settings.margin and int(state.outputs.argmax()) != predicted:
            yield EndReason.CLASS_LEFT
        elif stalled_steps == STALLED_STEPS:
            yield EndReason.STALLED
        elif step == settings.max_steps:
            yield EndReason.MAX_STEPS
        elif (rows := state.jacobian()) is None:
            yield EndReason.NOT_DIFFERENTIABLE
        elif (flat_steps := 0 if rows.any() else flat_steps + 1) == FLAT_STEPS:
            yield EndReason.FLAT
        else:
            move = shortest_exit(state.point, state.outputs, rows, predicted, to, state.bounds, settings.margin)
            if flat_steps:  # any direction is as good
                move = random_like(state.point, generator) * longest
            no_exit = EndReason.NO_EXIT_IN_BOX if state.bounds else EndReason.NO_EXIT
            yield no_exit if move is None else move * min(1.0, longest / float(move.norm()))


def lead(outputs: Float[Tensor, " k"], predicted: int, to: int | None) -> float:
    """Return by how much ``to`` leads over all other classes; if None, any other class over the predicted one."""
    others = torch.arange(len(outputs), device=outputs.device) != (predicted if to is None else to)
    gap = outputs[others].max() - outputs[predicted if to is None else to]
    return float(gap if to is None else -gap)


def shortest_exit(
    point: Float[Tensor, "*point"],
    outputs: Float[Tensor, " k"],
    rows: Float[Tensor, "k *point"],
    predicted: int,
    to: int | None,
    bounds: Box | None,
    margin: float,
) -> Float[Tensor, "*point"] | None:
    """Return the shortest move that gives another class (``to``, or the nearest) the lead, to first order.

    Args:
        point: where the walk is.
        outputs: there.
        rows: Jacobian there.
        predicted: the class to leave.
        to: the class to enter; the nearest one if None.
        bounds: the box, if any.
        margin: by how much the new class must lead.

    Returns:
        The move, or None where no move changes the gap.
    """
    leader = predicted if to is None else int(outputs.masked_fill(_is_index(outputs, to), -torch.inf).argmax())
    best = None
    for other in range(len(outputs)) if to is None else [to]:
        if other == leader:
            continue
        gap = (outputs[leader] - outputs[other]).reshape(1)
        gap = gap + 1.05 * margin + 1e-5 * (1 + gap.abs())  # Newton may come from below
        gradient = to_float64((rows[other] - rows[leader]).flatten())
        move, _ = feasible_move(bounds, point, partial(_shortest_move, gradient, float(gap)))
        if move.norm() > 0 and (best is None or move.norm() < best.norm()):
            best = move.reshape(point.shape).to(point)
    return best


def _shortest_move(gradient: Tensor, gap: float, frozen: Tensor) -> Tensor:
    """Return the shortest move that closes a gap to first order without the frozen coordinates; zero if none does."""
    square = (gradient * ~frozen).square().sum()
    return gradient * (gap / square) if square > 0 else torch.zeros_like(gradient)


def _is_index(outputs: Tensor, index: int) -> Tensor:
    return torch.arange(len(outputs), device=outputs.device) == index


def _check_classes(outputs: Tensor, to: int | None) -> int:
    """Return the class to leave, or raise a ValueError when there is none to go to."""
    predicted = int(outputs.argmax())
    if len(outputs) < 2:
        raise ValueError(f"f: has {len(outputs)} output, but leaving a class needs at least 2")
    if to is not None:
        check_whole("to", to, most=len(outputs) - 1)
    if to == predicted:
        raise ValueError(f"to={to}: is the predicted class of the point already")
    return predicted


def leave_class(
    f: SmoothMap,
    x: Tensor,
    to: int | None = None,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk the short way into another predicted class.

    Args:
        f: the map; its largest output is the predicted class.
        x: start, any shape.
        to: the class to enter; the nearest one if None.
        bounds: a box that no point leaves.
        settings: reads exit_step, margin, max_steps.
        generator: used only where every output is flat; seed 0 if None.

    Raises:
        ValueError: fewer than 2 outputs, ``to`` is no class or the predicted one, x or f(x) is not finite, or
            x lies outside the bounds.
    """
    settings, (generator, seed) = settings or WalkSettings(), walk_generator(generator)
    walk = leave_class_steps(f, x, to, bounds, settings, generator)
    return collect_path(walk, "leave_class", settings, seed)
