"""A figure that is drawn again whenever a control moves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers.widgets.views import StatusLine


class FigureExplorer(widgets.VBox):
    """Controls above a figure: a move of any control draws it again.

    The picture is an image, not a captured output: it is faster, does not flicker, and an error is shown below it
    instead of being lost.

    Args:
        draw: takes the controls' values by name and returns a figure.
        width: of the picture in pixels.
        controls: ipywidgets by the name of ``draw``'s argument.
    """

    def __init__(self, draw: Callable[..., Figure], width: int = 420, **controls: widgets.ValueWidget):
        super().__init__()
        self._draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout={"width": f"{width}px"})
        self.status = StatusLine()
        for name, control in controls.items():
            control.description = control.description or name
            control.observe(self._show, "value")
        self.children = [*controls.values(), self.picture, self.status]
        self.add_class("tm-figure-explorer")
        self._show()

    def _show(self, _: Any = None) -> None:
        self.status.busy = True
        try:
            fig = self._draw(**{name: control.value for name, control in self.controls.items()})
        except Exception as error:  # shown in the widget: an exception in a callback would vanish
            self.status.say(str(error), wrong=True)
            return
        finally:
            self.status.busy = False
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", bbox_inches="tight")
        self.picture.value = buffer.getvalue()
        self.status.say("")
