"""A figure that is drawn again whenever a control changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure

from helpers.widgets.views import StatusLine


class FigureExplorer(widgets.VBox):
    """Controls above a figure, which is drawn again whenever a control changes.

    The picture is an image, not a captured output: it is faster, it does not flicker, and an error is shown below it
    instead of being lost.

    Args:
        draw: takes the values of the controls by name and returns a figure.
        width: of the picture in pixels.
        controls: an ipywidget for each argument of ``draw``, by the name of the argument.
    """

    def __init__(self, draw: Callable[..., Figure], width: int = 420, **controls: widgets.ValueWidget):
        super().__init__()
        self._draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout={"width": f"{width}px"})
        self.status = StatusLine()
        for name, control in controls.items():
            control.description = control.description or name
            control.observe(self._update, "value")
        self.children = [*controls.values(), self.picture, self.status]
        self.add_class("tm-figure-explorer")
        self._update()

    def _update(self, _: Any = None) -> None:
        if self.status.run(self._update_picture):
            self.status.show("")

    def _update_picture(self) -> None:
        figure = self._draw(**{name: control.value for name, control in self.controls.items()})
        self.picture.value = print_figure(figure, "png")
