"""How results and the items of a vocabulary are displayed."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd
from transformers.convert_slow_tokenizer import bytes_to_unicode

DISPLAYED_ROWS = 20
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CONTINUATION = "…"  # shown before an item that continues a word
BYTES = {character: byte for byte, character in bytes_to_unicode().items()}  # as byte-level vocabularies write them
NO_TOKEN = "no token, id "  # shown for an id that the tokenizer does not have
BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")  # how SentencePiece writes a single byte


def write_number(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, such as 0.0123, 93.7 or 2.84×10⁻⁵, as the widgets do."""
    if not value or not math.isfinite(value):
        return f"{value or 0:g}"
    sign, (mantissa, power) = "−" if value < 0 else "", f"{abs(value):.{digits - 1}e}".split("e")
    if -3 <= int(power) < 4:
        return f"{sign}{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - int(power))}f}"
    return f"{sign}{'' if mantissa == '1' else f'{mantissa}×'}10{str(int(power)).translate(RAISED)}"


def table_html(table: pd.DataFrame, note: str, number_format: str = "{:.3g}", index: bool = True) -> str:
    """Return the first 20 rows of a table above a note, as HTML in which every text is escaped."""
    rows = table.head(DISPLAYED_ROWS).to_html(index=index, border=0, float_format=number_format.format)
    if len(table) > DISPLAYED_ROWS:
        note = f"{note}; {len(table):,} rows, the first {DISPLAYED_ROWS} shown"
    return f"{rows}<p style='font-size: 85%'>{html.escape(note)}</p>"


def distinguish_names(names: Iterable[str]) -> list[str]:
    """Put its index behind each name that occurs more than once: "crane (0)", "heron", "crane (2)"."""
    names = list(names)
    while repeated := {name for name, count in Counter(names).items() if count > 1}:
        names = [f"{name} ({i})" if name in repeated else name for i, name in enumerate(names)]
    return names


def token_names(tokenizer: Any, count: int) -> list[str]:
    r"""Name the first ``count`` items of a tokenizer's vocabulary as readable text.

    "ness" begins a word, "…ness" continues one. Bytes that are no whole character are shown as "\xe2", other
    characters that cannot be seen as "\n" or "␣". Special and added tokens keep their text. Models often pad their
    vocabulary; an id beyond the tokenizer's own items is named "no token, id 30523". Items that would look the same
    have their ids behind their names.
    """
    raw = tokenizer.convert_ids_to_tokens(range(count))
    whole = set(tokenizer.all_special_tokens) | set(getattr(tokenizer, "get_added_vocab", dict)())
    pieces = [name for name in raw if name and name not in whole]
    counts = {mark: sum(name.startswith(mark) for name in pieces) for mark in DECODERS}
    mark = max(counts, key=lambda each: counts[each])  # a vocabulary may hold the mark of another kind as text
    decode = DECODERS[mark] if counts[mark] else _decode_word
    return distinguish_names(
        f"{NO_TOKEN}{i}" if name is None else name if name in whole else _display_text(decode(name))
        for i, name in enumerate(raw)
    )


def _decode_wordpiece(raw: str) -> str:
    return raw[2:] if raw.startswith("##") else f" {raw}"


def _decode_bytes(raw: str) -> str:
    """Turn the characters that a byte-level vocabulary is written in into bytes, and these into text."""
    if not BYTES.keys() >= set(raw):
        return raw
    return bytes(BYTES[character] for character in raw).decode("utf-8", "backslashreplace")


def _decode_sentencepiece(raw: str) -> str:
    return f"\\x{raw[3:5].lower()}" if BYTE_TOKEN.fullmatch(raw) else raw.replace("▁", " ")


def _decode_word(raw: str) -> str:
    return f" {raw}"


# What begins or continues a word is marked by: WordPiece, byte-level vocabularies, SentencePiece.
DECODERS = {"##": _decode_wordpiece, "Ġ": _decode_bytes, "▁": _decode_sentencepiece}


def _display_text(text: str) -> str:
    """Show a text whose first space says that it begins a word."""
    begins_word = len(text) > 1 and text[0] == " " and text[1] != " "
    shown = "".join(c if c.isprintable() else _escape(c) for c in text[begins_word:])
    return f"{'' if text[:1].isspace() else CONTINUATION}{shown.replace(' ', '␣')}"


def _escape(character: str) -> str:
    r"""Write a character that cannot be seen by its code; "\xad" is left to bytes that are no whole character."""
    return character.encode("unicode_escape").decode() if character.isascii() else f"\\u{ord(character):04x}"
