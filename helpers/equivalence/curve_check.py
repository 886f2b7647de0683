"""The check of the curve between the ends of a step: it holds its tolerance and the class is near it."""

from __future__ import annotations

from torch import Tensor

from helpers.equivalence.broyden import MOST_CORRECTIONS, BroydenCorrector, Refusal, StepRefusedError
from helpers.equivalence.interpolation import ControlPoints
from helpers.equivalence.level_set import Residual

NEAR = 0.1  # largest distance of the curve from the class, as a fraction of the interval's length
SMALL_RANK = 2  # up to this rank a residual may vanish at the middle by chance, and a second point is checked
SAFETY = 0.7  # fraction of the tolerance that the checked error may reach
HALVINGS = 3  # of a step's interval before it is refused
HOPELESS = 30.0  # error at the middle of a step, in units of the tolerance, above which it is refused at once
NEGLIGIBLE = 0.1  # fraction of the tolerance by which a point of a tiny step may be off without a correction
SLOWEST_MIDDLE = 0.8  # ratio of two residuals of a middle above which the step is refused
UNEVALUATED = 0.3  # fraction of the tolerance by which a point may be expected off that is not evaluated again


class CurveCheck:
    """Checks intervals of a curve at their middles, and inserts the corrected middles as control points.

    The error of an interval is the larger one of two estimates: the residual measured at its middle, and the one that
    the error formula of polynomial interpolation predicts from the residual at the end of the step before it was
    corrected, where the last polynomial was extrapolated. Where the middle alone may mislead, because the residual has
    few coordinates or the curve meets a bound, a second point is evaluated, half-way from the middle to the end. An
    interval that does not hold the tolerance is halved.

    Args:
        corrector: of the slice.
        points: control points of the slice, with the end of the step.
        axis: of the step.
        difference: the residual of the extrapolation divided by its node product.
        contraction: expected ratio of a residual after a correction to the one before.
        tolerance: of the curve.
    """

    def __init__(
        self, corrector: BroydenCorrector, points: ControlPoints, axis: Tensor, difference: float, tolerance: float
    ):
        self._corrector, self._points, self._axis = corrector, points, axis
        self._difference, self._tolerance = difference, tolerance
        self.drift = 0.0  # largest residual measured on an interval that was accepted
        self.error = 0.0  # of the whole step's interval before any halving, in units of the tolerance

    def check(self, start: float, end: float, contraction: float, halvings: int = 0) -> None:
        """Check the curve between two values of the coordinate along the axis.

        Raises:
            StepRefusedError: the class is too far from the curve, or the tolerance is not held.
        """
        middle = (start + end) / 2
        polynomial = self._points.interpolant(self._axis, middle)
        z = polynomial.at(middle)
        residual = self._corrector.evaluate(z)
        error = max(residual.error, self._difference * polynomial.node_product(middle)) / self._tolerance
        if error <= SAFETY and self._needs_second_point(start, end):
            second = self._corrector.evaluate(polynomial.at((middle + end) / 2))
            error = max(error, second.error / self._tolerance)
        self.error = self.error or error
        holds = error <= SAFETY
        if residual.error > HOPELESS * self._tolerance or (not holds and halvings == HALVINGS):
            raise StepRefusedError(Refusal.CURVE)
        self._insert(z, polynomial.tangent(middle), residual, contraction, end - start)
        if holds:
            self.drift = max(self.drift, residual.error)
        else:
            self.check(middle, end, contraction, halvings + 1)
            self.check(start, middle, contraction, halvings + 1)

    def _needs_second_point(self, start: float, end: float) -> bool:
        """Return whether the middle of an interval alone may mislead."""
        slice_ = self._points.slice
        ends = (self._points.interpolant(self._axis, u).at(u) for u in (start, end))
        return slice_.dimension <= SMALL_RANK + 1 or any(slice_.is_clamped(z) for z in ends)

    def _insert(self, z: Tensor, tangent: Tensor, residual: Residual, contraction: float, length: float) -> None:
        """Correct a checked point, and make it a control point."""
        corrector, start = self._corrector, z
        move = corrector.move(tangent, residual)
        for _ in range(MOST_CORRECTIONS):
            if not float((z + move - start).norm()) <= NEAR * length:
                if residual.error > NEGLIGIBLE * self._tolerance:
                    raise StepRefusedError(Refusal.DISTANCE)
                self._points.insert(z, self._axis)  # a tiny step from a point that is itself off by as much
                return
            z = z + move
            if contraction * residual.error <= UNEVALUATED * self._tolerance:
                self._points.insert(z, self._axis)
                return
            before, residual = residual, corrector.evaluate(z)
            corrector.update(move, residual.values - before.values)
            contraction = float(residual.values.norm() / before.values.norm())
            if not contraction <= SLOWEST_MIDDLE:
                break
            move = corrector.move(tangent, residual)
        raise StepRefusedError(Refusal.CURVE)
