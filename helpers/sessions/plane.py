"""Two walks along a level curve of a function of the plane, without correction and with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from helpers.equivalence import ExplorationPath, Step, WalkSettings, walk_class_steps
from helpers.geometry import PullbackMetric, SmoothMap, check_finite, drift
from helpers.sessions.session import (
    UNLIMITED,
    Frame,
    Session,
    Walk,
    WalkPoint,
    add_passes,
    check_option,
    first_step,
    round_number,
)

PLANE_STEPS = {"short (0.1)": 0.1, "medium (0.3)": 0.3, "long (0.8)": 0.8}  # in units of the plane


@dataclass(frozen=True)
class PlaneChoices:
    """The function, the start and the step length of both walks."""

    function: str
    start: tuple[float, float]
    step_length: str = "medium (0.3)"


class PlaneSession(Session):
    """Walk along a level curve from a point of the plane: a naive walk and a corrected one, side by side.

    Each step of the naive walk is a straight step along the kernel, as long as the corrected walk's step. Other
    choices restart both walks.

    Args:
        functions: name -> map from a point (2,) to outputs (k,).
        start: of both walks.
        settings: of the corrected walk; the step length sets longest_step.
        seed: of the first direction.
    """

    choices: PlaneChoices

    def __init__(
        self,
        functions: Mapping[str, SmoothMap],
        start: Sequence[float] = (1.0, 0.5),
        settings: WalkSettings | None = None,
        seed: int = 0,
    ):
        super().__init__(settings or WalkSettings(tolerance=1e-10), seed)
        self.functions = dict(functions)
        x, y = map(float, start)
        self._begin(PlaneChoices(next(iter(self.functions)), (x, y)))
        self.first_choices = self.choices

    @property
    def f(self) -> SmoothMap:
        """The chosen function."""
        return self.functions[self.choices.function]

    @property
    def path(self) -> ExplorationPath:
        """The corrected walk up to its last point, points (T+1, 2)."""
        return self._assemble_path([p.step for p in self._points], "walk_class" if self._points[1:] else "")

    @property
    def naive_path(self) -> ExplorationPath:
        """The naive walk up to its last point, points (T+1, 2)."""
        return self._assemble_path([p.other for p in self._points if p.other], "naive" if self._points[1:] else "")

    def describe(self) -> Frame:
        """Describe what all frames have in common, for a front end."""
        return {"kind": "plane", "functions": list(self.functions), "step_lengths": list(PLANE_STEPS)}

    def choose(self, **choices: Any) -> None:
        """Choose the function, the start or the step length, and restart both walks.

        Raises:
            ValueError: a choice that is not to be had; the session stays as it was.
        """
        chosen = replace(self.choices, **choices)
        check_option("function", chosen.function, self.functions)
        check_option("step_length", chosen.step_length, PLANE_STEPS)
        x, y = map(float, chosen.start)
        self._begin(replace(chosen, start=(x, y)))

    def _begin(self, choices: PlaneChoices) -> None:
        """Restart both walks with new choices; an error leaves the old ones."""
        start = first_step(self.functions[choices.function], torch.tensor(choices.start, dtype=torch.float64))
        check_finite(start.outputs, "outputs")
        points = [WalkPoint(start, None, self._create_frame(start, start, start, 0.0), start)]
        self.choices, self._points = choices, points
        self.restart()

    def _start_walk(self, generator: torch.Generator) -> Walk:
        last, held = self._points[self.selected].step, self._points[0].step.outputs
        longest_step = PLANE_STEPS[self.choices.step_length] / (float(last.point.norm()) or 1.0)
        self._settings = replace(self._settings, longest_step=longest_step)
        walk = walk_class_steps(self.f, last.point, UNLIMITED, None, None, self._settings, generator, held)
        return lambda step: step, (add_passes(step, last) for step in walk)

    def _create_point(self, step: Step) -> WalkPoint:
        """Store beside the corrected step a naive one: straight along the kernel, equally long, and onwards."""
        naive = [point.other or point.step for point in self._points[: self.selected + 1]]
        last = naive[-1].point
        heading = last - naive[-2].point if len(naive) > 1 else step.point - last  # at first as the corrected step
        kernel_part = PullbackMetric.at(self.f, last).project_to_kernel(heading)
        move = step.size * kernel_part / kernel_part.norm().clamp(min=1e-30)  # zero where the kernel is trivial
        with torch.no_grad():
            outputs = self.f(last + move)
        naive_step = Step(last + move, outputs, float(move.norm()), 2, len(outputs))
        travel = self._points[self.selected].frame["travel"] + step.size
        frame = self._create_frame(step, naive_step, self._points[0].step, travel)
        return WalkPoint(step, self.choices, frame, add_passes(naive_step, naive[-1]))

    def _create_frame(self, step: Step, naive: Step, start: Step, travel: float) -> Frame:
        return {
            "travel": round_number(travel),
            "corrected": [round_number(value) for value in step.point.tolist()],
            "naive": [round_number(value) for value in naive.point.tolist()],
            "drifts": {
                "naive": round_number(float(drift(naive.outputs, start.outputs))),
                "corrected": round_number(float(drift(step.outputs, start.outputs))),
            },
        }
