"""Views that ipywidgets does not have: an image with clickable patches, and probability bars.

Scripts and styles are files of this package; nothing is fetched from a network address.
"""

from __future__ import annotations

import io
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image

HERE = Path(__file__).parent


class PatchGrid(anywidget.AnyWidget):
    """An image under a grid of patches that can be clicked, or reached by arrow keys and toggled by space.

    Attributes:
        picture: the image, PNG bytes.
        rows, columns: size of the grid.
        selected: indices of the chosen patches, row by row.
        label: what a screen reader says for the whole.
    """

    _esm = HERE / "patch_grid.js"
    _css = HERE / "patch_grid.css"
    picture = traitlets.Bytes(b"").tag(sync=True)
    rows = traitlets.Int(1).tag(sync=True)
    columns = traitlets.Int(1).tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)


class TokenStrip(anywidget.AnyWidget):
    """A sentence of tokens that can be clicked, or reached by arrow keys and toggled by space.

    Attributes:
        tokens: as they are shown.
        changed: which of them differ from the sentence at first.
        shades: how dark the ground of each is, 0 to 1.
        fixed: indices of those that cannot be chosen.
        selected: indices of the chosen ones.
        label: what a screen reader says for the whole.
    """

    _esm = HERE / "token_strip.js"
    _css = HERE / "token_strip.css"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    changed = traitlets.List(traitlets.Bool()).tag(sync=True)
    shades = traitlets.List(traitlets.Float()).tag(sync=True)
    fixed = traitlets.List(traitlets.Int()).tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)


class ProbabilityBars(anywidget.AnyWidget):
    """Bars for class probabilities or other shares, each with a mark for what to compare it with.

    Attributes:
        names: the classes.
        values: probabilities now, or other numbers between 0 and 1.
        reference: probabilities at the start, or a control.
        label: what a screen reader says for the whole.
    """

    _esm = HERE / "probability_bars.js"
    _css = HERE / "probability_bars.css"
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    values = traitlets.List(traitlets.Float()).tag(sync=True)
    reference = traitlets.List(traitlets.Float()).tag(sync=True)
    label = traitlets.Unicode("class probabilities").tag(sync=True)


def to_png(image: np.ndarray) -> bytes:
    """Turn an image (H, W) or (3, H, W) in [0, 1] into PNG bytes."""
    pixels = (np.asarray(image) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()
