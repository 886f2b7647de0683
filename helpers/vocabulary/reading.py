"""Which vocabulary items a reading lists, and what it does to their embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from helpers.resources import is_offensive
from helpers.weights import Weights

CONTINUATION = "…"  # shown before an item that continues a word


@dataclass(frozen=True)
class Reading:
    """How vectors are read: which items are listed, and what is done to the embeddings.

    Attributes:
        clean: centre the embeddings, remove the direction that follows the items' log-frequency, and give each
            unit length; without this, small models' tables mostly list rare or common items.
        pseudo_inverse: use the pseudo-inverse of E for E', not its transpose.
        ascii_only: list only ASCII items.
        words_only: list only items of two letters or more that begin a word.
        least_count: list only items that occur this often in the training text, if the counts are known.
        offensive: list slurs, swear words and sexual words too.
        items: list only these items (words, or ``corpus_items`` of a corpus); None for all.
    """

    clean: bool = True
    pseudo_inverse: bool = False
    ascii_only: bool = True
    words_only: bool = True
    least_count: int = 200
    offensive: bool = False
    items: frozenset[str] | None = None

    def includes(self, name: str) -> bool:
        """Return whether the reading lists an item of this name, counts aside."""
        plain = name.removeprefix(CONTINUATION)
        return (
            (not self.ascii_only or plain.isascii())
            and (not self.words_only or (name.isalpha() and len(name) > 1))
            and (self.items is None or name in self.items)
            and (self.offensive or not is_offensive(plain))
        )

    def select_items(self, w: Weights) -> tuple[Int[Tensor, " items"], list[str]]:
        """Return the indices and the names of the items that the reading lists.

        Raises:
            ValueError: fewer than two items are left.
        """
        names = w.item_names
        listed = torch.tensor([bool(w.labels) or self.includes(name) for name in names])  # filters are for words
        if w.counts is not None:
            listed &= w.counts >= self.least_count
        ids = listed.nonzero()[:, 0]
        if len(ids) < 2:
            raise ValueError(
                f"reading={self}: leaves {len(ids)} of {len(names):,} items, wanted two or more; relax a filter"
            )
        return ids, [names[i] for i in ids.tolist()]

    def describe(self, w: Weights, count: int) -> str:
        """Describe in one line how the vectors of a model are read, for the notes of tables."""
        steps = ["embeddings centred, freed of log-frequency, normalised"] if self.clean else []
        if w.counts is None and not w.labels:
            steps.append("frequency from the items' rank")
        elif w.counts is not None and self.least_count > 0:
            steps.append(f"items seen {self.least_count} times or more")
        steps.append("E' = pseudo-inverse" if self.pseudo_inverse else "E' = transpose")
        steps.append("layer norms folded in" if w.folded else "layer norms left out")
        filters = {"ASCII": self.ascii_only, "words": self.words_only, "of a corpus": self.items is not None}
        listed = ", ".join(name for name, used in filters.items() if used) or "all"
        offensive = "" if self.offensive else ", offensive words left out"
        return f"{w.name}: {'; '.join(steps)}; {count:,} of {w.d_vocab:,} items ({listed}{offensive})"


def corpus_items(w: Weights, texts: Iterable[str]) -> frozenset[str]:
    """Collect the names of the vocabulary items that occur in a corpus, for ``Reading.items``."""
    names = w.item_names
    return frozenset(names[i] for text in texts for i in w.tokenizer(text, verbose=False)["input_ids"])
