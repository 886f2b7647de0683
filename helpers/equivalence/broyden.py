"""A Broyden corrector: quasi-Newton corrections that bring a point of a slice back to the class."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from helpers.equivalence.level_set import LevelSet, Residual
from helpers.equivalence.slices import Slice

SLOWEST = 0.5  # ratio of two residuals above which a new Jacobian is taken
MOST_CORRECTIONS = 7  # per Jacobian


class Refusal(StrEnum):
    """Why a step is refused."""

    CONTRACTION = "the corrections converge too slowly"
    PREDICTION = "the predicted point is too far from the class for the step's length"
    DISTANCE = "a point between the ends is too far from the class"
    CURVE = "the curve between the ends does not hold its tolerance"
    TURN = "the curve turns too far"
    AWAY = "the step does not lead nearer to the target"


class StepRefusedError(Exception):
    """A step is refused; ``refusal`` says why."""

    def __init__(self, refusal: Refusal):
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Correction:
    """A point that was brought back to the class.

    Attributes:
        measured: coordinates (r + 1,) of the last evaluation, within the tolerance.
        improved: one correction further, without an evaluation; where that would lead too far, the same.
        first, last: the residuals before the first and after the last correction.
        contraction: ratio of the first two residuals; 0 if no correction was needed.
    """

    measured: Tensor
    improved: Tensor
    first: Residual
    last: Residual
    contraction: float


class BroydenCorrector:
    """Newton corrections with a Jacobian that Broyden's formula updates after every evaluation.

    The Jacobian is kept in the r + 1 coordinates of a slice. In the full space it is ``rows``.

    Args:
        level_set: the residuals to remove.
        slice_: where the corrections move.
        rows: Jacobian (r, n) at the slice's base.
        fresh: whether it is exact, so that another one would be no better.

    Source: Broyden, 1965 ("good" update); Allgower and Georg, Numerical Continuation Methods, 1990, chapter 7.
    """

    def __init__(self, level_set: LevelSet, slice_: Slice, rows: Tensor, fresh: bool):
        self._level_set, self._slice, self._rows = level_set, slice_, rows
        self._jacobian = self._first = slice_.jacobian(rows, torch.zeros(slice_.dimension, dtype=torch.float64))
        self.refreshed = fresh
        self._accepted = (self._rows, self._jacobian, self._first)

    @property
    def rows(self) -> Tensor:
        """The Jacobian in the full space, (r, n), with all updates."""
        return self._rows + (self._jacobian - self._first).to(self._rows.device) @ self._slice.frame

    def update(self, move: Tensor, change: Tensor) -> None:
        """Update the Jacobian so that a move (r + 1,) explains the change (r,) of the residual."""
        square = move @ move
        if square > 0:
            self._jacobian = torch.addr(self._jacobian, (change - self._jacobian @ move) / square, move)

    def follow(self, tangent: Tensor) -> None:
        """Update the Jacobian so that the curve's tangent is a null direction."""
        self.update(tangent, tangent.new_zeros(len(self._jacobian)))

    def refresh(self, z: Tensor) -> None:
        """Replace the Jacobian by the exact one at coordinates z."""
        self._rows = self._level_set.rows(self._slice.point(z))
        self._jacobian = self._first = self._slice.jacobian(self._rows, z)
        self.refreshed = True

    def keep(self) -> None:
        """Keep the updates of an accepted step."""
        self._accepted, self.refreshed = (self._rows, self._jacobian, self._first), False

    def restore(self) -> None:
        """Undo the updates of a refused step."""
        self._rows, self._jacobian, self._first = self._accepted

    def move(self, axis: Tensor, residual: Residual) -> Tensor:
        """Return the move (r + 1,) across an axis that removes a residual, to first order."""
        system = torch.cat([self._jacobian, axis[None]])
        right = torch.cat([-residual.values, axis.new_zeros(1)])
        if system.shape[0] == system.shape[1]:
            solution, singular = torch.linalg.solve_ex(system, right)
            if not singular and bool(torch.isfinite(solution).all()):
                return solution
        return torch.linalg.lstsq(system, right[:, None], driver="gelsd").solution[:, 0]

    def evaluate(self, z: Tensor) -> Residual:
        """Evaluate the residual at coordinates z."""
        return self._level_set.residual(self._slice.point(z))

    def correct(self, start: Tensor, axis: Tensor, tolerance: float, longest: float) -> Correction:
        """Bring a point back to the class, moving across an axis; take a new Jacobian once if convergence is slow.

        Args:
            start: coordinates of a predicted point.
            axis: unit vector (r + 1,) across which the corrections move.
            tolerance: largest residual of any output.
            longest: longest sensible correction in all.

        Raises:
            StepRefusedError: the corrections converge too slowly or lead too far.
        """
        z, first, contraction, count = start, self.evaluate(start), 0.0, 0
        residual, may_refresh = first, not self.refreshed
        move = self.move(axis, residual)
        while residual.error > tolerance:
            if float((z + move - start).norm()) > longest:
                raise StepRefusedError(Refusal.PREDICTION)
            z, before, count = z + move, residual, count + 1
            residual = self.evaluate(z)
            self.update(move, residual.values - before.values)
            ratio = _ratio(residual, before)
            contraction = ratio if count == 1 and residual is not first else contraction
            if residual.error > tolerance and (ratio > SLOWEST or count == MOST_CORRECTIONS):
                if not may_refresh:
                    raise StepRefusedError(Refusal.CONTRACTION)
                self.refresh(z)
                may_refresh, count = False, 1
            move = self.move(axis, residual)
        improved = z + move if float((z + move - start).norm()) <= longest else z
        return Correction(z, improved, first, residual, contraction)


def _ratio(residual: Residual, before: Residual) -> float:
    size = float(before.values.norm())
    return float(residual.values.norm()) / size if size else float("inf")
