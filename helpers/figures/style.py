"""How figures look: seaborn's colour-blind palette, plain axes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = sns.color_palette("colorblind", 10)
MARKERS = "os^DvP*Xp<"
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))  # five, so that no two near colours share one
STYLE = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "image.cmap": "gray",
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in this project's style, and close the figure for pyplot so that a notebook shows it once."""

    @functools.wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with plt.rc_context(STYLE):
            fig = draw(*args, **kwargs)
        plt.close(fig)
        return fig

    return drawn


def axes_of(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return the axes to draw in and their figure, new ones of a size in inches if none are given."""
    return (ax.figure, ax) if ax is not None else plt.subplots(figsize=size)
