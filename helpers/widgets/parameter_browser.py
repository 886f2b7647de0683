"""Look through the parameters of a model, read as tokens and pairs of tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.vocabulary import NeuronIndex, PairTable, Reading, TokenTable, embedding_space
from helpers.vocabulary.neurons import NEURON_KINDS
from helpers.weights import KINDS, FactoredMatrix, Side, Weights
from helpers.widgets.views import ProbabilityBars, StatusLine

BAR_COUNT = 12  # items shown at either end
NEURON_COUNT = 15  # neurons that a search lists
PARAMETERS = {  # label of the control -> name of the parameter
    "neuron: key (W_in)": "W_in",
    "neuron: gate (W_gate)": "W_gate",
    "neuron: value (W_out)": "W_out",
    "head: pairs of W_OV": "W_OV",
    "head: pairs of W_QK": "W_QK",
    "subhead: column of W_Q": "W_Q",
    "subhead: column of W_K": "W_K",
    "subhead: column of W_V": "W_V",
    "subhead: row of W_O": "W_O",
}
LABELS = {parameter: label for label, parameter in PARAMETERS.items()}


class ParameterBrowser(widgets.VBox):
    """Choose a parameter and see the items with the highest and the lowest scores; search neurons by word.

    Bars are shares of the longest bar. The mark on each shows the score of a random vector, or a random head, of the
    same size at that rank. The next cell can use ``selected``, the chosen parameter, and ``table``, its items. The
    embeddings and the index that searches use are built once per reading; after an edit of the weights, make another
    browser.

    Args:
        weights: the model; with layer norms folded in, its parameters are easier to read.
        reading: how vectors are read; controls set words_only and clean.
        seed: of the random control.
    """

    def __init__(self, weights: Weights, reading: Reading | None = None, seed: int = 0):
        super().__init__()
        self._weights, self._reading, self._seed = weights, reading or Reading(), seed
        self._space = cache(lambda reading, side: embedding_space(weights, reading, side))
        self._neurons = cache(lambda kind, reading: NeuronIndex.build(weights, self._space(reading, KINDS[kind]), kind))
        self._control = cache(self._score_control)
        self._search_parameter = "W_out"  # the kind of the neurons that the search lists
        self._create_parameter_controls()
        self._create_search_controls()
        self.highest = ProbabilityBars(label="items with the highest scores")
        self.lowest = ProbabilityBars(label="items with the lowest scores")
        self.status = StatusLine()
        self._place_controls()
        self._update()

    def _create_parameter_controls(self) -> None:
        narrow, wide, start = {"width": "200px"}, {"width": "280px"}, LABELS["W_out"]
        kinds = (*self._weights.kinds, "W_OV", "W_QK")
        options = [label for label, parameter in PARAMETERS.items() if parameter in kinds]
        self.kind = widgets.Dropdown(options=options, value=start, description="what", layout=wide)
        self.layer = widgets.BoundedIntText(0, 0, self._weights.n_layers - 1, description="layer", layout=narrow)
        self.index = widgets.BoundedIntText(0, 0, self._weights.d_mlp - 1, description="neuron", layout=narrow)
        self.words_only = widgets.Checkbox(self._reading.words_only, description="beginnings of words only")
        self.clean = widgets.Checkbox(self._reading.clean, description="clean embeddings")
        self.words_only.indent = self.clean.indent = False
        self.kind.observe(self._update_index_range, "value")
        for control in (self.layer, self.index, self.words_only, self.clean):
            control.observe(self._update, "value")

    def _create_search_controls(self) -> None:
        self.word = widgets.Text(description="promotes", placeholder="a word, then Enter", continuous_update=False)
        self.word.layout = {"width": "240px"}
        self.search_results = widgets.Select(description="neurons", layout={"width": "420px", "height": "110px"})
        self.word.observe(lambda _: self.search(), "value")
        self.search_results.observe(self._show_search_result, "value")

    def _place_controls(self) -> None:
        sides = {"highest": self.highest, "lowest": self.lowest}
        columns = [widgets.VBox([widgets.HTML(f"<b>{title}</b>"), bars]) for title, bars in sides.items()]
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
        if parameter in ("W_OV", "W_QK"):
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
        """List the neurons whose values promote the word most; beside a key or gate, those whose keys it activates."""
        self.search_results.options = []
        if self.word.value.strip() and self.status.run(self._search_neurons):
            self._update()

    def _search_neurons(self) -> None:
        parameter = PARAMETERS[self.kind.value]
        parameter = parameter if parameter in NEURON_KINDS else "W_out"
        table = self._neurons(parameter, self.reading).search(self.word.value.strip(), NEURON_COUNT)
        self._search_parameter = parameter
        self.search_results.options = [
            (f"layer {row.layer}, neuron {row.neuron}: {row.z:.2f} standard deviations", (row.layer, row.neuron))
            for row in table.itertuples()
        ]
        self.search_results.index = None

    def _show_search_result(self, change: Any) -> None:
        if change.new is not None:
            self.kind.value = LABELS[self._search_parameter]
            self.layer.value, self.index.value = change.new

    def _update_index_range(self, _: Any = None) -> None:
        """Set the range of the index to that of the chosen kind of parameter."""
        weights, index, parameter = self._weights, self.index.value, PARAMETERS[self.kind.value]
        count = len(weights.vectors(parameter, 0)) if parameter in KINDS else weights.n_heads
        self.index.description, self.index.max = self.kind.value.split(":")[0], count - 1
        if self.index.value == index:  # otherwise its change has updated the bars
            self._update()

    def _update(self, _: Any = None) -> None:
        """Show the parameter that the controls name."""
        if self.status.run(self._update_bars):
            index = f"{self.index.description} {self.index.value}"
            self.status.show(f"{self.kind.value}, layer {self.layer.value}, {index}")

    def _update_bars(self) -> None:
        parameter = self.selected
        factors = (parameter.left, parameter.right) if isinstance(parameter, FactoredMatrix) else (parameter,)
        unit_control = self._control(tuple(factor.shape for factor in factors), self._sides, self.reading)
        control = (unit_control * parameter.norm()).tolist()
        for bars, signed in ((self.highest, parameter), (self.lowest, -parameter)):
            table = self._read(signed)
            scores = table.scores.tolist()
            longest = max(scores[0], control[0], 1e-30)
            with bars.hold_sync():
                bars.names = _name_items(table)
                bars.values = [max(score, 0.0) / longest for score in scores]
                bars.reference = [max(score, 0.0) / longest for score in control]

    def _read(self, parameter: Tensor | FactoredMatrix) -> TokenTable | PairTable:
        spaces = [self._space(self.reading, side) for side in self._sides]
        if isinstance(parameter, FactoredMatrix):
            return spaces[0].top_pairs(parameter, BAR_COUNT, spaces[1])
        return spaces[0].top_tokens(parameter, BAR_COUNT)

    @property
    def _sides(self) -> tuple[Side, ...]:
        """The sides of the residual stream by which the chosen parameter is read."""
        kinds = {"W_OV": ("W_V", "W_O"), "W_QK": ("W_Q", "W_K")}
        parameter = PARAMETERS[self.kind.value]
        return tuple(KINDS[kind] for kind in kinds.get(parameter, (parameter,)))

    def _score_control(self, shapes: tuple[torch.Size, ...], _: tuple[Side, ...], __: Reading) -> Tensor:
        """Score a random vector, or a head with random factors, at the present reading; divide by its norm."""
        generator = torch.Generator().manual_seed(self._seed)
        factors = [torch.randn(shape, generator=generator) for shape in shapes]
        random = factors[0] if len(factors) == 1 else FactoredMatrix(factors[0], factors[1])
        return self._read(random).scores / random.norm()


def _name_items(table: TokenTable | PairTable) -> list[str]:
    if isinstance(table, TokenTable):
        return list(table.tokens)
    return [f"{left} → {right}" for left, right in zip(table.lefts, table.rights, strict=True)]
