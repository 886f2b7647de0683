"""How a vocabulary's items are shown: "ness" begins a word, "…ness" goes on with one."""

from __future__ import annotations

from typing import Any

WORD_STARTS = ("Ġ", "▁")  # what byte-level and sentence-piece vocabularies put for a space before a word
INNER = "##"  # what WordPiece puts before a piece that goes on with a word


def token_names(tokenizer: Any, count: int) -> list[str]:
    """Name the first ``count`` items of a tokenizer's vocabulary; a padded one's surplus ids are called so."""
    raw = tokenizer.convert_ids_to_tokens(range(count))
    pieced = any(name and name.startswith(INNER) for name in raw)
    special = set(tokenizer.all_special_tokens)
    return [
        f"no token, id {i}" if name is None else name if name in special else _name(name, pieced)
        for i, name in enumerate(raw)
    ]


def _name(raw: str, pieced: bool) -> str:
    if pieced:
        return "…" + raw.removeprefix(INNER) if raw.startswith(INNER) else raw
    return raw[1:] if raw.startswith(WORD_STARTS) else "…" + raw
