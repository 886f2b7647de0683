"""The widget that shows a session: a walk that is made by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import traitlets

from helpers.sessions import Race, write_code
from helpers.sessions.session import Frame, Session
from helpers.widgets.page_requests import Status
from helpers.widgets.views import CommandView

SCRIPTS = "dom patch_grid token_strip output_bars drift_plot plane stages inputs words take_away walker"


class Walker(CommandView, files=SCRIPTS):
    """Show a session, and let it be stepped by hand.

    What is sent to the page is what has changed: a new point, or the number of the one that is shown. The page keeps
    the points, and asks for those that it lacks.

    Args:
        session: what is shown.
    """

    commands: tuple[str, ...] = ("step", "back", "select", "restart", "choose", "send_frames", "take_away")
    setup = traitlets.Dict().tag(sync=True)  # what all points have in common
    frame = traitlets.Dict().tag(sync=True)  # the newest point, with its index
    place = traitlets.Dict().tag(sync=True)  # the number of points, and of the one that is selected
    choices = traitlets.Dict().tag(sync=True)  # how the next step is made

    def __init__(self, session: Session | Race):
        super().__init__()
        self.session: Any = session
        self._shown: Any = None  # the session whose points the page has
        self._frames: list[Frame] = []  # the points that the page has been told of
        self._told = 0  # messages about points so far
        self._show()

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

    def send_frames(self, first: int) -> None:
        """Send the page all points from one on."""
        self.send({"frames": self.session.frames[first:], "from": first})

    def _repeat(self, name: str) -> str:
        return write_code(self.session, self._describe_start(name))

    def _describe_start(self, name: str) -> str:
        """Write what the session's class takes, as code, with the widget of that name."""
        raise NotImplementedError

    def _complete(self, status: Status) -> Status:
        """Say why the walk has stopped, unless there is an error to tell."""
        reason = self.session.stopped_because
        if not reason or status["text"]:
            return status
        return {"text": f"the walk stopped: {reason}", "isError": False, "isEnd": True}

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
