"""Which vocabulary items a reading lists, and what it does to their embeddings."""

from __future__ import annotations

import functools
import reprlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from helpers.resources import is_offensive
from helpers.resources.display import CONTINUATION, NO_TOKEN
from helpers.weights import Weights


@dataclass(frozen=True)
class Reading:
    """How vectors are read: which items are listed, and what is done to the embeddings.

    Attributes:
        clean: centre the embeddings, remove the direction that follows the items' log-frequency, and give each
            unit length; without this, small models' tables mostly list rare or common items.
        pseudo_inverse: use the pseudo-inverse of E, transposed, for E'; else the embeddings ("transpose").
        ascii_only: list only ASCII items.
        words_only: list only items of two letters or more that begin a word.
        least_count: list only items that occur this often in the training text, if the counts are known.
        offensive: list slurs, swear words and sexual words too.
        items: list only these items, such as the words of a corpus, in upper or lower case, at the beginning
            of a word or within one; None for all.
        signed: where measures compare the top items of vectors, take the highest scores, not the largest absolute ones.
    """

    clean: bool = True
    pseudo_inverse: bool = False
    ascii_only: bool = True
    words_only: bool = True
    least_count: int = 200
    offensive: bool = False
    items: frozenset[str] | None = field(default=None, repr=False)
    signed: bool = False

    @classmethod
    def paper(cls) -> Reading:
        """Return the paper's reading of states: all items, embeddings as they are, highest scores.

        The paper does not fold norms: load weights with ``fold=False``. It compares partners by absolute scores:
        ``replace(Reading.paper(), signed=False)``.
        """
        return cls(clean=False, ascii_only=False, words_only=False, least_count=0, offensive=True, signed=True)

    def includes(self, name: str) -> bool:
        """Return whether the reading lists an item of this name, counts aside."""
        plain = _plain(name)
        return (
            (not self.ascii_only or plain.isascii())
            and (not self.words_only or (name.isalpha() and len(name) > 1))
            and (self._plain_items is None or plain.lower() in self._plain_items)
            and (self.offensive or not is_offensive(plain))
        )

    def select_items(self, w: Weights) -> tuple[Int[Tensor, " items"], list[str]]:
        """Return the indices and the names of the items that the reading lists.

        Rows of padding, which no token has, are never listed.

        Raises:
            ValueError: fewer than two items are left, or the counts are not one per item.
        """
        names = w.item_names
        is_item = [not name.startswith(NO_TOKEN) and self.includes(name) for name in names]
        listed = torch.tensor(is_item) | bool(w.labels)  # filters are for words
        if w.counts is not None:
            if len(w.counts) != len(names):
                raise ValueError(f"w.counts: has {len(w.counts):,} entries, wanted {len(names):,}, one per item")
            listed &= w.counts >= self.least_count
        ids = listed.nonzero()[:, 0]
        if len(ids) < 2:
            raise ValueError(
                f"reading={self}, items={reprlib.repr(self.items)}: leaves {len(ids)} of {len(names):,} items, wanted "
                "two or more; relax a filter"
            )
        return ids, [names[i] for i in ids.tolist()]

    @functools.cached_property
    def _plain_items(self) -> frozenset[str] | None:
        return None if self.items is None else frozenset(_plain(item.strip()).lower() for item in self.items)

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


def _plain(name: str) -> str:
    return name.removeprefix(CONTINUATION) or name  # the item "…" itself stays


def count_items(w: Weights, texts: Iterable[str]) -> Int[Tensor, " d_vocab"]:
    """Count how often each vocabulary item occurs in texts, special tokens aside.

    With ``dataclasses.replace(w, counts=count_items(w, texts))`` readings use these counts. One text is a ValueError.
    """
    if isinstance(texts, str):
        raise ValueError(f"texts={reprlib.repr(texts)}: is one text, wanted a list of texts")
    counter: Counter[int] = Counter()
    for text in texts:
        counter.update(w.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return torch.tensor([counter[i] for i in range(w.d_vocab)])
