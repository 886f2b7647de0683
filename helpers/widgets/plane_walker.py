"""Walk along a level curve of a function of the plane, without correction and with it, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.equivalence import ExplorationPath, WalkSettings
from helpers.geometry import SmoothMap
from helpers.sessions import PlaneSession
from helpers.widgets.walker import Walker

LEVEL_COUNT = 12  # level curves drawn, at most
GRID_POINTS = 81  # per side of the grid on which level curves are computed


class PlaneWalker(Walker):
    """Click a point of the plane and watch two walks grow from it, a naive one and a corrected one.

    Each step of the naive walk is a straight step along the kernel, as long as the corrected walk's step. A new start,
    function or step length restarts both walks. The view draws the level curves of the first output from -span to
    span; the one through the start is dotted.

    Args:
        functions: name -> map from a point (2,) to outputs (k,); a control chooses among them.
        settings: of the corrected walk; the step length control sets longest_step.
        seed: of the first direction.
    """

    span = traitlets.Float(2.0).tag(sync=True)  # the plane is shown from -span to span
    contours: traitlets.List[Any] = traitlets.List().tag(sync=True)  # level curves, each a list of [x, y]
    level: traitlets.List[Any] = traitlets.List().tag(sync=True)  # the level curves through the start

    def __init__(
        self,
        functions: Mapping[str, SmoothMap],
        start: Sequence[float] = (1.0, 0.5),
        span: float = 3.0,
        settings: WalkSettings | None = None,
        seed: int = 0,
    ):
        self.settings = settings
        self._drawn: tuple[Any, ...] = ()  # the function whose level curves are drawn, the span and the start
        self._heights = np.zeros((0, 0))
        super().__init__(PlaneSession(functions, start, settings, seed))
        self.span = span
        self._draw_level_curves()

    @property
    def path(self) -> ExplorationPath:
        """The corrected walk up to its last point, points (T+1, 2)."""
        return self.session.path

    @property
    def naive_path(self) -> ExplorationPath:
        """The naive walk up to its last point, points (T+1, 2)."""
        return self.session.naive_path

    def _describe_start(self, name: str) -> str:
        start, seed = self.session.first_choices.start, self.session.seed
        return f"{name}.session.functions, {start}, {name}.settings, seed={seed}"

    def _run(self, action: Callable[[], Any], failure: str = "") -> None:
        def act_and_draw() -> None:
            action()
            self._draw_level_curves()

        super()._run(act_and_draw, failure)

    def _draw_level_curves(self) -> None:
        """Draw the level curves of the chosen function, and the one through the start, where they have changed."""
        choices, before = self.session.choices, self._drawn
        drawn = choices.function, self.span, choices.start
        if drawn == before:
            return
        self._drawn, self.level = (), []  # an error or a stop leaves none that are wrong
        if drawn[:2] != before[:2]:
            self.contours = []
            self._heights = evaluate_on_grid(self.session.f, self.span)
            finite = self._heights[np.isfinite(self._heights)]
            levels = MaxNLocator(LEVEL_COUNT).tick_values(finite.min(), finite.max())
            self.contours = compute_level_curves(self._heights, self.span, levels)
        height = float(self.session.f(torch.tensor(choices.start, dtype=torch.float64))[0])
        self.level = compute_level_curves(self._heights, self.span, [height])
        self._drawn = drawn


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
