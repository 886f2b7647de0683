"""SiMEC as published, to be measured against: Algorithm 1 of arXiv 2410.06019, in the form the paper times.

The Jacobian is taken jointly; the pullback metric is formed and diagonalised densely, one part (token, patch) at a
time, in float64; every part moves along a random eigenvector of eigenvalue zero, by eta over the square root of its
block's condition number. Written by us from the paper.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.geometry import RANK_TOLERANCE
from helpers.geometry.differentiation import SmoothMap


def reference_simec(f: SmoothMap, x: Tensor, eta: float, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (point, outputs) of the published walk, the start first, without end.

    Args:
        f: map of points (parts, d_model) to outputs (k,).
        x: start.
        eta: the paper's step multiplier.
        seed: of the random choices.
    """
    generator = torch.Generator().manual_seed(seed)
    point = x
    while True:
        rows, outputs = torch.func.jacrev(lambda p: (f(p),) * 2, has_aux=True)(point)
        yield point, outputs.detach()
        moves = [_part_move(rows[:, part].double(), generator) for part in range(len(point))]
        point = point + eta * torch.stack(moves).to(point)


def _part_move(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Diagonalise one part's block J_i^T J_i densely; return a null eigenvector times 1 / sqrt(condition number)."""
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    null = values <= RANK_TOLERANCE**2 * values[-1]
    count = int(null.sum())
    if count in (0, len(values)):
        return torch.zeros(len(values), dtype=torch.float64, device=rows.device)
    choice = int(torch.randint(count, (), generator=generator))
    sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
    return sign * vectors[:, choice] * (values[~null].min() / values[-1]).sqrt()
