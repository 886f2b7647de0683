"""A figure that is drawn again whenever a control changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import traitlets
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure

from helpers.figures.dark import on_dark_page
from helpers.figures.style import DescribedFigure, summarise_figure
from helpers.widgets.views import StatusLine, View


class Picture(View, files="picture"):
    """A PNG picture with its description; nothing where it is empty. It knows whether the page is dark."""

    value = traitlets.Bytes(b"").tag(sync=True)  # PNG
    alt = traitlets.Unicode("").tag(sync=True)  # what is seen in it, for readers who cannot see it
    is_dark = traitlets.Bool(False).tag(sync=True)  # set by the page


class FigureExplorer(widgets.VBox):
    """Controls above a figure, which is drawn again whenever a control changes.

    The picture is an image, not a captured output: it is faster, and it does not flicker. On a dark page the figure
    is shown in dark colours. An error takes the place of the picture, which would belong to other values.

    Args:
        draw: takes the values of the controls by name and returns a figure, or what has one (axes, a seaborn grid).
            Screen readers get the text of ``describe``, or else the titles and labels of the figure.
        width: of the picture in pixels, at most.
        controls: an ipywidget for each argument of ``draw``, by the name of the argument.
    """

    def __init__(self, draw: Callable[..., Any], width: int = 420, **controls: widgets.ValueWidget):
        super().__init__()
        self._draw, self.controls = draw, controls
        self._figure: Figure | None = None
        self.picture = Picture(layout={"width": f"{width}px"})
        self.status = StatusLine()
        for name, control in controls.items():
            control.description = control.description or name
            control.observe(self._update, "value")
        self.picture.observe(self._print_figure, "is_dark")
        self.children = [widgets.HBox([*controls.values()]), self.picture, self.status]
        self.add_class("tm-figure-explorer")
        self._update()

    def _update(self, _: Any = None) -> None:
        """Draw the figure at the present values, or show the error in its place."""
        self._figure = None
        self.status.run(self._draw_figure, self.picture, failure="cannot draw this: ")
        self._print_figure()

    def _draw_figure(self) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        result = self._draw(**values)
        figure = getattr(result, "figure", None)
        if not isinstance(figure, Figure):
            raise ValueError(f"draw: returned {type(result).__name__}, wanted a figure of matplotlib")
        plt.close(figure)  # or the notebook would keep it
        text = result.text if isinstance(result, DescribedFigure) else summarise_figure(figure)
        settings = ", ".join(f"{name} = {value}" for name, value in values.items())
        self._figure, self.picture.alt = figure, f"{text} Drawn for {settings}." if settings else text

    def _print_figure(self, _: Any = None) -> None:
        """Show the figure in the colours of the page."""
        if self._figure is None:
            self.picture.value = b""
            return
        with on_dark_page(self._figure) if self.picture.is_dark else nullcontext():
            self.picture.value = print_figure(self._figure, "png")
