"""Controls that all walkers share: step, back, play, restart, and a slider over the points of the walk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.equivalence import ExplorationPath, Step, WalkSettings, path_of_steps
from helpers.geometry import SmoothMap
from helpers.widgets.views import StatusLine

UNLIMITED = 10**9  # steps or travel of a walk that goes on as long as the reader asks for steps
PLAY_INTERVAL = 400  # milliseconds between steps; longer than a step of a bundled model takes
ACCESSIBLE_NAMES = {  # CSS selector -> name for screen readers, for elements that ipywidgets leaves without a name
    ".widget-play button:nth-of-type(1)": "play or pause",
    ".widget-play button:nth-of-type(2)": "stop",
    ".noUi-handle": "point shown",
    ".widget-readout": "number of the point shown",
}


@dataclass(frozen=True)
class WalkPoint:
    """One point of a walk, stored so that the slider can show it without computing."""

    step: Step  # its passes are those since the start of all walks in the widget
    algorithm: str = ""  # that made the step to this point
    details: Any = None  # what a subclass shows besides: the traits of its view, or the step of a second walk


class StepControls(widgets.VBox):
    """Buttons to step, go back, play and restart, and a slider over the points of the walk.

    Only a step computes, whether the button or play asks for it. If a step fails, or the kernel is interrupted, the
    widget shows the error and keeps the points.

    A subclass stores the start in ``_points`` and implements ``_start_walk``, ``_create_point`` and ``_show_points``.
    """

    def __init__(self, settings: WalkSettings, seed: int) -> None:
        super().__init__()
        self._settings, self._seed = settings, seed
        self._points: list[WalkPoint] = []
        self._steps: Iterator[Step] | None = None  # the walk in progress
        self._stop_reason: str | None = None
        self.slider = widgets.IntSlider(description="point", min=0, max=1, disabled=True, layout={"width": "320px"})
        self.play = widgets.Play(interval=PLAY_INTERVAL, min=0, max=UNLIMITED, show_repeat=False)
        self.status = StatusLine(names=ACCESSIBLE_NAMES)
        self.buttons: dict[str, widgets.Button] = {}
        self._add_buttons({"back": self.back, "step": self.step, "restart": self.restart})
        # Stop sets the value of play back to 0, which is no request for a step.
        self.play.observe(lambda change: self.step() if change.new > change.old else None, "value")
        self.slider.observe(self._show_selected_point, "value")
        self.add_class("tm-walker")

    def _start_walk(self) -> Iterator[Step]:
        """Start a walk with the present controls at the last point; its first step repeats that point."""
        raise NotImplementedError

    def _create_point(self, step: Step) -> WalkPoint:
        """Compute what the widget stores about a new step."""
        raise NotImplementedError

    def _show_points(self, points: list[WalkPoint]) -> str:
        """Show the last of these points without computing, and return a description for the status line."""
        raise NotImplementedError

    def step(self) -> None:
        """Go to the next stored point, or make a new step at the end of the walk."""
        if self.slider.value < len(self._points) - 1:
            self.slider.value += 1
        elif not self.status.run(self._append_step, "cannot step: "):
            self._end_walk()  # an iterator that raised an error is exhausted

    def back(self) -> None:
        """Go back to the previous point; all points are kept."""
        self.slider.value = max(0, self.slider.value - 1)

    def restart(self) -> None:
        """Go back to the start and discard all other points."""
        self.play.playing = False
        self.slider.value = 0
        self._discard_later_points()

    def _append_step(self) -> None:
        last = self._points[-1]
        if self._steps is None:
            self._stop_reason = None
            self._steps = (add_passes(step, last.step) for step in self._start_walk())
            next(self._steps)  # the start, which is stored already
        step = next(self._steps)
        if step.stopped_because:
            forward, backward = step.forward_passes, step.backward_passes  # with those of the last attempt
            repeated = replace(last.step, forward_passes=forward, backward_passes=backward)
            self._points[-1], self._stop_reason = replace(last, step=repeated), step.stopped_because
            self._end_walk()
            self.status.show(f"the walk stopped: {self._stop_reason}")
            return
        self._points.append(self._create_point(step))
        self._update_slider()
        self.slider.value = self.slider.max
        self._show_selected_point()  # for a slider that was there already and notified nobody

    def _end_walk(self) -> None:
        self._steps, self.play.playing = None, False

    def _discard_later_points(self, _: Any = None) -> None:
        """Discard the walk in progress and all points after the one that is shown."""
        del self._points[self.slider.value + 1 :]
        self._steps, self._stop_reason = None, None
        self._update_slider()
        self._show_selected_point()

    def _update_slider(self) -> None:
        last = len(self._points) - 1
        self.slider.max, self.slider.disabled = max(1, last), last == 0

    def _show_selected_point(self, _: Any = None) -> None:
        index, last = min(self.slider.value, len(self._points) - 1), len(self._points) - 1
        self.status.show(f"point {index} of {last}: {self._show_points(self._points[: index + 1])}")

    def _assemble_path(self, steps: list[Step], algorithm: str) -> ExplorationPath:
        end = replace(steps[-1], stopped_because=self._stop_reason)
        return path_of_steps(steps, end, algorithm or "no step yet", self._settings, self._seed)

    def _add_buttons(self, actions: dict[str, Callable[[], None]]) -> None:
        for name, action in actions.items():
            self.buttons[name] = widgets.Button(description=name, layout={"width": "96px"})
            self.buttons[name].on_click(lambda _, action=action: action())

    def _place_controls(self, view: widgets.Widget, *rows: Sequence[widgets.Widget]) -> None:
        """Place below each other: the view, the step controls, more rows of controls, and the status line."""
        first_row = [self.buttons["back"], self.buttons["step"], self.play, self.slider]
        self.children = [view, *(widgets.HBox(row) for row in (first_row, *rows)), self.status]


@torch.no_grad()
def first_step(f: SmoothMap, point: Tensor) -> Step:
    """Evaluate a map at the start of a walk."""
    return Step(point, f(point), size=0.0, forward_passes=1, backward_passes=0)


def add_passes(step: Step, previous: Step) -> Step:
    """Return a step whose passes include those of a previous step."""
    return replace(
        step,
        forward_passes=step.forward_passes + previous.forward_passes,
        backward_passes=step.backward_passes + previous.backward_passes,
    )
