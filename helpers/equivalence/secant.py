"""A Jacobian that is kept from point to point and mended by what forward passes show."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.geometry import widen


class SecantJacobian:
    """The Jacobian of k outputs for a point of n coordinates, mended by Broyden's rank-one secant updates.

    The pseudo-inverse and the kernel come from the eigenvectors of the (k, k) Gram matrix in float64, so that one
    decomposition costs k^2 n, whatever the walk's precision. On a device without float64 they are computed on the CPU.

    Source: Broyden, 1965 ("good" update).

    Args:
        rows: (k, *point.shape), of full precision where it was taken.
        rank_tolerance: singular values up to this fraction of the largest count as zero.
    """

    def __init__(self, rows: Tensor, rank_tolerance: float):
        self._shape, self._dtype, self._device = rows.shape[1:], rows.dtype, rows.device
        self._rows = widen(rows.flatten(1))
        self._tolerance = rank_tolerance
        self._left: Tensor | None = None

    def update(self, move: Tensor, change: Tensor) -> None:
        """Mend the rows so that a move that was made explains the change (k,) of the outputs that it made."""
        move, change = widen(move.flatten()), widen(change)
        square = move @ move
        if square > 0:
            self._rows = torch.addr(self._rows, (change - self._rows @ move) / square, move)
            self._left = None

    def freeze(self, frozen: Tensor) -> SecantJacobian:
        """Restrict to moves that leave the marked coordinates (boolean, the point's shape) alone."""
        return SecantJacobian(
            (self._rows * ~frozen.flatten().to(self._rows.device)).reshape(-1, *self._shape), self._tolerance
        )._like(self)

    def solve_horizontal(self, change: Tensor) -> Tensor:
        """Find the shortest move (the point's shape) that changes the outputs by ``change`` (k,): J^+ dy."""
        return self._narrow(self._solve(widen(change)))

    def project_vertical(self, move: Tensor) -> Tensor:
        """Take from a move what the outputs see of it, to first order."""
        flat = widen(move.flatten())
        for _ in range(2):  # twice, against round-off
            flat = flat - self._solve(self._rows @ flat)
        return self._narrow(flat)

    @property
    def rank(self) -> int:
        """Number of singular values that are not zero."""
        self._decompose()
        return len(self._squares)

    @property
    def nullity(self) -> int:
        """Dimension of the kernel."""
        return self._rows.shape[1] - self.rank

    def _solve(self, change: Tensor) -> Tensor:
        self._decompose()
        return self._rows.T @ (self._left @ ((self._left.T @ change) / self._squares))

    def _decompose(self) -> None:
        """Find the squared singular values above the tolerance, and their left singular vectors."""
        if self._left is None:
            squares, left = torch.linalg.eigh(self._rows @ self._rows.T)
            kept = (squares > 0) & (squares > self._tolerance**2 * squares[-1])
            self._left, self._squares = left[:, kept], squares[kept]

    def _like(self, other: SecantJacobian) -> SecantJacobian:
        self._dtype, self._device = other._dtype, other._device
        return self

    def _narrow(self, flat: Tensor) -> Tensor:
        return flat.reshape(self._shape).to(device=self._device, dtype=self._dtype)
