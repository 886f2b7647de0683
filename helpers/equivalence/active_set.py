"""Moves that stay inside a box: an active-set method."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from helpers.geometry import Box

EXCHANGES = 20  # iterations after which a frozen coordinate stays frozen


def feasible_move(
    bounds: Box | None,
    point: Float[Tensor, "*point"],
    solve: Callable[[Bool[Tensor, " n"]], Float[Tensor, " n"]],
) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """Solve for a move that crosses no bound: coordinates that would cross are frozen, and the others solve again.

    A frozen coordinate is released when the solution no longer pushes it outwards.

    Args:
        bounds: the box, if any.
        point: inside the box.
        solve: takes the frozen coordinates; returns the move of the others, and where the frozen ones are pushed.

    Returns:
        The move, flat, and the frozen coordinates.
    """
    frozen = torch.zeros(point.numel(), dtype=torch.bool, device=point.device)
    for exchange in itertools.count():
        push = solve(frozen)
        if bounds is None:
            return push, frozen
        blocked = bounds.blocks(point, push.reshape(point.shape).to(point.device)).flatten().to(frozen.device)
        blocked = blocked | frozen if exchange >= EXCHANGES else blocked
        if torch.equal(blocked, frozen):
            return push * ~frozen, frozen
        frozen = blocked
    raise AssertionError("unreachable")
