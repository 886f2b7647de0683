"""A Jacobian that is kept from point to point and mended by what forward passes show."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.geometry import to_float64


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
        self._rows = to_float64(rows.flatten(1))
        self._tolerance = rank_tolerance
        self._left: Tensor | None = None

    def update(self, move: Tensor, change: Tensor) -> None:
        """Mend the rows so that a move that was made explains the change (k,) of the outputs that it made."""
        move, change = to_float64(move.flatten()), to_float64(change)
        square = move @ move
        if square > 0:
            self._rows = torch.addr(self._rows, (change - self._rows @ move) / square, move)
            self._left = None

    def solve_least_norm(self, change: Tensor, frozen: Tensor | None = None) -> Tensor:
        """Find the shortest move (the point's shape) that changes the outputs by ``change`` (k,): J^+ dy.

        Where coordinates are frozen (boolean, the point's shape), the others alone make the change, and the frozen
        ones tell where they would be pushed.
        """
        return self._narrow(self._rows.T @ self._multipliers(to_float64(change), frozen))

    def project_to_kernel(self, move: Tensor, frozen: Tensor | None = None) -> Tensor:
        """Take from a move what the outputs see of it, to first order; ``frozen`` as in ``solve_least_norm``."""
        flat = to_float64(move.flatten())
        kept = 1.0 if frozen is None else ~frozen.flatten().to(flat.device)
        for _ in range(2):  # twice, against round-off
            flat = flat - self._rows.T @ self._multipliers(self._rows @ (flat * kept), frozen)
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

    def _multipliers(self, change: Tensor, frozen: Tensor | None) -> Tensor:
        """Solve A A^T m = change, (k,), in the coordinates that are not frozen."""
        if frozen is None or not frozen.any():
            self._decompose()
            left, squares = self._left, self._squares
        else:
            left, squares = self._eigenpairs(self._rows * ~frozen.flatten().to(self._rows.device))
        return left @ ((left.T @ change) / squares)

    def _decompose(self) -> None:
        if self._left is None:
            self._left, self._squares = self._eigenpairs(self._rows)

    def _eigenpairs(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Find the left singular vectors and the squared singular values above the tolerance."""
        squares, left = torch.linalg.eigh(rows @ rows.T)
        kept = (squares > 0) & (squares > self._tolerance**2 * squares[-1])
        return left[:, kept], squares[kept]

    def _narrow(self, flat: Tensor) -> Tensor:
        return flat.reshape(self._shape).to(device=self._device, dtype=self._dtype)
