"""What every walker's controls share: step, back, play, restart, and a slider over what was walked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from helpers.widgets.views import StatusLine

ENDLESS = 10**9
PLAY_INTERVAL = 400  # milliseconds; longer than a step of a bundled model takes
SPOKEN = {  # CSS selector: name for screen readers; ipywidgets leaves these without one
    ".widget-play button:nth-of-type(1)": "play or pause",
    ".widget-play button:nth-of-type(2)": "stop",
    ".noUi-handle": "point shown",
    ".widget-readout": "number of the point shown",
}


class Stepper(widgets.VBox):
    """Step, back, play, restart, and a slider over what was walked.

    Only a step, by the button or by play, computes; the slider shows what was kept. A step that fails, or that the
    kernel's interrupt stops, says so in the widget, and what was walked stays.

    A subclass keeps ``_visits``, the first of which it makes itself; ``_compute`` returns one more, or None with
    ``_stopped`` set where the walk has ended; ``_show_visit`` shows one and returns what to say of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._visits: list[Any] = []
        self._walk: Any = None
        self._stopped = ""
        self.slider = widgets.IntSlider(description="point", min=0, max=1, disabled=True, layout={"width": "320px"})
        self.play = widgets.Play(interval=PLAY_INTERVAL, min=0, max=ENDLESS, show_repeat=False)
        self.status = StatusLine(names=SPOKEN)
        self.buttons: dict[str, widgets.Button] = {}
        self._add_buttons({"back": self.back, "step": self.step, "restart": self.restart})
        self.play.observe(lambda change: self.step() if change.new > change.old else None, "value")  # stop sets it to 0
        self.slider.observe(self._show, "value")
        self.add_class("tm-walker")

    def _compute(self) -> Any:
        """Make the next visit, or say in ``_stopped`` why there is none and return None."""
        raise NotImplementedError

    def _show_visit(self, index: int) -> str:
        """Show what was kept of a visit, without computing, and return what the status line says."""
        raise NotImplementedError

    def step(self) -> None:
        """Go one step on: along what was walked, or by a new step at its end."""
        if self.slider.value < len(self._visits) - 1:
            self.slider.value += 1
            return
        self._attempt(self._extend, "cannot step")

    def back(self) -> None:
        """Go one step back; nothing is dropped."""
        self.slider.value = max(0, self.slider.value - 1)

    def restart(self) -> None:
        """Go back to the first point and drop what was walked."""
        self.play.playing = False
        self.slider.value = 0
        self._turn()

    def _extend(self) -> None:
        visit = self._compute()
        if visit is None:
            self._walk, self.play.playing = None, False
            self.status.say(f"the walk stopped: {self._stopped}")
            return
        self._visits.append(visit)
        self._fit_slider()
        if self.slider.value == self.slider.max:
            self._show()  # the slider does not move, so nobody else will
        self.slider.value = self.slider.max

    def _attempt(self, act: Callable[[], None], failing: str) -> None:
        """Do what takes time; what goes wrong is said in the widget, where an exception in a callback would vanish."""
        self.status.busy, trouble = True, ""
        try:
            act()
        except KeyboardInterrupt:
            trouble = "interrupted; what was walked is kept"
        except Exception as error:
            trouble = f"{failing}: {error}"
        finally:
            self.status.busy = False
        if trouble:
            self._walk, self.play.playing = None, False  # a generator that raised is spent; the next step makes another
            self.status.say(trouble, wrong=True)

    def _turn(self, _: Any = None) -> None:
        """Forget the walk in progress and what lies beyond the point shown."""
        del self._visits[self.slider.value + 1 :]
        self._walk, self._stopped = None, ""
        self._fit_slider()
        self._show()

    def _fit_slider(self) -> None:
        last = len(self._visits) - 1
        self.slider.max, self.slider.disabled = max(1, last), last == 0

    def _show(self, _: Any = None) -> None:
        """Show the point that the slider names."""
        self.status.say(self._show_visit(min(self.slider.value, len(self._visits) - 1)))

    def _add_buttons(self, actions: dict[str, Callable[[], None]]) -> None:
        for name, act in actions.items():
            self.buttons[name] = widgets.Button(description=name, layout={"width": "96px"})
            self.buttons[name].on_click(lambda _, act=act: act())

    def _arrange(self, view: widgets.Widget, *rows: Sequence[widgets.Widget]) -> None:
        """Place the view, the stepping controls, more rows of controls, and the status line below each other."""
        stepping = [self.buttons["back"], self.buttons["step"], self.play, self.slider]
        self.children = [view, *(widgets.HBox(row) for row in (stepping, *rows)), self.status]
