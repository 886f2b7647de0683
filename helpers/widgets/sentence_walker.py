"""Step through walks from a sentence, with the tokens that you choose."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.geometry import FisherRao, PullbackMetric
from helpers.widgets.views import TokenStrip
from helpers.widgets.walker import Walker


class SentenceWalker(Walker):
    """Walk from a sentence by hand; click tokens to choose those that may move. See ``Walker``.

    Each token is shown as the word whose embedding is nearest now, changed ones underlined; the darker its ground, the
    more the output depends on it now. Its adapter is a BERT.
    """

    parts, start = "tokens", "the sentence"

    def _make_view(self, raw: str) -> TokenStrip:
        self._unwalked = self._adapter.tokens(raw)
        fixed = sorted(set(range(len(self._unwalked))) - set(self._map.parts))
        return TokenStrip(fixed=fixed, label="tokens of the sentence; chosen ones may move")

    def _beside(self, view: widgets.DOMWidget, bars: widgets.DOMWidget) -> widgets.Box:
        return widgets.VBox([view, bars], layout={"grid_gap": "12px"})

    def _look(self, point: Tensor) -> dict[str, Any]:
        movable = [i for i in range(len(point)) if i not in set(self.view.fixed)]
        tokens = list(self._unwalked)
        for i, token in enumerate(self._adapter.tokenizer.convert_ids_to_tokens(self._adapter.nearest_ids(point))):
            if i in set(movable):
                tokens[i] = token
        f = self._adapter.output_map(point, movable, self._map.target)
        norms = torch.zeros(len(point), dtype=torch.float64)
        norms[movable] = PullbackMetric.at(f, f.start, FisherRao()).part_norms().cpu()
        return {
            "tokens": tokens,
            "changed": [new != old for new, old in zip(tokens, self._unwalked, strict=True)],
            "shades": (norms / norms.max().clamp(min=1e-30)).tolist(),
        }
