"""Views that ipywidgets lacks: patches and tokens to click, a plane with walks, bars, and a status line.

Scripts and styles are files of this package; nothing is fetched from a network address.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from helpers.widgets.theme import THEME

FOLDER = Path(__file__).parent


class View(anywidget.AnyWidget):
    """A view whose script and style are the files of this package with the given name, after the theme of all views."""

    label = traitlets.Unicode("").tag(sync=True)  # the name of the view for screen readers

    def __init_subclass__(cls, files: str = "", **options: Any) -> None:
        if files:  # anywidget makes subclasses too, which inherit theirs
            cls._esm, cls._css = FOLDER / f"{files}.js", THEME + (FOLDER / f"{files}.css").read_text()
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.add_class("tm-view")


class PatchGrid(View, files="patch_grid"):
    """An image under a grid of patches; a click, or arrow keys and space, choose patches."""

    picture = traitlets.Bytes(b"").tag(sync=True)  # PNG
    rows = traitlets.Int(1).tag(sync=True)
    columns = traitlets.Int(1).tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)  # indices of the chosen patches, row by row


class TokenStrip(View, files="token_strip"):
    """A sentence of tokens; a click, or arrow keys and space, choose tokens."""

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    changed = traitlets.List(traitlets.Bool()).tag(sync=True)  # per token: does it differ from the start's?
    shades = traitlets.List(traitlets.Float()).tag(sync=True)  # per token: how dark its background is, 0 to 1
    fixed = traitlets.List(traitlets.Int()).tag(sync=True)  # indices of tokens that cannot be chosen
    selected = traitlets.List(traitlets.Int()).tag(sync=True)  # indices of the chosen tokens


class ProbabilityBars(View, files="probability_bars"):
    """Bars for probabilities or other shares, each with a mark at a reference value; or numbers without bars."""

    label = traitlets.Unicode("probabilities").tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)  # one per bar
    values = traitlets.List(traitlets.Float()).tag(sync=True)  # between 0 and 1 where they have bars
    reference = traitlets.List(traitlets.Float()).tag(sync=True)  # values at the start, or a control
    has_bars = traitlets.Bool(True).tag(sync=True)  # False for values that are no shares: numbers, with the start's


class Plane(View, files="plane"):
    """A plane with level curves and two walks over it; a click, or arrow keys and Enter, choose the start."""

    span = traitlets.Float(2.0).tag(sync=True)  # the plane is shown from -span to span
    contours: traitlets.List[Any] = traitlets.List().tag(sync=True)  # level curves, each a list of [x, y]
    level: traitlets.List[Any] = traitlets.List().tag(sync=True)  # the level curves through the start
    start = traitlets.List(traitlets.Float()).tag(sync=True)  # [x, y], set by the reader or by the program
    naive: traitlets.List[Any] = traitlets.List().tag(sync=True)  # the points [x, y] of the naive walk
    corrected: traitlets.List[Any] = traitlets.List().tag(sync=True)
    drifts = traitlets.List(traitlets.Float()).tag(sync=True)  # of the naive and of the corrected walk


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


def encode_png(image: np.ndarray) -> bytes:
    """Return an image (H, W) or (3, H, W) with values in [0, 1] as PNG bytes."""
    pixels = (np.asarray(image) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()
