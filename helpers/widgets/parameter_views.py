"""Views of the parameter browser: a map of all parameters of a kind, and bars and a map of the words of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from helpers.vocabulary import ParameterSurvey, TokenMap
from helpers.widgets.views import View

SHADES = 254  # a cell is one byte: 0 where nothing is computed yet, else 1 more than its shade
TICKS = (1.0, 0.1, 0.01, 0.001)  # p-values that the legend names


class ParameterMap(View, files="dom parameter_map"):
    """A cell per parameter, one block per layer; a click, or arrow keys and Enter, choose one.

    The page asks for the pieces of a survey one by one, by a message that names how many it has. So the kernel answers
    other requests between them, and a reader can stop the survey at any time.
    """

    cells = traitlets.Bytes(b"").tag(sync=True)  # a byte per parameter, layer by layer
    count = traitlets.Int(1).tag(sync=True)  # parameters per layer
    noun = traitlets.Unicode("neuron").tag(sync=True)  # what a parameter is called
    quantity = traitlets.Unicode("").tag(sync=True)  # what the shade stands for
    low = traitlets.Float(0.0).tag(sync=True)  # the value, or the logarithm of the p-value, of the lightest shade
    high = traitlets.Float(1.0).tag(sync=True)  # that of the darkest shade
    is_logarithm = traitlets.Bool(False).tag(sync=True)  # whether these are logarithms to base 10
    ticks: traitlets.List[Any] = traitlets.List().tag(sync=True)  # values that the legend names
    bars = traitlets.List(traitlets.Float()).tag(sync=True)  # per layer; one random parameter in twenty passes it
    done = traitlets.Int(0).tag(sync=True)  # pieces that are computed
    pieces = traitlets.Int(0).tag(sync=True)  # pieces there are
    is_stopped = traitlets.Bool(False).tag(sync=True)  # whether the page asks for no more; set by both sides
    selected = traitlets.List(traitlets.Int(), [0, 0]).tag(sync=True)  # [layer, index] of the parameter that is shown

    def show(self, survey: ParameterSurvey, quantity: str, noun: str) -> None:
        """Show what is computed of a survey."""
        values, is_p = survey.values.double().numpy(), quantity == "p-value"
        scale = np.log10(values) if is_p else values
        known = scale[np.isfinite(scale)]
        bars = survey.bars.nan_to_num().tolist()  # 0 where nothing is computed yet
        low, high = (0.0, -3.5) if is_p else (0.0, max(2 * max(bars), float(known.max(initial=0.0))) or 1.0)
        shares = np.clip((scale - low) / (high - low), 0, 1)
        with self.hold_sync():
            self.cells = (
                np.where(np.isnan(shares), 0, 1 + np.round(SHADES * np.nan_to_num(shares))).astype(np.uint8).tobytes()
            )
            self.count, self.noun, self.quantity = values.shape[1], noun, quantity
            self.low, self.high, self.is_logarithm = low, high, is_p
            self.ticks = list(TICKS) if is_p else [low, round(high / 2, 2), round(high, 2)]
            self.bars, self.done, self.pieces = bars, survey.done, survey.pieces


class ScoreBars(View, files="dom score_bars"):
    """Bars of the scores of items, each with a mark at the score of a random parameter at the same rank."""

    title = traitlets.Unicode("").tag(sync=True)
    unit = traitlets.Unicode("").tag(sync=True)  # of the scores
    control_name = traitlets.Unicode("").tag(sync=True)  # what the mark stands for
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)  # one item per bar
    scores = traitlets.List(traitlets.Float()).tag(sync=True)
    control = traitlets.List(traitlets.Float()).tag(sync=True)
    longest = traitlets.Float(1.0).tag(sync=True)  # the absolute score of the longest bar
    sign = traitlets.Int(1).tag(sync=True)  # of the scores that have bars: 1, or -1


class WordMap(View, files="dom word_map"):
    """Words at their places in the plane, folded at first; the page asks for another sign or number of words."""

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)  # the first in rank comes first; none hide the view
    scores = traitlets.List(traitlets.Float()).tag(sync=True)
    places: traitlets.List[Any] = traitlets.List().tag(sync=True)  # [x, y] of each, at most 1 from the middle
    share = traitlets.Float(0.0).tag(sync=True)  # of the spread of the embeddings that the plane shows
    sign = traitlets.Unicode("highest").tag(sync=True)  # which scores are shown
    k = traitlets.Int(40).tag(sync=True)  # how many words are asked for

    def show(self, shown: TokenMap) -> None:
        """Show the words of one vector."""
        places = shown.places.double() / shown.places.abs().max().clamp(min=1e-30)
        with self.hold_sync():
            self.names, self.scores, self.share = list(shown.table.tokens), shown.table.scores.tolist(), shown.share
            self.places = places.round(decimals=3).tolist()
