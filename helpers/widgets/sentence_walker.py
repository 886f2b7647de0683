"""Walk from a sentence by hand, with the tokens that you choose."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.adapters import BertAdapter
from helpers.geometry import FisherRao, PullbackMetric
from helpers.widgets.model_walker import ModelWalker
from helpers.widgets.views import TokenStrip


class SentenceWalker(ModelWalker):
    """Walk from a sentence by hand; click tokens to choose those that may move. See ``ModelWalker``.

    Each token is shown as the word whose embedding is nearest to the present point; changed tokens are underlined. The
    darker the background of a token, the more the outputs depend on it at this point. Its adapter is a BERT.
    """

    part_kind, start_name, view_box = "tokens", "the sentence", widgets.VBox
    _adapter: BertAdapter

    def _create_view(self, raw: str) -> TokenStrip:
        self._start_tokens = self._adapter.tokens(raw)
        fixed = sorted(set(range(len(self._start_tokens))) - set(self._map.parts))
        return TokenStrip(fixed=fixed, label="tokens of the sentence; chosen ones may move")

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        nearest, start = self._adapter.part_names(point), self._start_tokens
        tokens = [start[i] if i in self.view.fixed else name for i, name in enumerate(nearest)]
        movable = [i for i in range(len(point)) if i not in self.view.fixed]
        f = self._adapter.output_map(point, movable, self._map.target)
        norms = torch.zeros(len(point), dtype=torch.float64)
        norms[movable] = PullbackMetric.at(f, f.start, FisherRao()).part_norms().cpu()
        return {
            "tokens": tokens,
            "changed": [token != before for token, before in zip(tokens, start, strict=True)],
            "shades": (norms / norms.max().clamp(min=1e-30)).tolist(),
        }
