"""Views that ipywidgets lacks: what every view is made of, views that take commands, and a status line.

Scripts and styles are files of this package; nothing is fetched from a network address.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from IPython import get_ipython

from helpers.widgets.page_requests import PageRequests, Status
from helpers.widgets.theme import THEME

FOLDER = Path(__file__).parent
ADVICE = "Change a control to draw again."  # after an error


def join_scripts(names: list[str]) -> str:
    """Join modules of this folder into one, in this order, because a widget has one script.

    Their imports of each other, one line each, fall away; a page without a kernel can import the files themselves.
    Only the last one keeps its default export.
    """
    scripts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names]
    *library, last = [re.sub(r"^import .*\n", "", script, flags=re.MULTILINE) for script in scripts]
    library = [script.split("\n// -- what follows ties")[0] for script in library]
    text = "\n".join([*library, last])
    return re.sub(r"^export (?=function|const)", "", text, flags=re.MULTILINE)


class View(anywidget.AnyWidget):
    """A view whose script and style are files of this package, after the theme of all views.

    Scripts that the last one imports are named before it; see ``join_scripts``.
    """

    label = traitlets.Unicode("").tag(sync=True)  # the name of the view for screen readers

    def __init_subclass__(cls, files: str = "", **options: Any) -> None:
        if files:  # anywidget makes subclasses too, which inherit theirs
            names = files.split()
            styles = (FOLDER / f"{name}.css" for name in names)
            cls._esm = join_scripts(names)
            cls._css = THEME + "".join(style.read_text(encoding="utf-8") for style in styles if style.is_file())
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.add_class("tm-view")


class CommandView(View):
    """A view whose page sends commands, ``{"do": name, ...}``, and shows what became of them.

    A subclass calls ``_run`` in each of its ``commands``.
    """

    commands: tuple[str, ...] = ("take_away",)  # the methods that a page may call
    status = traitlets.Dict().tag(sync=True)  # the last message, see ``Status``
    busy = traitlets.Bool(False).tag(sync=True)  # whether the kernel computes
    answered = traitlets.Dict().tag(sync=True)  # the view that asked last, and its request
    requests = traitlets.Instance(PageRequests, ())

    def __init__(self) -> None:
        super().__init__()
        self._request: dict[str, Any] = {}  # the last request of a page
        self._view: str | None = None  # the view of a page that asks; None where a cell does
        self.requests.listen(self)
        self.requests.tell = lambda progress: self.send({"progress": progress})
        self.on_msg(self._receive)

    def take_away(self, kind: str) -> None:
        """Send the view that asks a file, such as the "code" that repeats what was done by hand."""
        self._run(lambda: self.send({"file": self._write_file(kind), "view": self._view}), "cannot write it: ")

    def _write_file(self, kind: str) -> dict[str, str]:
        name, write = self._writers[kind]
        return {"name": name, "content": base64.b64encode(write()).decode()}

    @property
    def _writers(self) -> dict[str, tuple[str, Callable[[], bytes]]]:
        """The files that can be taken away, by kind: the name of each, and what writes it."""
        return {"code": ("walk.py", self._write_code)}

    def _write_code(self) -> bytes:
        """Write the code that repeats what was done by hand; it needs this widget, under the notebook's name for it."""
        variables = getattr(get_ipython(), "user_ns", {})
        names = [name for name, value in variables.items() if value is self and not name.startswith("_")]
        (name, *_) = [*names, "walker"]
        return f"# {name} is the widget; its cell makes it again\n{self._repeat(name)}".encode()

    def _repeat(self, name: str) -> str:
        """Write the code that repeats what was done by hand with the widget of that name."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop what is computed and remove the views."""
        self.requests.stop()
        super().close()

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Carry out a request of the page."""
        arguments = dict(message)
        self._view, request = arguments.pop("view"), arguments.pop("id", None)
        if request is not None:
            self._request = {"view": self._view, "id": request}
        try:
            self.carry_out(**arguments)
        finally:
            self._view = None

    def carry_out(self, do: str, **arguments: Any) -> None:
        """Call one of the ``commands``."""
        if do not in self.commands:
            raise ValueError(f"do={do!r}: must be one of {', '.join(self.commands)}")
        getattr(self, do)(**arguments)

    def _run(self, action: Callable[[], Any], failure: str = "") -> None:
        """Run an action and show what it changed, or its error."""
        with self.requests.turn:
            self.busy = True
            with self.hold_sync():
                status = self.requests.attempt(action, failure)
                self._show()
                self.busy, self.status, self.answered = False, self._complete(status), self._request

    def _show(self) -> None:
        """Tell the page what has changed."""

    def _complete(self, status: Status) -> Status:
        """Add to a status what is to be told besides errors."""
        return status


class StatusLine(View, files="dom status_line"):
    """Lines of text that screen readers speak, under a bar that runs while the kernel computes, beside a stop.

    A message stays as long as it is true: an error until what it is about is drawn, which is hidden meanwhile. The line
    also names the controls beside it that ipywidgets leaves without a name, and keeps the notebook's keyboard shortcuts
    off them.
    """

    value = traitlets.Unicode("").tag(sync=True)
    is_error = traitlets.Bool(False).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)  # whether the kernel computes
    can_stop = traitlets.Bool(False).tag(sync=True)  # whether ``requests`` listens for a stop
    names = traitlets.Dict().tag(sync=True)  # CSS selector -> name for screen readers, in the box around this line
    requests = traitlets.Instance(PageRequests, ())

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._failures: dict[tuple[tuple[View, ...], bool], Status] = {}  # by what could not be drawn, and if asked for

    def listen(self, *controls: ipywidgets.Widget) -> None:
        """Carry out the messages of pages to these controls in turn, so that they can be stopped."""
        self.requests.listen(self, *controls)
        self.requests.tell = lambda progress: self.send({"progress": progress})
        self.can_stop = True

    def show(self, text: str) -> None:
        """Show a text, unless there is an error to show."""
        self._text = text
        self._show()

    def run(self, action: Callable[[], None], *drawn: View, failure: str = "", is_asked: bool = True) -> bool:
        """Run an action and return whether it succeeded; its error is shown in place of the views that it draws.

        What nobody asked for, such as the next piece of a map, leaves an earlier message as it is.
        """
        with self.requests.turn:
            self.busy = True
            status = self.requests.attempt(action, failure)
            key = drawn, is_asked
            for about in (key, ((), True), ((), False)) if is_asked else (key,):
                self._failures.pop(about, None)
            if status["text"]:
                self._failures[key] = status
            for view in drawn:
                view.layout.display = "none" if status["text"] else None
            self._show()
            self.busy = False
        return not status["text"]

    def _show(self) -> None:
        failures = self._failures.items()
        texts = [status["text"] for _, status in failures] or [self._text]
        needs_advice = any(drawn or status["isError"] for (drawn, _), status in failures)
        with self.hold_sync():
            self.value = "\n".join([*texts, *([ADVICE] if needs_advice else [])])
            self.is_error = any(status["isError"] for _, status in failures)
