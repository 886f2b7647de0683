"""Look through a model's parameters, read as words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.vocabulary import EmbeddingSpace, NeuronIndex, PairTable, Reading, TokenTable, embedding_space
from helpers.weights import FactoredMatrix, Weights
from helpers.widgets.views import ProbabilityBars, StatusLine

SHOWN, FOUND = 12, 15  # rows of bars, neurons a search lists
NAMES = {  # what the control says: parameter
    "neuron: key (W_in)": "W_in",
    "neuron: value (W_out)": "W_out",
    "head: pairs of W_OV": "W_OV",
    "head: pairs of W_QK": "W_QK",
    "subhead: column of W_Q": "W_Q",
    "subhead: column of W_K": "W_K",
    "subhead: column of W_V": "W_V",
    "subhead: row of W_O": "W_O",
}
MATRICES = ("W_OV", "W_QK")


class ParameterBrowser(widgets.VBox):
    """Choose a parameter and see the items it reads as, the highest and the lowest; search neurons by word.

    Bars are shares of the longest; the mark on each is where a random vector, or a random head, of the same size
    stands at that rank. ``selected`` is the parameter shown and ``table`` what it reads as, for the next cell.

    Args:
        weights: the model; layer norms folded in read better.
        reading: how vectors are read; two filters are controls.
        seed: of the random twin.
    """

    def __init__(self, weights: Weights, reading: Reading | None = None, seed: int = 0):
        super().__init__()
        self._weights, self._reading, self._seed = weights, reading or Reading(), seed
        self._twins: dict[Any, list[float]] = {}
        self._spaces: dict[Reading, EmbeddingSpace] = {}
        self._indexes: dict[tuple[str, Reading], NeuronIndex] = {}
        self._build()
        self._show()

    @property
    def selected(self) -> Tensor | FactoredMatrix:
        """The parameter shown: a vector (d_model,) or a head's matrix."""
        kind, layer, index = NAMES[self.kind.value], self.layer.value, self.index.value
        if kind in MATRICES:
            return getattr(self._weights, kind)(layer, index)
        return self._weights.vectors(kind, layer)[index].detach()

    @property
    def table(self) -> TokenTable | PairTable:
        """What the parameter shown reads as, the highest first."""
        return self._read(self.selected)

    @property
    def reading(self) -> Reading:
        """The reading that the controls ask for."""
        return replace(self._reading, words_only=self.words_only.value, clean=self.clean.value)

    def search(self) -> None:
        """List the neurons whose values promote the word in the box most, or, beside a key, whose keys it triggers."""
        kind = "W_in" if NAMES[self.kind.value] == "W_in" else "W_out"
        word = self.word.value.strip()
        if not word:
            self.found.options = []
            return
        try:
            table = self._index(kind).search(word, FOUND)
        except Exception as error:  # shown in the widget: an exception in a callback would vanish
            self.found.options = []
            self.status.say(str(error), wrong=True)
            return
        self._found_kind = next(name for name, each in NAMES.items() if each == kind)
        self.found.options = [
            (f"layer {r.layer}, neuron {r.neuron}: {r.z:.2f} standard deviations", (r.layer, r.neuron))
            for r in table.itertuples()
        ]
        self.found.index = None
        self._show()

    def _read(self, parameter: Tensor | FactoredMatrix) -> TokenTable | PairTable:
        if isinstance(parameter, FactoredMatrix):
            return self._space().top_pairs(parameter, SHOWN)
        return self._space().top_tokens(parameter, SHOWN)

    def _space(self) -> EmbeddingSpace:
        """Return the embedding space of the reading, built when it is first needed."""
        if self.reading not in self._spaces:
            self._spaces[self.reading] = embedding_space(self._weights, self.reading)
        return self._spaces[self.reading]

    def _index(self, kind: str) -> NeuronIndex:
        """Return the index of all neurons of a kind for the reading, built when it is first needed."""
        key = kind, self.reading
        if key not in self._indexes:
            self._indexes[key] = NeuronIndex.build(self._weights, self._space(), kind)
        return self._indexes[key]

    def _show(self, _: Any = None) -> None:
        """Show the parameter that the controls name."""
        if self._moving:
            return
        kind = NAMES[self.kind.value]
        self.index.description = "head" if kind in MATRICES else "neuron" if kind in ("W_in", "W_out") else "subhead"
        self.status.busy = True
        try:
            for bars, parameter in ((self.highest, self.selected), (self.lowest, -self.selected)):
                self._fill(bars, self._read(parameter), self._twin(parameter))
        except Exception as error:  # shown in the widget: an exception in a callback would vanish
            self.status.say(str(error), wrong=True)
            return
        finally:
            self.status.busy = False
        self.status.say(f"{self.kind.value}, layer {self.layer.value}, {self.index.description} {self.index.value}")

    def _fill(self, bars: ProbabilityBars, table: TokenTable | PairTable, twin: list[float]) -> None:
        scores = table.scores.tolist()
        largest = max(scores[0], twin[0], 1e-30)
        names = table.tokens if isinstance(table, TokenTable) else list(zip(table.lefts, table.rights, strict=True))
        with bars.hold_sync():
            bars.names = [each if isinstance(each, str) else " → ".join(each) for each in names]
            bars.values = [max(score, 0.0) / largest for score in scores]
            bars.reference = [max(score, 0.0) / largest for score in twin]

    def _twin(self, parameter: Tensor | FactoredMatrix) -> list[float]:
        """Scores of a random vector or head of the same size as this one, read the same way."""
        matrix = isinstance(parameter, FactoredMatrix)
        key = (matrix, self.reading)
        if key not in self._twins:
            generator = torch.Generator().manual_seed(self._seed)
            sides = [parameter.left, parameter.right] if matrix else [parameter]
            drawn = [torch.randn(side.shape, generator=generator) for side in sides]
            random = FactoredMatrix(*drawn) if matrix else drawn[0]
            self._twins[key] = (self._read(random).scores / random.norm()).tolist()
        return [score * float(parameter.norm()) for score in self._twins[key]]

    def _turn(self, _: Any = None) -> None:
        """Fit the index to a kind that was chosen."""
        kind, w = NAMES[self.kind.value], self._weights
        neurons, subheads = w.d_mlp, w.n_heads * w.d_head
        count = w.n_heads if kind in MATRICES else neurons if kind in ("W_in", "W_out") else subheads
        self._moving = True
        self.index.max = count - 1
        self._moving = False
        self._show()

    def _jump(self, change: Any) -> None:
        """Show the neuron that was picked among those found."""
        if change.new is None:
            return
        self._moving = True
        self.kind.value = self._found_kind
        self._turn()
        self._moving = True
        self.layer.value, self.index.value = change.new
        self._moving = False
        self._show()

    def _build(self) -> None:
        wide = {"width": "200px"}
        self._moving, self._found_kind = False, "neuron: value (W_out)"
        self.kind = widgets.Dropdown(
            options=list(NAMES), value=self._found_kind, description="what", layout={"width": "280px"}
        )
        self.layer = widgets.BoundedIntText(0, 0, self._weights.n_layers - 1, description="layer", layout=wide)
        self.index = widgets.BoundedIntText(0, 0, self._weights.d_mlp - 1, description="neuron", layout=wide)
        self.words_only = widgets.Checkbox(
            self._reading.words_only, description="beginnings of words only", indent=False
        )
        self.clean = widgets.Checkbox(self._reading.clean, description="clean embeddings", indent=False)
        self.word = widgets.Text(
            placeholder="a word, then Enter",
            description="promotes",
            continuous_update=False,
            layout={"width": "240px"},
        )
        self.found = widgets.Select(options=[], description="neurons", layout={"width": "420px", "height": "110px"})
        self.highest = ProbabilityBars(label="items with the highest scores")
        self.lowest = ProbabilityBars(label="items with the lowest scores")
        self.status = StatusLine()
        self.kind.observe(self._turn, "value")
        for control in (self.layer, self.index, self.words_only, self.clean):
            control.observe(self._show, "value")
        self.word.observe(lambda _: self.search(), "value")
        self.found.observe(self._jump, "value")
        columns = [
            widgets.VBox([widgets.HTML(f"<b>{title}</b>"), bars])
            for title, bars in (("highest", self.highest), ("lowest", self.lowest))
        ]
        self.children = [
            widgets.HBox([self.kind, self.layer, self.index]),
            widgets.HBox([self.words_only, self.clean]),
            widgets.HBox(columns, layout={"grid_gap": "32px"}),
            widgets.HBox([self.word, self.found]),
            self.status,
        ]
        self.add_class("tm-browser")
