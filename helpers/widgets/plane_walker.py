"""Walk along a level curve of a function of the plane, uncorrected and corrected side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.equivalence import ExplorationPath, Step, WalkSettings, walk_class_steps
from helpers.geometry import PullbackMetric, check_finite
from helpers.geometry.differentiation import SmoothMap
from helpers.widgets.stepper import ENDLESS, Stepper
from helpers.widgets.views import Plane

STRIDES = {"short (0.1)": 0.1, "medium (0.3)": 0.3, "long (0.8)": 0.8}
LEVELS, TICKS = 12, 81  # level curves, and points to a side of the grid that they are found on


@dataclass(frozen=True)
class Pair:
    """Where the naive and the corrected walk are after as many steps of the same lengths."""

    naive: Step
    corrected: Step


class PlaneWalker(Stepper):
    """Click a point of the plane and watch two walks grow from it, a naive one and a corrected one.

    Each step of the naive walk is a straight null step, as long as the step that the corrected walk just made. A new
    start, function or stride begins anew. The first output's level curves are drawn, the start's dotted.

    Args:
        functions: maps from a point (2,) to outputs (k,), by name; a control chooses among them.
        start: (x, y).
        span: the plane is shown from -span to span.
        settings: of the corrected walk; the stride control sets longest_step.
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
        super().__init__()
        self._functions, self._settings, self._seed = dict(functions), settings or WalkSettings(tolerance=1e-10), seed
        self.view = Plane(span=span, start=[float(value) for value in start])
        self.function = widgets.Dropdown(description="function", options=list(functions))
        self.stride = widgets.Dropdown(description="stride", options=list(STRIDES), value="medium (0.3)")
        self._arrange(self.view, [self.function, self.stride, self.buttons["restart"]])
        self._look()
        for control, trait in ((self.view, "start"), (self.stride, "value")):
            control.observe(lambda _: self._attempt(self.restart, "cannot start here"), trait)
        self.function.observe(lambda _: self._attempt(self._look, "cannot draw the function"), "value")

    @property
    def path(self) -> ExplorationPath:
        """The corrected walk so far, points (T+1, 2)."""
        return self._collect("corrected", "walk_class")

    @property
    def naive_path(self) -> ExplorationPath:
        """The naive walk so far, points (T+1, 2)."""
        return self._collect("naive", "straight null steps")

    def restart(self) -> None:
        """Go back to the start and drop what was walked."""
        f, point = self._functions[self.function.value], torch.tensor(self.view.start, dtype=torch.float64)
        with torch.no_grad():
            first = Step(point, f(point), 0.0, 1, 0)
        check_finite(first.outputs, "outputs")
        self._visits = [Pair(first, first)]
        self.view.level = level_curves(self._heights, self.view.span, [float(first.outputs[0])])
        super().restart()

    def _look(self) -> None:
        """Draw the chosen function and begin anew."""
        name, span = self.function.value, self.view.span
        self._heights = heights(self._functions[name], span)
        finite = self._heights[np.isfinite(self._heights)]
        levels = MaxNLocator(LEVELS).tick_values(finite.min(), finite.max())
        with self.view.hold_sync():
            self.view.contours = level_curves(self._heights, span, levels)
            self.view.label = f"plane under {name}; arrow keys move the cross, Enter starts there"
            self.restart()

    def _compute(self) -> Pair | None:
        if self._walk is None:
            self._walk = self._begin()
        found = next(self._walk)
        if found.stopped_because:
            self._stopped = found.stopped_because
            return None
        return Pair(self._naive_step(found), found)

    def _begin(self) -> Iterator[Step]:
        """Start a corrected walk at the end of what was walked; it holds the output of the start."""
        last, wanted = self._visits[-1].corrected, self._visits[0].corrected.outputs
        longest = STRIDES[self.stride.value] / (float(last.point.norm()) or 1.0)
        self._settings = replace(self._settings, longest_step=longest)
        generator = torch.Generator().manual_seed(self._seed)
        f = self._functions[self.function.value]
        walk = walk_class_steps(f, last.point, ENDLESS, None, None, self._settings, generator, wanted)
        next(walk)  # the start, which is shown already
        return (_continue(step, last) for step in walk)

    def _naive_step(self, found: Step) -> Step:
        """Go straight on along the kernel, as far as the corrected walk's step; the first time in its direction."""
        last = self._visits[-1]
        before = self._visits[-2].naive.point if len(self._visits) > 1 else None
        heading = found.point - last.corrected.point if before is None else last.naive.point - before
        f = self._functions[self.function.value]
        blind = PullbackMetric.at(f, last.naive.point).project_to_kernel(heading)
        point = last.naive.point + found.size * blind / blind.norm().clamp(min=1e-30)  # stays where nothing is blind
        with torch.no_grad():
            outputs = f(point)
        return _continue(Step(point, outputs, float((point - last.naive.point).norm()), 2, len(outputs)), last.naive)

    def _collect(self, which: str, algorithm: str) -> ExplorationPath:
        walked = [getattr(pair, which) for pair in self._visits]
        return ExplorationPath(
            points=torch.stack([step.point for step in walked]),
            outputs=torch.stack([step.outputs for step in walked]),
            step_sizes=torch.tensor([step.size for step in walked[1:]], dtype=torch.float64),
            algorithm=algorithm if len(walked) > 1 else "no step yet",
            settings=self._settings,
            seed=self._seed,
            stopped_because=self._stopped or "no more steps asked for",
            forward_passes=walked[-1].forward_passes,
            backward_passes=walked[-1].backward_passes,
        )

    def _show_visit(self, index: int) -> str:
        shown, first = self._visits[: index + 1], self._visits[0].naive.outputs
        drifts = [float((step.outputs - first).abs().max()) for step in (shown[-1].naive, shown[-1].corrected)]
        with self.view.hold_sync():
            self.view.naive = [pair.naive.point.tolist() for pair in shown]
            self.view.corrected = [pair.corrected.point.tolist() for pair in shown]
            self.view.drifts = drifts
        return (
            f"point {index} of {len(self._visits) - 1}: each has travelled {sum(p.corrected.size for p in shown):.3g}\n"
            f"drift: naive {drifts[0]:.2g}, corrected {drifts[1]:.2g}"
        )


def _continue(step: Step, last: Step) -> Step:
    """Add what was spent before to what a step says was spent."""
    return replace(
        step,
        forward_passes=step.forward_passes + last.forward_passes,
        backward_passes=step.backward_passes + last.backward_passes,
    )


def heights(f: SmoothMap, span: float) -> np.ndarray:
    """Evaluate the first output on a grid of the plane from -span to span: (TICKS, TICKS), rows from below."""
    ticks = torch.linspace(-span, span, TICKS, dtype=torch.float64)
    with torch.no_grad():
        return np.array([[float(f(torch.stack([x, y]))[0]) for x in ticks] for y in ticks])


def level_curves(heights: np.ndarray, span: float, levels: Sequence[float]) -> list[list[list[float]]]:
    """Find the curves of given heights on such a grid, each a list of [x, y]."""
    ticks = np.linspace(-span, span, len(heights))
    found = Figure().subplots().contour(ticks, ticks, np.ma.masked_invalid(heights), levels=levels)
    return [np.round(curve, 3).tolist() for curves in found.allsegs for curve in curves if len(curve)]
