"""Show a figure on a dark page: light becomes dark and dark becomes light; hues and pictures stay.

A picture is an image or a map of coloured cells; what is drawn over it was chosen to stand out there, so it stays too.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure

from helpers.figures.style import ROLE_COLOURS, THEME_COLOURS

DARKEST, LIGHTEST = 0x11 / 255, 0.93  # what white and black become: JupyterLab's dark page, and nearly white
KNOWN = dict([*ROLE_COLOURS.values(), *THEME_COLOURS.values()])  # colours on a light page -> those on a dark one
PROPERTIES = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")

RGBA = tuple[float, float, float, float]


def darken(colour: Any) -> RGBA:
    """Return the colour on a dark page of what has a given colour on a white one; its opacity stays.

    An algorithm's colour becomes that of the widgets; of any other, the brightness is turned round.
    """
    red, green, blue, alpha = to_rgba(colour)
    if known := KNOWN.get(to_hex((red, green, blue))):
        return to_rgba(known, alpha)
    brightness, i, q = colorsys.rgb_to_yiq(red, green, blue)
    red, green, blue = colorsys.yiq_to_rgb(DARKEST + (LIGHTEST - DARKEST) * (1 - brightness), i, q)
    return red, green, blue, alpha


@contextmanager
def on_dark_page(figure: Figure) -> Iterator[None]:
    """Give a figure the colours of a dark page within a block, and its own ones again after it."""
    own = [
        (artist, name, getattr(artist, f"get_{name}")())
        for artist in _list_recoloured(figure)
        for name in PROPERTIES
        if hasattr(artist, f"get_{name}") and hasattr(artist, f"set_{name}")
    ]
    try:
        for artist, name, colour in own:
            is_list = isinstance(colour, np.ndarray) and colour.ndim == 2
            dark = np.array([darken(each) for each in colour]).reshape(-1, 4) if is_list else darken(colour)
            getattr(artist, f"set_{name}")(dark)
        yield
    finally:
        for artist, name, colour in own:
            getattr(artist, f"set_{name}")(colour)


def _list_recoloured(figure: Figure) -> list[Artist]:
    """List the artists of a figure, with those that matplotlib does not count as children, without pictures."""
    pictures = [ax for ax in figure.axes if _holds_picture(ax)]
    kept = {id(each) for ax in pictures for each in (*ax.lines, *ax.texts, *ax.patches, *ax.collections)}
    artists = [artist for artist in figure.findobj() if id(artist) not in kept]
    parts = (getattr(artist, name, None) for artist in artists for name in ("arrow_patch", "_bbox_patch"))
    mapped = (getattr(artist, "get_array", lambda: None)() is not None for artist in artists)
    return [artist for artist, is_mapped in zip(artists, mapped, strict=True) if not is_mapped] + [*filter(None, parts)]


def _holds_picture(ax: Axes) -> bool:
    return bool(ax.images) or any(isinstance(c, QuadMesh) or getattr(c, "filled", False) for c in ax.collections)
