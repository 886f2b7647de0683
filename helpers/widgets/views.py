"""Views that ipywidgets lacks: what every view is made of, and a status line.

Scripts and styles are files of this package; nothing is fetched from a network address.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from helpers.widgets.theme import THEME

FOLDER = Path(__file__).parent


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


class StatusLine(View, files="status_line"):
    """Two lines of text that screen readers speak, under a bar that runs while the kernel computes.

    It also names the controls beside it that ipywidgets leaves without a name, and keeps the notebook's keyboard
    shortcuts off them.
    """

    value = traitlets.Unicode("").tag(sync=True)
    is_error = traitlets.Bool(False).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)  # whether the kernel computes
    names = traitlets.Dict().tag(sync=True)  # CSS selector -> name for screen readers, in the box around this line

    def show(self, text: str, is_error: bool = False) -> None:
        """Show a text or an error message."""
        with self.hold_sync():
            self.value, self.is_error = text, is_error

    def run(self, action: Callable[[], None], failure: str = "") -> bool:
        """Run an action and return whether it succeeded; its error is shown here, after the text ``failure``.

        An exception in a callback of a widget would be lost otherwise. The bar is shown meanwhile.
        """
        self.busy = True
        try:
            action()
        except KeyboardInterrupt:
            self.show("interrupted; all earlier results are kept", is_error=True)
            return False
        except Exception as error:
            self.show(f"{failure}{error}", is_error=True)
            return False
        finally:
            self.busy = False
        return True
