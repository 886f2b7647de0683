"""Controls that all walkers share: step, back, play, restart, and a slider over the points of the walk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets

from helpers.equivalence import ExplorationPath, Step, WalkSettings, path_of_steps
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
    """One point of a walk, stored so that the slider can show it without computing.

    Attributes:
        step: the point and its outputs; its passes are those since the start of all walks in the widget.
        algorithm: the algorithm that made the step to this point; empty for the start.
    """

    step: Step
    algorithm: str = ""


class StepControls(widgets.VBox):
    """Buttons to step, go back, play and restart, and a slider over the points of the walk.

    Only a step computes, whether the button or play asks for it. If a step fails, or the kernel is interrupted, the
    widget shows the error and keeps the points.

    A subclass stores the start in ``_points`` and implements ``_start_walk``, ``_create_point`` and ``_show_point``.

    Args:
        settings: of the walks.
        seed: of the random directions.
    """

    def __init__(self, settings: WalkSettings, seed: int) -> None:
        super().__init__()
        self._settings, self._seed = settings, seed
        self._points: list[Any] = []
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

    def _show_point(self, index: int) -> str:
        """Show a stored point without computing, and return the text of the status line."""
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
        if self._steps is None:
            last, self._stop_reason = self._points[-1].step, None
            self._steps = (add_passes(step, last) for step in self._start_walk())
            next(self._steps)  # the start, which is stored already
        step = next(self._steps)
        if step.stopped_because:
            self._record_end(step)
            return
        self._points.append(self._create_point(step))
        self._update_slider()
        if self.slider.value == self.slider.max:
            self._show_selected_point()  # the slider does not move, so it does not notify its observer
        self.slider.value = self.slider.max

    def _record_end(self, end: Step) -> None:
        """Store why the walk stopped and the passes that its last attempt took."""
        last, passes = self._points[-1], (end.forward_passes, end.backward_passes)
        step = replace(last.step, forward_passes=passes[0], backward_passes=passes[1])
        self._points[-1], self._stop_reason = replace(last, step=step), end.stopped_because
        self._end_walk()
        self.status.show(f"the walk stopped: {self._stop_reason}")

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
        self.status.show(self._show_point(min(self.slider.value, len(self._points) - 1)))

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


def add_passes(step: Step, previous: Step) -> Step:
    """Return a step whose passes include those of a previous step."""
    return replace(
        step,
        forward_passes=step.forward_passes + previous.forward_passes,
        backward_passes=step.backward_passes + previous.backward_passes,
    )
