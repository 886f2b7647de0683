"""How results and the items of a vocabulary are displayed: "ness" begins a word, "…ness" continues one."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd

DISPLAYED_ROWS = 20
WORD_STARTS = ("Ġ", "▁")  # how byte-level and SentencePiece vocabularies write the space before a word
CONTINUATION = "##"  # how WordPiece marks a piece that continues a word


def table_html(table: pd.DataFrame, note: str, number_format: str = "{:.3g}", index: bool = True) -> str:
    """Return the first 20 rows of a table above a note, as HTML in which every text is escaped."""
    rows = table.head(DISPLAYED_ROWS).to_html(index=index, border=0, float_format=number_format.format)
    if len(table) > DISPLAYED_ROWS:
        note = f"{note}; {len(table):,} rows, the first {DISPLAYED_ROWS} shown"
    return f"{rows}<p style='font-size: 85%'>{html.escape(note)}</p>"


def token_names(tokenizer: Any, count: int) -> list[str]:
    """Name the first ``count`` items of a tokenizer's vocabulary.

    Models often pad their vocabulary; an id beyond the tokenizer's own items is named "no token, id 30523".
    """
    raw = tokenizer.convert_ids_to_tokens(range(count))
    names = [name for name in raw if name]
    pieces, word_starts = (sum(name.startswith(mark) for name in names) for mark in (CONTINUATION, WORD_STARTS))
    is_wordpiece = pieces > word_starts  # a byte-level vocabulary may hold "##" too
    special = set(tokenizer.all_special_tokens)
    return [
        f"no token, id {i}" if name is None else name if name in special else _display_name(name, is_wordpiece)
        for i, name in enumerate(raw)
    ]


def _display_name(raw: str, is_wordpiece: bool) -> str:
    if is_wordpiece:
        return "…" + raw.removeprefix(CONTINUATION) if raw.startswith(CONTINUATION) else raw
    return raw[1:] if raw.startswith(WORD_STARTS) else "…" + raw
