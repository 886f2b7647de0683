"""Look through the parameters of a model, read as tokens and pairs of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.vocabulary import EmbeddingSpace, NeuronIndex, PairTable, Reading, TokenTable, embedding_space
from helpers.weights import FactoredMatrix, Weights
from helpers.widgets.views import ProbabilityBars, StatusLine

BAR_COUNT = 12  # items shown at either end
NEURON_COUNT = 15  # neurons that a search lists
PARAMETERS = {  # label of the control -> name of the parameter
    "neuron: key (W_in)": "W_in",
    "neuron: value (W_out)": "W_out",
    "head: pairs of W_OV": "W_OV",
    "head: pairs of W_QK": "W_QK",
    "subhead: column of W_Q": "W_Q",
    "subhead: column of W_K": "W_K",
    "subhead: column of W_V": "W_V",
    "subhead: row of W_O": "W_O",
}
LABELS = {parameter: label for label, parameter in PARAMETERS.items()}
HEAD_MATRICES, NEURON_VECTORS = ("W_OV", "W_QK"), ("W_in", "W_out")


class ParameterBrowser(widgets.VBox):
    """Choose a parameter and see the items with the highest and the lowest scores; search neurons by word.

    Bars are shares of the longest bar. The mark on each shows the score of a random vector, or a random head, of the
    same size at that rank. The next cell can use ``selected``, the chosen parameter, and ``table``, its items. The
    embeddings and the index that searches use are built once per reading; later edits of the weights do not reach them.

    Args:
        weights: the model; with layer norms folded in, its parameters are easier to read.
        reading: how vectors are read; controls set words_only and clean.
        seed: of the random control.
    """

    def __init__(self, weights: Weights, reading: Reading | None = None, seed: int = 0):
        super().__init__()
        self._weights, self._reading, self._seed = weights, reading or Reading(), seed
        self._control_scores: dict[tuple[bool, Reading], Tensor] = {}
        self._spaces: dict[Reading, EmbeddingSpace] = {}
        self._indexes: dict[tuple[str, Reading], NeuronIndex] = {}
        self._updates_paused = False
        self._search_parameter = "W_out"  # the kind of the neurons that the search lists
        self._create_parameter_controls()
        self._create_search_controls()
        self.highest = ProbabilityBars(label="items with the highest scores")
        self.lowest = ProbabilityBars(label="items with the lowest scores")
        self.status = StatusLine()
        self._place_controls()
        self._update()

    def _create_parameter_controls(self) -> None:
        narrow, label = {"width": "200px"}, LABELS["W_out"]
        self.kind = widgets.Dropdown(
            options=list(PARAMETERS), value=label, description="what", layout={"width": "280px"}
        )
        self.layer = widgets.BoundedIntText(0, 0, self._weights.n_layers - 1, description="layer", layout=narrow)
        self.index = widgets.BoundedIntText(0, 0, self._weights.d_mlp - 1, description="neuron", layout=narrow)
        self.words_only = widgets.Checkbox(
            self._reading.words_only, description="beginnings of words only", indent=False
        )
        self.clean = widgets.Checkbox(self._reading.clean, description="clean embeddings", indent=False)
        self.kind.observe(self._update_index_range, "value")
        for control in (self.layer, self.index, self.words_only, self.clean):
            control.observe(self._update, "value")

    def _create_search_controls(self) -> None:
        self.word = widgets.Text(
            placeholder="a word, then Enter",
            description="promotes",
            continuous_update=False,
            layout={"width": "240px"},
        )
        self.search_results = widgets.Select(
            options=[], description="neurons", layout={"width": "420px", "height": "110px"}
        )
        self.word.observe(lambda _: self.search(), "value")
        self.search_results.observe(self._show_search_result, "value")

    def _place_controls(self) -> None:
        columns = [
            widgets.VBox([widgets.HTML(f"<b>{title}</b>"), bars])
            for title, bars in (("highest", self.highest), ("lowest", self.lowest))
        ]
        self.children = [
            widgets.HBox([self.kind, self.layer, self.index]),
            widgets.HBox([self.words_only, self.clean]),
            widgets.HBox(columns, layout={"grid_gap": "32px"}),
            widgets.HBox([self.word, self.search_results]),
            self.status,
        ]
        self.add_class("tm-browser")

    @property
    def selected(self) -> Tensor | FactoredMatrix:
        """The chosen parameter: a vector (d_model,) or the matrix of a head."""
        parameter, layer, index = PARAMETERS[self.kind.value], self.layer.value, self.index.value
        if parameter in HEAD_MATRICES:
            return getattr(self._weights, parameter)(layer, index)
        return self._weights.vectors(parameter, layer)[index].detach()

    @property
    def table(self) -> TokenTable | PairTable:
        """The items of the chosen parameter, the highest score first."""
        return self._read(self.selected)

    @property
    def reading(self) -> Reading:
        """How vectors are read at the present values of the controls."""
        return replace(self._reading, words_only=self.words_only.value, clean=self.clean.value)

    def search(self) -> None:
        """List the neurons whose values promote the word most; while a key is shown, those whose keys it activates."""
        self.search_results.options = []
        if self.word.value.strip() and self.status.run(self._search_neurons):
            self._update()

    def _search_neurons(self) -> None:
        parameter = "W_in" if PARAMETERS[self.kind.value] == "W_in" else "W_out"
        table = self._index_neurons(parameter).search(self.word.value.strip(), NEURON_COUNT)
        self._search_parameter = parameter
        self.search_results.options = [
            (f"layer {row.layer}, neuron {row.neuron}: {row.z:.2f} standard deviations", (row.layer, row.neuron))
            for row in table.itertuples()
        ]
        self.search_results.index = None

    def _show_search_result(self, change: Any) -> None:
        """Show the neuron that the reader picked from the search results."""
        if change.new is None:
            return
        with self._pause_updates():
            self.kind.value = LABELS[self._search_parameter]
            self.layer.value, self.index.value = change.new
        self._update()

    def _update_index_range(self, _: Any = None) -> None:
        """Set the range of the index to that of the chosen kind of parameter."""
        parameter, weights = PARAMETERS[self.kind.value], self._weights
        if parameter in HEAD_MATRICES:
            name, count = "head", weights.n_heads
        elif parameter in NEURON_VECTORS:
            name, count = "neuron", weights.d_mlp
        else:
            name, count = "subhead", weights.n_heads * weights.d_head
        with self._pause_updates():
            self.index.description, self.index.max = name, count - 1
        self._update()

    @contextmanager
    def _pause_updates(self) -> Iterator[None]:
        """Let several controls change before the bars are computed."""
        paused_before, self._updates_paused = self._updates_paused, True
        try:
            yield
        finally:
            self._updates_paused = paused_before

    def _update(self, _: Any = None) -> None:
        """Show the parameter that the controls name."""
        if not self._updates_paused and self.status.run(self._update_bars):
            index = f"{self.index.description} {self.index.value}"
            self.status.show(f"{self.kind.value}, layer {self.layer.value}, {index}")

    def _update_bars(self) -> None:
        control = self._score_random_control(self.selected).tolist()
        for bars, parameter in ((self.highest, self.selected), (self.lowest, -self.selected)):
            table = self._read(parameter)
            scores = table.scores.tolist()
            longest = max(scores[0], control[0], 1e-30)
            with bars.hold_sync():
                bars.names = _name_items(table)
                bars.values = [max(score, 0.0) / longest for score in scores]
                bars.reference = [max(score, 0.0) / longest for score in control]

    def _read(self, parameter: Tensor | FactoredMatrix) -> TokenTable | PairTable:
        if isinstance(parameter, FactoredMatrix):
            return self._embed().top_pairs(parameter, BAR_COUNT)
        return self._embed().top_tokens(parameter, BAR_COUNT)

    def _embed(self) -> EmbeddingSpace:
        """Return the embedding space of the present reading, built when it is first needed."""
        if self.reading not in self._spaces:
            self._spaces[self.reading] = embedding_space(self._weights, self.reading)
        return self._spaces[self.reading]

    def _index_neurons(self, parameter: str) -> NeuronIndex:
        """Return the index of all neurons for the present reading, built when it is first needed."""
        key = parameter, self.reading
        if key not in self._indexes:
            self._indexes[key] = NeuronIndex.build(self._weights, self._embed(), parameter)
        return self._indexes[key]

    def _score_random_control(self, parameter: Tensor | FactoredMatrix) -> Tensor:
        """Return the highest scores of a random vector or head with the shape and the norm of a parameter."""
        key = isinstance(parameter, FactoredMatrix), self.reading
        if key not in self._control_scores:
            random = self._draw_control(parameter)
            self._control_scores[key] = self._read(random).scores / random.norm()
        return self._control_scores[key] * parameter.norm()

    def _draw_control(self, parameter: Tensor | FactoredMatrix) -> Tensor | FactoredMatrix:
        generator = torch.Generator().manual_seed(self._seed)
        if isinstance(parameter, FactoredMatrix):
            left, right = (torch.randn(side.shape, generator=generator) for side in (parameter.left, parameter.right))
            return FactoredMatrix(left, right)
        return torch.randn(parameter.shape, generator=generator)


def _name_items(table: TokenTable | PairTable) -> list[str]:
    """Return the tokens of a table, or its pairs with an arrow between left and right."""
    if isinstance(table, TokenTable):
        return list(table.tokens)
    return [f"{left} → {right}" for left, right in zip(table.lefts, table.rights, strict=True)]
