"""What adapters of language models share: tokens as parts, words as the rows of an embedding table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters.base import Adapter


class TextAdapter(Adapter):
    """A language model as a map from its embeddings; a point has one row a token.

    Attributes:
        tokenizer: the model's.
        longest: tokens that the model takes at most.
        inner: where a text's own tokens stand among those that the tokenizer makes.
    """

    tokenizer: Any
    longest: int
    inner: slice = slice(None)

    @abstractmethod
    def embed(self, ids: list[int] | Tensor) -> Tensor:
        """Return the points (..., tokens, d_model) for token ids (..., tokens)."""

    @abstractmethod
    def vocabulary_at(self, position: int) -> Tensor:
        """Embeddings of every token at a position, (vocabulary, d_model)."""

    @abstractmethod
    def continues(self, token: int) -> bool:
        """Say whether a token goes on with the word before it."""

    def names_of(self, ids: Iterable[int]) -> list[str]:
        """Name tokens as they are shown."""
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def whole_words(self) -> dict[int, str]:
        """Map the ids of items that are words of ASCII letters by themselves to those words."""
        names = self.names_of(range(len(self.tokenizer)))
        return {i: name for i, name in enumerate(names) if name.isalpha() and name.isascii()}

    def token_ids(self, text: str) -> list[int]:
        """Tokenise a text, special tokens included.

        Raises:
            ValueError: nothing in it, or more tokens than the model has positions.
        """
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"raw={text!r}: must be a text with at least one word")
        ids = self.tokenizer(text, verbose=False)["input_ids"]
        if len(ids) > self.longest:
            raise ValueError(f"raw: has {len(ids)} tokens, {self.name} takes at most {self.longest}")
        return ids

    def encode(self, raw: str) -> Tensor:
        """Turn a text into a point (tokens, d_model); its tokens are ``part_names`` until the next text is encoded.

        Raises:
            ValueError: as ``token_ids``.
        """
        ids = self.token_ids(raw)
        self.part_names = self.names_of(ids)
        return self.embed(ids)

    def tokens(self, text: str) -> list[str]:
        """Name the tokens of a text, special ones included; errors as in ``token_ids``."""
        return self.names_of(self.token_ids(text))

    def decode(self, point: Tensor) -> str | list[str]:
        """Turn points (..., tokens, d_model) into texts: at each position the token whose embedding is nearest."""
        if point.ndim > 2:
            return [self.decode(each) for each in point]
        return self.tokenizer.decode(self.nearest_ids(point)[self.inner])

    def nearest_ids(self, point: Tensor) -> list:
        """Return for each row of points (..., tokens, d_model) the token whose embedding there is nearest by cosine."""
        rows = normalize(point, dim=-1)
        found = [
            (rows[..., i, :] @ normalize(self.vocabulary_at(i), dim=-1).T).argmax(-1) for i in range(rows.shape[-2])
        ]
        return torch.stack(found, -1).tolist()

    def reread(self, points: Tensor) -> Tensor:
        """Read points (N, tokens, d_model) as the nearest tokens and embed those: points of the same shape."""
        return self.embed(self.nearest_ids(points))

    def check_point(self, point: Tensor) -> None:
        """Raise a ValueError unless a point has the model's width and precision, a fitting length, and is finite."""
        if point.ndim != 2 or not 1 <= len(point) <= self.longest:
            raise ValueError(f"point: has shape {tuple(point.shape)}, wanted (tokens, {self.d_model}): a row a token")
        self.check_rows(point, len(point))
