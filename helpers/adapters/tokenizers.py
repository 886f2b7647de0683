"""What a tokenizer does to texts: the special tokens around them, the characters it drops, the positions there are."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import torch


def position_table(model: Any) -> Any:
    """Return the table of absolute positions of an encoder, or None where positions are relative only."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    return table if isinstance(table, torch.nn.Embedding) else None


def count_positions(model: Any, tokenizer: Any) -> int:
    """Return the largest number of tokens that a model takes; RoBERTa's positions begin after its padding index."""
    table, limit = position_table(model), model.config.max_position_embeddings
    if table is not None and table.padding_idx is not None:
        limit = table.num_embeddings - table.padding_idx - 1
    return int(min(limit, tokenizer.model_max_length))


def find_own_tokens(tokenizer: Any) -> slice:
    """Return the slice of a text's own tokens between the special ones that the tokenizer adds."""
    encoded, plain = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    extra = len(encoded) - len(plain)
    before = next((i for i in range(extra + 1) if encoded[i : i + len(plain)] == plain), 0)
    after = extra - before
    return slice(before, -after if after else None)


def character_test(tokenizer: Any) -> Callable[[str], bool]:
    """Return a test of whether a tokenizer reads a character.

    Byte-pair encoding without an unknown token silently drops what is not in its alphabet. A surrogate, half of a
    character, is no text for any tokenizer.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    is_bpe = type(getattr(backend, "model", None)).__name__ == "BPE"
    if not is_bpe or backend.model.unk_token is not None or backend.model.byte_fallback:
        return lambda character: unicodedata.category(character) != "Cs"
    alphabet = frozenset(token for token in tokenizer.get_vocab() if len(token) == 1)

    def is_read(character: str) -> bool:
        if unicodedata.category(character) == "Cs":
            return False
        text = backend.normalizer.normalize_str(character) if backend.normalizer else character
        pieces = backend.pre_tokenizer.pre_tokenize_str(text) if backend.pre_tokenizer else [(text, None)]
        return all(set(piece) <= alphabet for piece, _ in pieces)

    return is_read
