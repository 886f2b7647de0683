"""Other words for each word of a sentence: those that the model holds equal, and those that change its outputs."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import pandas as pd

from helpers.adapters.base import find_name
from helpers.adapters.text import Text
from helpers.sentences import equivalent_words, influential_words, predict_substitutions
from helpers.sentences.substitutions import Substitutions
from helpers.sessions.inputs import SentenceInput
from helpers.sessions.session import Frame, round_number

WORD_COUNT = 6  # words listed of either kind


class WordEffects:
    """The effect of other words at each position of a sentence, all of them run through the model.

    The first question takes the predictions for the whole vocabulary, from one Jacobian; each position is verified when
    it is asked for, and kept.

    Args:
        start: the sentence.
    """

    def __init__(self, start: SentenceInput):
        self.start = start
        self._known: dict[int, Frame] = {}

    @cached_property
    def _substitutions(self) -> Substitutions:
        target = self.start.f.target
        return predict_substitutions(self.start.adapter, self.start.raw, None if target is None else list(target))

    def find_words(self, part: int) -> Frame:
        """List the words that the model holds ``equal`` at a token, and those that change the outputs most.

        Each is listed with the verified change of the outputs (see ``Head.variation``); the ``changing`` ones also with
        the prediction that they lead to.
        """
        if part not in self._known:
            self._known[part] = self._compute(part)
        return self._known[part]

    def replace_word(self, part: int, word: str) -> Text:
        """Return the sentence with another word at a token."""
        adapter, ids = self.start.adapter, self.start.adapter.token_ids(self.start.raw)
        words = adapter.whole_words()
        ids[part] = list(words)[find_name("word", word, list(words.values()), "whole words")]
        text = adapter.decode(adapter.embed(ids, adapter.segments_of(self.start.point)))
        return text if isinstance(text, str) else (text[0], text[1])

    def _compute(self, part: int) -> Frame:
        whole = self._substitutions
        frame: Frame = {"part": part, "token": self.start.tokens[part], "equal": [], "changing": []}
        if part not in whole.f.parts:  # punctuation, a piece of a word, or a token that stays
            return frame
        row = whole.f.parts.index(part)
        single = replace(
            whole, f=self.start.map_at(self.start.point, [part]), changes=whole.changes[row : row + 1]
        )  # fmt: skip
        tables = {"equal": equivalent_words(single), "changing": influential_words(single)}
        return frame | {name: _list_words(table.head(WORD_COUNT)) for name, table in tables.items()}


def _list_words(table: pd.DataFrame) -> list[Frame]:
    prediction = table["prediction"] if "prediction" in table else [""] * len(table)
    rows = zip(table["word"], table["verified"], prediction, strict=True)
    return [{"word": word, "change": round_number(change), "prediction": label} for word, change, label in rows]
