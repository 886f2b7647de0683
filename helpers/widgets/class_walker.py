"""Walk from an image by hand, with the patches that you choose."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from helpers.adapters import ViTAdapter
from helpers.widgets.model_walker import ModelWalker
from helpers.widgets.views import PatchGrid, encode_png


class ClassWalker(ModelWalker):
    """Walk from an image by hand; click patches to choose those that may move. See ``ModelWalker``.

    Its adapter is a ViT, in embedding space or in pixels.
    """

    part_kind, start_name = "patches", "the image"
    _adapter: ViTAdapter

    def _create_view(self, raw: Any) -> PatchGrid:
        rows, columns = self._adapter.grid
        return PatchGrid(rows=rows, columns=columns, label="patches of the image; chosen ones may move")

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        return {"picture": encode_png(self._adapter.decode(point))}
