"""A walk from an input of a model, made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from helpers.adapters import PartsMap
from helpers.equivalence import (
    ExplorationPath,
    Step,
    WalkSettings,
    random_steps,
    simec_steps,
    simexp_steps,
    walk_class_steps,
)
from helpers.geometry import PullbackMetric, drift
from helpers.sessions.inputs import ModelInput
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

STEP_LENGTHS = {"short": 1.0, "medium": 3.0, "long": 10.0, "very long": 30.0}  # name: eta of SiMEC and SiMExp
UNCORRECTED = {"SiMEC": simec_steps, "SiMExp": simexp_steps, "random": random_steps}
ALGORITHMS = ("corrected", *UNCORRECTED)  # names of the walks
FLAT_STEP = 0.1  # longest step where no output changes, as a fraction of the norm of the start


@dataclass(frozen=True)
class WalkChoices:
    """What can be chosen between two steps of a walk.

    Attributes:
        algorithm: "corrected", "SiMEC", "SiMExp" or "random", the control.
        step_length: "short", "medium", "long" or "very long". A corrected step is at most as long as the first
            step of SiMEC.
        parts: the parts that may move; all of them if none is chosen.
        target: what a corrected walk approaches: a target of the image, or a word; None for nothing.
        tolerance: of the corrected walk, see ``WalkSettings``.
    """

    algorithm: str = "corrected"
    step_length: str = "medium"
    parts: tuple[int, ...] = ()
    target: str | None = None
    tolerance: float = WalkSettings().tolerance


class WalkSession(Session):
    """Walk from an input, one step at a time; go back, and go on from any point with other choices.

    Args:
        start: the input.
        settings: of the walks; the choices set eta, longest_step and the tolerances.
        seed: of the random directions.
        has_importance: whether the frames say how important each part is.
        choices: the first choices, by the names of ``WalkChoices``.
    """

    choices: WalkChoices

    def __init__(
        self,
        start: ModelInput,
        settings: WalkSettings | None = None,
        seed: int = 0,
        has_importance: bool = True,
        **choices: Any,
    ):
        super().__init__(settings or WalkSettings(), seed)
        self.input, self._has_importance = start, has_importance
        self._watched: list[int] = []  # classes that are shown besides the outputs
        self.choices = WalkChoices(tolerance=self._settings.tolerance)
        self.choose(**choices)
        self.first_choices = WalkChoices(tolerance=self._settings.tolerance)
        first = replace(first_step(start.f, start.f.start), point=start.point)
        self._points = [WalkPoint(first, None, self._create_frame(first, first, 0.0, ""))]

    @property
    def path(self) -> ExplorationPath:
        """The walk up to its last point, as whole points (T+1, parts, d_model); its settings are the latest ones."""
        algorithms = dict.fromkeys(point.choices.algorithm for point in self._points[1:])
        return self._assemble_path([point.step for point in self._points], " + ".join(algorithms))

    def describe(self) -> Frame:
        """Describe what all frames have in common, for a front end."""
        options = {"algorithms": list(ALGORITHMS), "step_lengths": list(STEP_LENGTHS)}
        watched = [self.input.adapter.class_names[index] for index in self._watched]
        return self.input.describe_outputs() | options | {"watched": watched}

    def watch(self, name: str) -> None:
        """Show one more class, of those that the walk sums into "the rest"; its output is not held by itself.

        Raises:
            ValueError: no class of that name, or its output is shown already.
        """
        index = self.input.find_class(name)
        if index in self._watched:
            raise ValueError(f"name={name!r}: is shown already")
        watched = [*self._watched, index]
        points = [replace(p, frame=p.frame | self._describe_watched(p.step, watched)) for p in self._points]
        self._watched, self._points = watched, points

    @torch.no_grad()
    def _describe_watched(self, step: Step, watched: list[int]) -> Frame:
        if not watched:
            return {}
        outputs = self.input.f.whole(step.point)
        return {"watched": [round_number(float(outputs[index])) for index in watched]}

    def choose(self, **choices: Any) -> None:
        """Choose how the next steps are made, by the names of ``WalkChoices``; what was walked stays.

        Raises:
            ValueError: a choice that is not to be had; all choices stay as they were.
        """
        chosen = replace(self.choices, **choices)
        check_option("algorithm", chosen.algorithm, ALGORITHMS)
        check_option("step_length", chosen.step_length, STEP_LENGTHS)
        chosen = replace(chosen, parts=tuple(sorted(set(chosen.parts))), target=chosen.target or None)
        movable = self.input.f.parts
        if fixed := sorted(set(chosen.parts) - set(movable)):
            raise ValueError(f"parts={list(chosen.parts)}: {fixed} may not move, wanted some of {list(movable)}")
        replace(self._settings, tolerance=chosen.tolerance)  # refuses what is no tolerance
        if chosen.target is not None:
            self.input.find_target(chosen.target, self.input.point, chosen.parts or movable)
        self.choices = chosen

    def _start_walk(self, generator: torch.Generator) -> Walk:
        choices, last = self.choices, self._points[self.selected].step
        f = self.input.map_at(last.point, choices.parts)
        self._settings = self._settings_of(f)
        options = self.input.adapter.bounds(last.point), self._settings, generator
        steps: Iterator[Step]
        if choices.algorithm in UNCORRECTED:
            steps = UNCORRECTED[choices.algorithm](f, f.start, UNLIMITED, *options)
        else:
            steps = walk_class_steps(f, f.start, UNLIMITED, self._target_of(f), *options, self._held_outputs())
        # The curve is one of the chosen parts, whose choice may change.
        return lambda step: replace(step, point=f.complete(step.point), pieces=()), (add_passes(s, last) for s in steps)

    def _settings_of(self, f: PartsMap) -> WalkSettings:
        """Return the settings of a walk with the present choices."""
        eta, norm = STEP_LENGTHS[self.choices.step_length], float(f.start.norm()) or 1.0
        condition = self._condition
        ratio = self._settings.curve_tolerance / self._settings.tolerance
        return replace(
            self._settings,
            eta=eta,
            longest_step=FLAT_STEP if math.isnan(condition) else eta / math.sqrt(condition) / norm,
            tolerance=self.choices.tolerance,
            curve_tolerance=ratio * self.choices.tolerance,
        )

    @cached_property
    def _condition(self) -> float:
        """The ratio of the largest eigenvalue to the smallest at the input, on which the length of a step depends."""
        whole = self.input.f
        return PullbackMetric.at(whole, whole.start, self._settings.output_metric).condition

    def _target_of(self, f: PartsMap) -> Tensor | None:
        if self.choices.target is None:
            return None
        return self.input.find_target(self.choices.target, f.point, f.parts)[list(f.parts)]

    def _held_outputs(self) -> Tensor:
        """Return the outputs that corrected steps keep: those that the walk had before the first of them."""
        earlier = reversed(self._points[: self.selected + 1])
        return next(p.step.outputs for p in earlier if p.choices is None or p.choices.algorithm != "corrected")

    def _create_point(self, step: Step) -> WalkPoint:
        before, start = self._points[self.selected], self._points[0].step
        frame = self._create_frame(step, start, before.frame["travel"] + step.size, self.choices.algorithm)
        return WalkPoint(step, self.choices, frame)

    def _create_frame(self, step: Step, start: Step, travel: float, algorithm: str) -> Frame:
        variation = self.input.f.head.variation(step.outputs, start.outputs)
        frame = {
            "algorithm": algorithm,
            "travel": round_number(travel),
            "drift": round_number(float(drift(step.outputs, start.outputs))),
            "variation": round_number(float(variation)),
            "outputs": [round_number(value) for value in step.outputs.tolist()],
            **self.input.describe(step.point),
            **self._describe_watched(step, self._watched),
        }
        return frame | ({"importance": self.input.measure_importance(step.point)} if self._has_importance else {})
