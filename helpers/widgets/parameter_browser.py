"""Look through the parameters of a model, read as tokens and pairs of tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from helpers.resources.display import write_number
from helpers.sessions.parameters import SIDES, ParameterSession, Place
from helpers.vocabulary import PairTable, Reading, TokenTable
from helpers.vocabulary.survey import HEAD_KINDS
from helpers.weights import FactoredMatrix, Weights
from helpers.widgets.parameter_views import ParameterMap, ScoreBars, WordMap
from helpers.widgets.views import StatusLine

PARAMETERS = {  # label of the control -> kind of the parameter
    "neuron: value (W_out)": "W_out",
    "neuron: key (W_in)": "W_in",
    "neuron: gate (W_gate)": "W_gate",
    "head: pairs of W_OV": "W_OV",
    "head: pairs of W_QK": "W_QK",
    "subhead: column of W_Q": "W_Q",
    "subhead: column of W_K": "W_K",
    "subhead: column of W_V": "W_V",
    "subhead: row of W_O": "W_O",
    "bias of the feed-forward layer (b_out)": "b_out",
    "bias of attention (b_O)": "b_O",
}
LABELS = {kind: label for label, kind in PARAMETERS.items()}
WORDS = {  # whether it is a head -> what it is read as, what a random one is called, and what its score is
    False: ("items", "vector", "inner product with the embedding of the item"),
    True: ("pairs", "head", "left embedding times this matrix times right embedding"),
}


class ParameterBrowser(widgets.VBox):
    """A map of all parameters of a kind; open one to see the items with its highest and lowest scores.

    Below the bars, a map that unfolds places the items of a vector by their embeddings.
    The shade of a cell is the first p-value of its reading, or its coherence if there is a sibling to judge it. The
    next cell can use ``selected``, the parameter that is open, and ``table``, its items. The map is computed while it
    is in sight, piece by piece, and can be stopped; embeddings, maps and the index of searches are computed once per
    reading. After an edit of the weights, make another browser.

    Args:
        weights: the model; with layer norms folded in, its parameters are easier to read.
        reading: how vectors are read; controls set words_only and clean.
        seed: of the random controls.
        sibling: another model with the same vocabulary, such as one trained from other initial weights.
    """

    def __init__(self, weights: Weights, reading: Reading | None = None, seed: int = 0, sibling: Weights | None = None):
        super().__init__()
        self.session, self._reading = ParameterSession(weights, sibling, seed), reading or Reading()
        self._is_opening = False  # while several controls change at once
        self._create_parameter_controls()
        self._create_search_controls()
        self.map, self.highest, self.lowest = ParameterMap(), ScoreBars(), ScoreBars(sign=-1)
        self.word_map, self.status = WordMap(), StatusLine()
        self.map.observe(self._open_cell, "selected")
        self.map.on_msg(self._advance_map)
        self.word_map.on_msg(self._choose_words)
        self._place_controls()
        self._change_kind()
        controls = self.kind, self.layer, self.index, self.offset, self.measure, self.words_only, self.clean
        self.status.listen(*controls, self.word, self.search_results, self.map, self.word_map)

    def _create_parameter_controls(self) -> None:
        options = [label for label, kind in PARAMETERS.items() if kind in self.session.kinds]
        self.kind = widgets.Dropdown(options=options, description="what")
        self.layer, self.index = widgets.IntText(0), widgets.IntText(0)
        self.offset = widgets.IntText(0, description="offset (0 or more)")
        _show_range(self.layer, "layer", self.session.weights.n_layers)
        self.measure = widgets.Dropdown(description="shade of the map")
        self.words_only = widgets.Checkbox(self._reading.words_only, description="beginnings of words only")
        self.clean = widgets.Checkbox(self._reading.clean, description="clean embeddings")
        for box in (self.words_only, self.clean):
            box.indent, box.layout.width = False, "auto"
        for box in (self.kind, self.layer, self.index, self.offset, self.measure):
            box.style.description_width = "initial"
            box.layout.width = "auto"
        self.kind.observe(self._change_kind, "value")
        for control in (self.layer, self.index, self.offset, self.words_only, self.clean):
            control.observe(self._update, "value")
        for control in (self.measure, self.words_only, self.clean):
            control.observe(self._update_map, "value")

    def _create_search_controls(self) -> None:
        self.word = widgets.Text(placeholder="a word, then Enter", continuous_update=False)
        self.word.description, self.word.style.description_width = "neurons for the word", "initial"
        self.search_results = widgets.Select(layout={"width": "420px", "height": "110px"})
        self.search_results.description, self.search_results.style.description_width = "results", "initial"
        self._list_results([])
        self.word.observe(lambda _: self.search(), "value")
        self.search_results.observe(self._show_search_result, "value")

    def _place_controls(self) -> None:
        bars = widgets.HBox([self.highest, self.lowest], layout={"grid_gap": "32px"})
        self.layout.grid_gap = "8px"
        self.children = [
            widgets.HBox([self.kind, self.layer, self.index, self.offset]),
            widgets.HBox([self.words_only, self.clean, self.measure]),
            self.map,
            bars,
            self.word_map,
            widgets.HBox([self.word, self.search_results]),
            self.status,
        ]
        self.add_class("tm-browser")

    @property
    def place(self) -> Place:
        """Where the parameter is that the controls name."""
        offset = self.offset.value if self._kind == "W_QK" else 0
        return Place(self._kind, self.layer.value, self.index.value, offset)

    @property
    def reading(self) -> Reading:
        """How vectors are read at the present values of the controls."""
        return replace(self._reading, words_only=self.words_only.value, clean=self.clean.value)

    @property
    def selected(self) -> Tensor | FactoredMatrix:
        """The parameter that is open: a vector (d_model,) or the matrix of a head."""
        return self.session.get(self.place)

    @property
    def table(self) -> TokenTable | PairTable:
        """The items of that parameter, the highest score first."""
        return self.session.read(self.place, self.reading).highest

    def show_parameter(self, kind: str, layer: int, index: int) -> None:
        """Open a parameter by its place in the model, such as ``show_parameter("W_out", 3, 507)``."""
        if kind not in self.session.kinds:
            raise ValueError(f"kind={kind!r}: must be one of {', '.join(self.session.kinds)}")
        self._is_opening = True
        self.layer.value, self.index.value, is_same_kind = layer, index, self._kind == kind
        self._is_opening = False
        self.kind.value = LABELS[kind]
        if is_same_kind:
            self._update()

    def search(self) -> None:
        """List the neurons that promote the word most; beside a key or gate, those whose key or gate it activates."""
        self._list_results([])
        word = self.word.value.strip()
        if not self.status.run(lambda: self._search_neurons(word)) and self.status.is_error:
            similar = self.session.list_similar(word, self._kind, self.reading)
            self._list_results([(f"search for {name!r}", name) for name in similar])

    def _search_neurons(self, word: str) -> None:
        if not word:
            return
        table = self.session.search(word, self._kind, self.reading)
        kind = self.session.searched_kind(self._kind)
        self._list_results(
            (f"layer {row.layer}, neuron {row.neuron}: {write_number(row.z)} standard deviations", (kind, *row[1:3]))
            for row in table.itertuples()
        )

    def _list_results(self, options: Any) -> None:
        self.search_results.options = list(options)
        self.search_results.index = None
        self.search_results.layout.display = None if self.search_results.options else "none"

    def _show_search_result(self, change: Any) -> None:
        if isinstance(change.new, tuple):
            self.show_parameter(*change.new)
        elif change.new is not None:
            self.word.value = change.new

    @property
    def _kind(self) -> str:
        return PARAMETERS[self.kind.value]

    def _change_kind(self, _: Any = None) -> None:
        """Set the controls to the ranges of the chosen kind, show its map and its parameter of the same index."""
        count, measures = self.session.count(self._kind), self.session.measures(self._kind)
        self._is_opening = True
        _show_range(self.index, self.session.noun(self._kind), count)
        self.index.value = min(max(self.index.value, 0), count - 1)
        self.offset.layout.display = None if self._kind == "W_QK" and self.session.weights.rotary else "none"
        if self.measure.options != measures:
            self.measure.options, self.measure.index = measures, 0 if measures else None
        self.measure.layout.display = None if len(measures) > 1 else "none"
        self._is_opening = False
        self._update()
        self._update_map()

    def _open_cell(self, change: Any) -> None:
        layer, index = change.new
        if (layer, index) != (self.layer.value, self.index.value):
            self.show_parameter(self._kind, layer, index)

    def _advance_map(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Compute the next piece of the map, unless the page asks for one that it has."""
        if message.get("done") == self.map.done and not self.map.is_stopped:
            advance = self._survey.advance
            self.map.is_stopped = not self.status.run(advance, failure="cannot compute the map: ", is_asked=False)
            self._show_map()

    @property
    def _survey(self) -> Any:
        return self.session.survey(self._kind, self.measure.value, self.reading)

    def _update_map(self, _: Any = None) -> None:
        """Show what is computed of the map of the chosen kind, measure and reading."""
        if not self._is_opening:
            self.map.is_stopped = not self.status.run(self._show_map, self.map, failure="cannot compute the map: ")

    def _show_map(self) -> None:
        if self.measure.options:
            self.map.show(self._survey, self.measure.value, self.session.noun(self._kind))
        else:
            self.map.cells, self.map.pieces = b"", 0

    def _update(self, _: Any = None) -> None:
        """Show the parameter that the controls name, or an error in its place."""
        if not self._is_opening and self.status.run(self._show_items, self.highest, self.lowest, self.word_map):
            self.map.selected = [self.layer.value, self.index.value]

    def _show_items(self) -> None:
        self._show_bars()
        self._show_words()

    def _show_bars(self) -> None:
        read, noun = self.session.read(self.place, self.reading), self.session.noun(self._kind)
        items, part, product = WORDS[self._kind in HEAD_KINDS]
        unit = f"score: {product}; norm of this {noun}: {write_number(float(read.parameter.norm()))}"
        self.highest.unit, self.highest.control_name = unit, f"the same rank for a random {part} of the same norm"
        both = {1: read.highest, -1: read.lowest}
        longest = max(*(float(table.scores[0]) for table in both.values()), float(read.control[0]), 1e-30)
        for bars, (sign, table) in zip((self.highest, self.lowest), both.items(), strict=True):
            with bars.hold_sync():
                bars.title = f"{items} with the {'highest' if sign > 0 else 'lowest'} scores"
                bars.names, bars.scores = _name_items(table), (sign * table.scores).tolist()
                bars.control, bars.longest = (sign * read.control).tolist(), longest
        bias = "" if read.bias is None else f"; its bias is {write_number(read.bias)}"
        self.status.show(f"{self.kind.value}, layer {self.layer.value}, {noun} {self.index.value}{bias}")

    def _choose_words(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Show as many words of that sign as the page asks for."""
        self.word_map.sign, self.word_map.k = message["sign"], message["k"]
        self.status.run(self._show_words, self.word_map, failure="cannot show the map of words: ")

    def _show_words(self) -> None:
        parameter = self.selected
        if isinstance(parameter, FactoredMatrix):
            self.word_map.names = []  # pairs have no place
        else:
            space = self.session.space(self.reading, SIDES[self._kind][0])
            self.word_map.show(space.map_tokens(parameter, min(self.word_map.k, len(space)), self.word_map.sign))


def _show_range(number: widgets.IntText, name: str, count: int) -> None:
    number.description = f"{name} (0 to {count - 1})"


def _name_items(table: TokenTable | PairTable) -> list[str]:
    if isinstance(table, TokenTable):
        return list(table.tokens)
    return [f"{left} → {right}" for left, right in zip(table.lefts, table.rights, strict=True)]
