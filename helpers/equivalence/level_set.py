"""The level set that a walk stays in, seen through residuals and Jacobian rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.equivalence.counted_map import CountedMap
from helpers.equivalence.end_reasons import EndReason
from helpers.geometry import to_float64


class NotFiniteError(Exception):
    """The map or its Jacobian is not finite at a point; ``reason`` says which."""

    def __init__(self, reason: EndReason):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Residual:
    """How far the outputs at a point are from those to hold.

    Attributes:
        outputs: (k,) there.
        values: (r,), the difference in the coordinates of the image's tangent space; float64 on the CPU.
        error: the largest difference of any output, in the outputs' unit.
    """

    outputs: Tensor
    values: Tensor
    error: float


class LevelSet:
    """The points where a map has given outputs.

    Where the Jacobian has constant rank r, its column space on the level set is always the tangent space of the map's
    image at the held outputs. Residuals are expressed in an orthonormal basis of it, which is taken from one Jacobian;
    later ones need r backward passes instead of k. Ten log-probabilities have rank 9, two have rank 1.

    Args:
        f: the map, which counts its passes.
        outputs: (k,), to be held.
        rank_tolerance: singular values up to this fraction of the largest count as zero.
    """

    def __init__(self, f: CountedMap, outputs: Tensor, rank_tolerance: float):
        self._f, self._rank_tolerance = f, rank_tolerance
        self._held = to_float64(outputs).cpu()
        self._basis: Tensor | None = None

    def residual(self, point: Tensor) -> Residual:
        """Evaluate the map at a point and compare it with the outputs to hold."""
        outputs = self._f(point)
        difference = to_float64(outputs).cpu() - self._held
        error = float(difference.abs().max())
        if not math.isfinite(error):
            raise NotFiniteError(EndReason.NOT_FINITE)
        values = difference if self._basis is None else self._basis.T @ difference
        return Residual(outputs, values, error)

    def rows(self, point: Tensor) -> Tensor:
        """Differentiate at a point: (r, n), float64, in the coordinates of the image's tangent space."""
        if self._basis is None:
            jacobian = self._checked(self._f.jacobian(self._f.linearize(point)))
            squares, left = torch.linalg.eigh(jacobian @ jacobian.T)
            nonzero = (squares > 0) & (squares > self._rank_tolerance**2 * squares[-1])
            self._basis = left[:, nonzero].cpu()
            return left[:, nonzero].T @ jacobian
        return self._checked(self._f.pull_back(self._f.linearize(point), self._basis.T))

    def forget_rank(self) -> None:
        """Determine the rank again with the next Jacobian; the first one may have been taken where it is lower."""
        self._basis = None

    def _checked(self, jacobian: Tensor) -> Tensor:
        if not torch.isfinite(jacobian).all():
            raise NotFiniteError(EndReason.NOT_DIFFERENTIABLE)
        return to_float64(jacobian.flatten(1))
