"""The widget that shows a session: a walk that is made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import traitlets

from helpers.sessions import Race
from helpers.sessions.session import Frame, Session
from helpers.widgets.views import View

SCRIPTS = "dom patch_grid token_strip output_bars drift_plot plane stages inputs words take_away walker"


class Walker(View, files=SCRIPTS):
    """Show a session, and let it be stepped by hand.

    What is sent to the page is what has changed: a new point, or the number of the one that is shown. The page keeps
    the points, and asks for those that it lacks.

    Args:
        session: what is shown.
    """

    setup = traitlets.Dict().tag(sync=True)  # what all points have in common
    frame = traitlets.Dict().tag(sync=True)  # the newest point, with its index
    place = traitlets.Dict().tag(sync=True)  # the number of points, and of the one that is selected
    choices = traitlets.Dict().tag(sync=True)  # how the next step is made
    status = traitlets.Dict().tag(sync=True)  # the last message
    busy = traitlets.Bool(False).tag(sync=True)  # whether the kernel computes
    answered = traitlets.Dict().tag(sync=True)  # the view that asked last, and its request

    def __init__(self, session: Session | Race):
        super().__init__()
        self.session: Any = session
        self._shown: Any = None  # the session whose points the page has
        self._frames: list[Frame] = []  # the points that the page has been told of
        self._told = 0  # messages about points so far
        self._request: dict[str, Any] = {}  # the last request of a page
        self._show()
        self.on_msg(self._receive)

    def step(self) -> None:
        """Go to the next stored point, or make a new step."""
        self._run(lambda: self.session.step(), "cannot step: ")

    def back(self) -> None:
        """Go to the previous point; all points are kept."""
        self._run(lambda: self.session.back())

    def select(self, index: int) -> None:
        """Go to a stored point."""
        self._run(lambda: self.session.select(index))

    def restart(self) -> None:
        """Go back to the start and discard all other points."""
        self._run(lambda: self.session.restart())

    def choose(self, **choices: Any) -> None:
        """Choose how the next steps are made; what was walked stays."""
        self._run(lambda: self.session.choose(**choices))

    @property
    def _commands(self) -> dict[str, Callable[..., None]]:
        """What a page may ask for, by name."""
        commands = (self.step, self.back, self.select, self.restart, self.choose)
        return {command.__name__: command for command in commands}

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Carry out a command of the page."""
        arguments = dict(message)
        command, view, request = arguments.pop("do"), arguments.pop("view", ""), arguments.pop("id", 0)
        if command == "frames":
            first = arguments["from"]
            self.send({"frames": self.session.frames[first:], "from": first})
            return
        self._request = {"view": view, "id": request}
        self._commands[command](**arguments)

    def _run(self, action: Callable[[], Any], failure: str = "") -> None:
        """Run an action and show what it changed, or its error, which a callback of a widget would lose."""
        self.busy, status = True, {"text": "", "isError": False}
        try:
            action()
        except KeyboardInterrupt:
            status = {"text": "interrupted; all earlier results are kept", "isError": True}
        except Exception as error:
            status = {"text": f"{failure}{error}", "isError": True}
        reason = self.session.stopped_because
        if reason and not status["isError"]:
            status = {"text": f"the walk stopped: {reason}", "isError": False, "isEnd": True}
        with self.hold_sync():
            self._show()
            self.busy, self.status = False, status
            self.answered = self._request

    def _show(self) -> None:
        """Tell the page what has changed since it was told last."""
        frames, session = self.session.frames, self.session
        new = [i for i, frame in enumerate(frames) if i >= len(self._frames) or frame is not self._frames[i]]
        setup = session.describe() | {"serial": self.setup.get("serial")}
        with self.hold_sync():
            if self._shown is not session or len(new) > 1 or setup != self.setup:
                self._told += 1
                self.setup = setup | {"serial": self._told}
            if new:
                self._told += 1
                self.frame = frames[-1] | {"index": len(frames) - 1, "serial": self._told}
            self.place = {"count": len(frames), "selected": session.selected}
            self.choices = asdict(session.choices)
        self._shown, self._frames = session, frames
