"""The control of a step's length."""

from __future__ import annotations

from dataclasses import dataclass

GROWTH = 1.8  # largest ratio of one step's length to the last one's
NOMINAL_CONTRACTION = 0.3  # ratio of the first two residuals of a step that the control aims at
NOMINAL_CURVE = 1.0  # error of the interpolated curve that the control aims at, in units of its tolerance
LAST = 0.02  # least length of the last step, as a fraction of the step before it; a shorter one is lost in rounding
SHORTEST = 1e-6  # fraction of the longest step below which no step is tried


@dataclass
class StepController:
    """Adapts the length of a step so that its observed quantities come near their nominal values.

    Args:
        length: of the next step.
        longest: no step is longer.
        accepted: length of the last accepted step; 0 before the first.

    Source: Allgower and Georg, Numerical Continuation Methods, 1990, section 6.1.
    """

    length: float
    longest: float
    accepted: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether the step has become too short to go on."""
        return self.length < SHORTEST * self.longest

    def propose(self, left: float, limit: float) -> float:
        """Return the length of the next step, at most ``limit``; steps to the end of the travel are equally long."""
        self.length = min(self.length, self.longest)
        count = max(1.0, -(-left // self.length)) if left < 1e6 * self.length else 1e6
        return min(self.length, max(left / count, LAST * self.accepted), limit)

    def accept(self, length: float, contraction: float, curve_error: float, order: int) -> None:
        """Learn from an accepted step.

        Args:
            length: of the step.
            contraction: ratio of its first two residuals, which is proportional to the length.
            curve_error: of the curve between its ends, in units of its tolerance.
            order: of the interpolation; the error is proportional to the length to this power.
        """
        factor = min(
            GROWTH,
            NOMINAL_CONTRACTION / max(contraction, 1e-9),
            (NOMINAL_CURVE / max(curve_error, 1e-9)) ** (1 / order),
        )
        self.accepted = length
        if factor < 1 or length >= 0.5 * self.length:
            self.length = min(self.longest, length * max(0.5, factor))

    def refuse(self, length: float) -> None:
        """Halve a length that was refused."""
        self.length = length / 2
