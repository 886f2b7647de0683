"""Step through walks from an image, with the patches that you choose."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from helpers.widgets.views import PatchGrid, to_png
from helpers.widgets.walker import Walker


class ClassWalker(Walker):
    """Walk from an image by hand; click patches to choose those that may move. See ``Walker``.

    Its adapter is a ViT, in embedding space or in pixels.
    """

    parts, start = "patches", "the image"

    def _make_view(self, raw: Any) -> PatchGrid:
        rows, columns = self._adapter.grid
        return PatchGrid(rows=rows, columns=columns, label="patches of the image; chosen ones may move")

    def _look(self, point: Tensor) -> dict[str, Any]:
        return {"picture": to_png(self._adapter.decode(point))}
