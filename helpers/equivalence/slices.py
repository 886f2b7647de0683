"""An affine slice through a point, which cuts the class in a single curve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.equivalence.active_set import feasible_move
from helpers.geometry import RANK_TOLERANCE, Box, to_float64

SMALLEST_PROJECTION = 1e-3  # fraction of a heading's length; a shorter projection onto the kernel counts as zero


def project_to_kernel(rows: Tensor, heading: Tensor, point: Tensor, bounds: Box | None) -> tuple[Tensor, Tensor]:
    """Project a heading onto the kernel of the rows, inside the box, by an active-set method.

    Args:
        rows: (r, n), float64.
        heading: (n,), float64.
        point: in the box, its shape has n entries.
        bounds: the box, if any.

    Returns:
        The projected direction (n,), and the frozen coordinates (boolean): those at a bound that it would cross.
    """

    def solve(frozen: Tensor) -> Tensor:
        free_rows, free = rows * ~frozen, heading * ~frozen
        push = heading - rows.T @ _multipliers(free_rows, free)
        basis = row_space(free_rows)
        for _ in range(2):  # twice, against round-off
            free = free - basis.T @ (basis @ free)
        return torch.where(frozen, push, free)

    return feasible_move(bounds, point, solve)


def row_space(rows: Tensor) -> Tensor:
    """Return orthonormal rows (at most r, n) that span the given ones, from the (r, r) Gram matrix."""
    squares, left = torch.linalg.eigh(rows @ rows.T)
    kept = (squares > 0) & (squares > RANK_TOLERANCE**2 * squares[-1:])
    return (left[:, kept] / squares[kept].sqrt()).T @ rows


def _multipliers(rows: Tensor, heading: Tensor) -> Tensor:
    return torch.linalg.pinv(rows @ rows.T, rtol=RANK_TOLERANCE**2, hermitian=True) @ (rows @ heading)


@dataclass(frozen=True)
class Slice:
    """The points base + z @ frame, cut off at the bounds.

    The frame holds a unit null direction and an orthonormal basis of the Jacobian's row space. Near the base point
    the class cuts the slice in one smooth curve, whose tangent there is the null direction.

    Attributes:
        base: a point of the class.
        frame: (r + 1, n), orthonormal rows; the null direction is the first one.
        bounds: the box, if any.
    """

    base: Tensor
    frame: Tensor
    bounds: Box | None

    @classmethod
    def along(cls, rows: Tensor, heading: Tensor, base: Tensor, bounds: Box | None) -> Slice | None:
        """Choose the slice whose null direction is nearest to a heading (n,); None if no null direction is near it."""
        direction, frozen = project_to_kernel(rows, heading, base, bounds)
        length = direction.norm()
        if not length > SMALLEST_PROJECTION * heading.norm():
            return None
        frame = torch.cat([(direction / length)[None], row_space(rows * ~frozen)])
        return cls(base, frame, bounds)

    @property
    def dimension(self) -> int:
        """Number of coordinates, r + 1."""
        return len(self.frame)

    def point(self, z: Tensor) -> Tensor:
        """Return the point at coordinates (r + 1,), moved into the box."""
        point = self._unbounded(z)
        return point if self.bounds is None else self.bounds.clamp(point)

    def is_clamped(self, z: Tensor) -> bool:
        """Return whether the bounds move the point at coordinates (r + 1,)."""
        return self.bounds is not None and not self.bounds.contains(self._unbounded(z))

    def vector(self, z: Tensor) -> Tensor:
        """Return the vector (n,) that coordinates (r + 1,) stand for, float64."""
        return z.to(self.frame.device) @ self.frame

    def jacobian(self, rows: Tensor, z: Tensor) -> Tensor:
        """Express rows (r, n), taken at coordinates z, in the slice's coordinates: (r, r + 1), on the CPU."""
        if self.bounds is not None:
            point = self._unbounded(z)
            inside = (point >= self.bounds.lower) & (point <= self.bounds.upper)
            rows = rows * inside.flatten().to(rows.device)
        return (rows @ self.frame.T).cpu()

    def _unbounded(self, z: Tensor) -> Tensor:
        point = to_float64(self.base.flatten()) + self.vector(z)
        return point.reshape(self.base.shape).to(self.base)
