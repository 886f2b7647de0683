"""Walk along a level curve of a function of the plane, without correction and with it, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.equivalence import ExplorationPath, Step, WalkSettings, walk_class_steps
from helpers.geometry import PullbackMetric, SmoothMap, check_finite, drift
from helpers.widgets.step_controls import UNLIMITED, StepControls, WalkPoint, add_passes, first_step
from helpers.widgets.views import Plane

STEP_LENGTHS = {"short (0.1)": 0.1, "medium (0.3)": 0.3, "long (0.8)": 0.8}  # in units of the plane
LEVEL_COUNT = 12  # level curves drawn, at most
GRID_POINTS = 81  # per side of the grid on which level curves are computed


class PlaneWalker(StepControls):
    """Click a point of the plane and watch two walks grow from it, a naive one and a corrected one.

    Each step of the naive walk is a straight step along the kernel, as long as the corrected walk's step. A new start,
    function or step length restarts both walks. The view draws the level curves of the first output from -span to
    span; the one through the start is dotted.

    Args:
        functions: name -> map from a point (2,) to outputs (k,); a control chooses among them.
        settings: of the corrected walk; the step length control sets longest_step.
        seed: of the first direction.
    """

    def __init__(
        self,
        functions: Mapping[str, SmoothMap],
        start: Sequence[float] = (1.0, 0.5),
        span: float = 3.0,
        settings: WalkSettings | None = None,
        seed: int = 0,
    ):
        super().__init__(settings or WalkSettings(tolerance=1e-10), seed)
        self._functions = dict(functions)
        self.view = Plane(span=span, start=[float(value) for value in start])
        self.function = widgets.Dropdown(description="function", options=list(functions))
        self.step_length = widgets.Dropdown(description="step length", options=list(STEP_LENGTHS), value="medium (0.3)")
        self._place_controls(self.view, [self.function, self.step_length, self.buttons["restart"]])
        self._draw_function()
        for control, trait in ((self.view, "start"), (self.step_length, "value")):
            control.observe(lambda _: self.status.run(self.restart, "cannot start here: "), trait)
        self.function.observe(lambda _: self.status.run(self._draw_function, "cannot draw the function: "), "value")

    @property
    def path(self) -> ExplorationPath:
        """The corrected walk up to its last point, points (T+1, 2)."""
        return self._assemble_path([point.step for point in self._points], self._points[-1].algorithm)

    @property
    def naive_path(self) -> ExplorationPath:
        """The naive walk up to its last point, points (T+1, 2)."""
        return self._assemble_path([point.details for point in self._points], "naive" if self._points[1:] else "")

    @property
    def _map(self) -> SmoothMap:
        return self._functions[self.function.value]

    def restart(self) -> None:
        """Go back to the start and discard all other points."""
        start = first_step(self._map, torch.tensor(self.view.start, dtype=torch.float64))
        check_finite(start.outputs, "outputs")
        self._points = [WalkPoint(start, details=start)]
        self.view.level = compute_level_curves(self._heights, self.view.span, [float(start.outputs[0])])
        super().restart()

    def _draw_function(self) -> None:
        """Draw the level curves of the chosen function and restart."""
        span = self.view.span
        self._heights = evaluate_on_grid(self._map, span)
        finite = self._heights[np.isfinite(self._heights)]
        levels = MaxNLocator(LEVEL_COUNT).tick_values(finite.min(), finite.max())
        with self.view.hold_sync():
            self.view.contours = compute_level_curves(self._heights, span, levels)
            self.view.label = f"plane under {self.function.value}; arrow keys move the cross, Enter starts there"
            self.restart()

    def _start_walk(self) -> Iterator[Step]:
        point, reference = self._points[-1].step.point, self._points[0].step.outputs
        longest_step = STEP_LENGTHS[self.step_length.value] / (float(point.norm()) or 1.0)
        self._settings = replace(self._settings, longest_step=longest_step)
        generator = torch.Generator().manual_seed(self._seed)
        return walk_class_steps(self._map, point, UNLIMITED, None, None, self._settings, generator, reference)

    def _create_point(self, step: Step) -> WalkPoint:
        """Store beside the corrected step a naive one: straight along the kernel, equally long, and onwards."""
        naive = [point.details for point in self._points]
        last = naive[-1].point
        heading = last - naive[-2].point if len(naive) > 1 else step.point - last  # at first as the corrected step
        kernel_part = PullbackMetric.at(self._map, last).project_to_kernel(heading)
        move = step.size * kernel_part / kernel_part.norm().clamp(min=1e-30)  # zero where the kernel is trivial
        with torch.no_grad():
            outputs = self._map(last + move)
        naive_step = Step(last + move, outputs, float(move.norm()), 2, len(outputs))
        return WalkPoint(step, "walk_class", add_passes(naive_step, naive[-1]))

    def _show_points(self, points: list[WalkPoint]) -> str:
        both, start = (points[-1].details, points[-1].step), points[0].step.outputs
        drifts = [float(drift(step.outputs, start)) for step in both]
        with self.view.hold_sync():
            self.view.naive = [point.details.point.tolist() for point in points]
            self.view.corrected = [point.step.point.tolist() for point in points]
            self.view.drifts = drifts
        return (
            f"each has travelled {sum(point.step.size for point in points):.3g}\n"
            f"drift: naive {drifts[0]:.2g}, corrected {drifts[1]:.2g}"
        )


def evaluate_on_grid(f: SmoothMap, span: float) -> np.ndarray:
    """Evaluate the first output on a grid from -span to span: (GRID_POINTS, GRID_POINTS), one row per y, upwards."""
    ticks = torch.linspace(-span, span, GRID_POINTS, dtype=torch.float64)
    with torch.no_grad():
        return np.array([[float(f(torch.stack([x, y]))[0]) for x in ticks] for y in ticks])


def compute_level_curves(heights: np.ndarray, span: float, levels: Sequence[float]) -> list[list[list[float]]]:
    """Compute the level curves of values on such a grid at the given levels; each curve is a list of [x, y]."""
    ticks = np.linspace(-span, span, len(heights))
    contours = Figure().subplots().contour(ticks, ticks, np.ma.masked_invalid(heights), levels=levels)
    return [np.round(curve, 3).tolist() for curves in contours.allsegs for curve in curves if len(curve)]
