"""Controls that the walkers of models share: the algorithm, its step length, and the parts that may move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.adapters import Adapter
from helpers.equivalence import (
    ExplorationPath,
    Step,
    WalkSettings,
    simec_steps,
    simexp_steps,
    walk_class_steps,
)
from helpers.geometry import drift, total_variation
from helpers.widgets.step_controls import UNLIMITED, StepControls, WalkPoint
from helpers.widgets.views import ProbabilityBars

STEP_LENGTHS = {  # label: (eta of SiMEC and SiMExp, longest_step of the corrected walk)
    "short (eta 1)": (1.0, 0.03),
    "medium (eta 3)": (3.0, 0.1),
    "long (eta 10)": (10.0, 0.3),
}
ALGORITHMS = ("corrected", "SiMEC", "SiMExp")


@dataclass(frozen=True)
class ModelPoint(WalkPoint):
    """A point of a walk with the values that its view shows.

    Attributes:
        view_traits: name of a trait of the view -> its value at this point.
    """

    view_traits: dict[str, Any] = field(default_factory=dict, repr=False)


class ModelWalker(StepControls):
    """Walk by hand: step, back, play, and a slider over the points of the walk.

    A change of parts, algorithm or step length applies from the point that is shown; all later points are discarded.
    A subclass implements how a point is shown: ``_create_view`` and ``_compute_view_traits``.

    Args:
        adapter: the model.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; the step length control sets eta and longest_step.
        seed: of the random directions.
    """

    part_kind = "parts"  # what the parts of a point are called
    start_name = "the start"  # what the first point is called

    def __init__(self, adapter: Adapter, raw: Any, settings: WalkSettings | None = None, seed: int = 0):
        super().__init__(settings or WalkSettings(), seed)
        start = adapter.encode(raw)
        self._adapter = adapter
        self._generator = torch.Generator().manual_seed(seed)
        self._map = adapter.output_map(start)
        self.view = self._create_view(raw)
        with torch.no_grad():
            step = Step(start, self._map(self._map.start), 0.0, 1, 0)
        self._points = [ModelPoint(step, view_traits=self._compute_view_traits(start))]
        self.bars = ProbabilityBars(names=list(self._map.names), reference=step.outputs.exp().tolist())
        self._create_controls()
        self._show_selected_point()

    def _create_view(self, raw: Any) -> Any:
        """Create the view of a point; its trait ``selected`` lists the parts that may move."""
        raise NotImplementedError

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        """Compute the values that the view shows of a point, by the name of the trait."""
        raise NotImplementedError

    @property
    def path(self) -> ExplorationPath:
        """The walk up to its last point, as whole points (T+1, parts, d_model); its settings are the latest ones."""
        algorithms = dict.fromkeys(point.algorithm for point in self._points[1:])
        return self._assemble_path([point.step for point in self._points], " + ".join(algorithms))

    def restart(self) -> None:
        """Go back to the start, discard all other points, and draw the same random directions again."""
        self._generator.manual_seed(self._seed)
        super().restart()

    def _start_walk(self) -> Iterator[Step]:
        if not self.view.selected:
            raise ValueError(f"none of the {self.part_kind} may move; click at least one")
        eta, longest_step = STEP_LENGTHS[self.step_length.value]
        self._settings = replace(self._settings, eta=eta, longest_step=longest_step)
        point = self._points[-1].step.point
        f = self._map = self._adapter.output_map(point, self.view.selected, self._map.target)
        bounds, settings, generator = self._adapter.bounds(point), self._settings, self._generator
        if self.algorithm.value == "SiMEC":
            return simec_steps(f, f.start, UNLIMITED, bounds, settings, generator)
        if self.algorithm.value == "SiMExp":
            return simexp_steps(f, f.start, UNLIMITED, bounds, settings, generator)
        reference = self._find_reference_outputs()
        return walk_class_steps(f, f.start, UNLIMITED, None, bounds, settings, generator, reference)

    def _create_point(self, step: Step) -> ModelPoint:
        point = self._map.complete(step.point)
        return ModelPoint(replace(step, point=point), self.algorithm.value, self._compute_view_traits(point))

    def _find_reference_outputs(self) -> Tensor:
        """Return the outputs that a corrected walk keeps: those before the first of its steps up to here."""
        return next(point.step.outputs for point in reversed(self._points) if point.algorithm != "corrected")

    def _create_controls(self) -> None:
        all_parts = list(self._map.parts)
        self.view.selected = all_parts
        self.algorithm = widgets.Dropdown(description="walk", options=list(ALGORITHMS))
        self.step_length = widgets.Dropdown(
            description="step length", options=list(STEP_LENGTHS), value="medium (eta 3)"
        )
        selections = {f"all {self.part_kind}": all_parts, f"no {self.part_kind}": []}
        self._add_buttons({name: partial(self._select_parts, parts) for name, parts in selections.items()})
        for control, trait in ((self.view, "selected"), (self.algorithm, "value"), (self.step_length, "value")):
            control.observe(self._discard_later_points, trait)
        buttons = [self.buttons[name] for name in (*selections, "restart")]
        self._place_controls(self._place_view(self.view, self.bars), [self.algorithm, self.step_length], buttons)

    def _select_parts(self, parts: list[int]) -> None:
        self.view.selected = parts

    def _place_view(self, view: widgets.DOMWidget, bars: widgets.DOMWidget) -> widgets.Box:
        """Place the view and the bars beside each other."""
        return widgets.HBox([view, bars], layout={"grid_gap": "24px"})

    def _show_point(self, index: int) -> str:
        point, start = self._points[index], self._points[0].step
        with self.view.hold_sync():
            for trait, value in point.view_traits.items():
                setattr(self.view, trait, value)
        outputs = point.step.outputs
        self.bars.values = outputs.exp().tolist()
        travel = sum(earlier.step.size for earlier in self._points[1 : index + 1])
        return (
            f"point {index} of {len(self._points) - 1}: travelled {travel:.3g}, "
            f"{self.start_name}'s norm is {float(start.point.norm()):.3g}\n"
            f"drift {float(drift(outputs, start.outputs)):.2g} nats, "
            f"total variation {float(total_variation(outputs, start.outputs)):.2g}"
        )
