"""Embedding space: the items that a reading lists, and the rows that a vector is multiplied by to be read.

Source: arXiv 2209.02535, section 3; E' = E^T unless asked otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.resources.content_filter import is_offensive
from helpers.resources.vocabulary_items import token_names
from helpers.weights import Weights


@dataclass(frozen=True)
class Reading:
    """How vectors are read: which items are listed, and what is done to the embeddings.

    Attributes:
        clean: centre the embeddings, drop the direction that follows the items' log-frequency, and give each unit
            length; small models' tables are lists of rare or of common items otherwise.
        pseudo_inverse: take E' as the pseudo-inverse of E, not its transpose.
        ascii_only: only ASCII items.
        words_only: only items of two letters or more that begin a word.
        least_count: how often the training text must have an item, where that is known.
        offensive: list slurs, swear words and sexual words too.
        items: list only these (words, or ``corpus_items`` of a corpus); no such filter if None.
    """

    clean: bool = True
    pseudo_inverse: bool = False
    ascii_only: bool = True
    words_only: bool = True
    least_count: int = 200
    offensive: bool = False
    items: frozenset[str] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingSpace:
    """The listed items' embeddings, cleaned if asked for: what a vector is multiplied by to be read.

    Attributes:
        rows: E'^T, (items, d_model).
        ids: in the vocabulary, (items,).
        names: of the items, as they are shown.
        note: what was done, for tables.
    """

    rows: Tensor
    ids: Tensor
    names: list[str]
    note: str

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"EmbeddingSpace({len(self):,} items; {self.note})"

    def find(self, word: str) -> int:
        """Return the row of a word.

        Raises:
            ValueError: it is no single item of the vocabulary, or is filtered out.
        """
        if word not in self._row_of:
            raise ValueError(f"word={word!r}: is none of the {len(self):,} items that this reading lists")
        return self._row_of[word]

    @functools.cached_property
    def labels(self) -> Tensor:
        """A number an item, (items,), the same for two that differ in case alone."""
        folded = [name.lower() for name in self.names]
        numbers = {name: i for i, name in enumerate(dict.fromkeys(folded))}
        return torch.tensor([numbers[name] for name in folded], device=self.rows.device)

    @functools.cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in reversed(list(enumerate(self.names)))}


def corpus_items(w: Weights, texts: Iterable[str]) -> frozenset[str]:
    """Collect the vocabulary items that a corpus uses, for ``Reading.items``."""
    names = token_names(w.tokenizer, len(w.W_E))
    return frozenset(names[i] for text in texts for i in w.tokenizer(text, verbose=False)["input_ids"])


def embedding_space(w: Weights, reading: Reading | None = None) -> EmbeddingSpace:
    """Return the items that a reading lists and their embeddings; made once for each model and reading.

    Raises:
        ValueError: the filters leave fewer than two items.
    """
    return _make_space(w, reading or Reading())


@functools.lru_cache(maxsize=8)
def _make_space(w: Weights, reading: Reading) -> EmbeddingSpace:
    names = token_names(w.tokenizer, len(w.W_E))
    kept = torch.tensor([_is_listed(name, reading) for name in names])
    if w.counts is not None:
        kept &= w.counts >= reading.least_count
    ids = kept.nonzero()[:, 0]
    if len(ids) < 2:
        raise ValueError(f"reading={reading}: leaves {len(ids)} of {len(names):,} items")
    rows = w.W_E.detach()[ids.to(w.W_E.device)]
    if reading.clean:
        rows = clean_rows(rows, _log_frequency(w)[ids].to(rows))
    if reading.pseudo_inverse:
        rows = torch.linalg.pinv(rows).T
    return EmbeddingSpace(rows, ids, [names[i] for i in ids.tolist()], _describe(w, reading, len(ids)))


def _is_listed(name: str, reading: Reading) -> bool:
    return (
        (not reading.ascii_only or name.removeprefix("…").isascii())
        and (not reading.words_only or (name.isalpha() and len(name) > 1))
        and (reading.items is None or name in reading.items)
        and (reading.offensive or not is_offensive(name.removeprefix("…")))
    )


def _log_frequency(w: Weights) -> Tensor:
    """Log-frequency of every item; where nobody counted, minus the log of its rank in the vocabulary (Zipf's law)."""
    if w.counts is not None:
        return w.counts.clamp(min=1).double().log()
    return -torch.arange(1, len(w.W_E) + 1, dtype=torch.float64).log()


def _describe(w: Weights, reading: Reading, count: int) -> str:
    done = []
    if reading.clean:
        done.append("embeddings centred, freed of log-frequency, normalised")
    if w.counts is None:
        done.append("frequency from the items' rank")
    elif reading.least_count > 0:
        done.append(f"items seen {reading.least_count} times or more")
    done.append("E' = pseudo-inverse" if reading.pseudo_inverse else "E' = transpose")
    done.append("layer norms folded in" if w.folded else "layer norms left out")
    filters = {"ASCII": reading.ascii_only, "words": reading.words_only, "of a corpus": reading.items is not None}
    listed = ", ".join(name for name, on in filters.items() if on) or "all"
    offensive = "" if reading.offensive else ", offensive words left out"
    return f"{w.name}: {'; '.join(done)}; {count:,} of {len(w.W_E):,} items ({listed}{offensive})"


def clean_rows(rows: Tensor, log_frequency: Tensor) -> Tensor:
    """Centre embeddings (items, d_model), drop the direction that follows log-frequency, and give each unit length."""
    rows = rows - rows.mean(0)
    direction = rows.T @ (log_frequency - log_frequency.mean())
    rows = rows - torch.outer(rows @ direction, direction) / direction.square().sum().clamp(min=1e-30)
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-30)
