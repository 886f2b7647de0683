"""What adapters of language models share: tokens are parts, and words are rows of an embedding table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize
from transformers import PreTrainedModel

from helpers.adapters.base import Adapter
from helpers.resources import token_names

SAME_EMBEDDING = 1e-4  # a row counts as a token's embedding if no coordinate differs by more; float32 differs by 1e-6


class TextAdapter(Adapter):
    """A language model as a map from its embeddings; a point has one row per token.

    A point that comes from a text determines its tokens: see ``ids_of``.

    Attributes:
        tokenizer: the model's tokenizer.
        item_names: one name per item of the vocabulary, as it is shown; "…ness" continues a word.
        max_tokens: largest number of tokens that the model takes.
        text_tokens: the slice of a text's own tokens among all that the tokenizer returns.
    """

    text_tokens: slice = slice(None)

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: Any):
        config = model.config
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.d_model, self.dtype = config.hidden_size, model.dtype
        self.max_tokens: int = config.max_position_embeddings
        self.item_names = token_names(tokenizer, config.vocab_size)

    @abstractmethod
    def embed(self, ids: Sequence[int] | Int[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch tokens d_model"]:
        """Return the points for token ids."""

    @abstractmethod
    def vocabulary_at(self, position: int) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token at a position."""

    def continues(self, token: int) -> bool:
        """Return whether a token continues the word before it."""
        name = self.item_names[token]
        return name.startswith("…") and name[1:].isalnum()

    def names_of(self, ids: Iterable[int]) -> list[str]:
        """Name tokens as they are shown."""
        return [self.item_names[i] for i in ids]

    def whole_words(self) -> dict[int, str]:
        """Map the ids of those items that are whole words of ASCII letters to the words."""
        return {i: name for i, name in enumerate(self.item_names) if name.isalpha() and name.isascii()}

    def token_ids(self, text: str) -> list[int]:
        """Tokenize a text, special tokens included.

        Raises:
            ValueError: an empty text, or more tokens than the model has positions.
        """
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"raw={text!r}: must be a text with at least one word")
        ids = self.tokenizer(text, verbose=False)["input_ids"]
        if len(ids) > self.max_tokens:
            raise ValueError(
                f"raw: has {len(ids)} tokens, {self.name} takes at most {self.max_tokens}; shorten the text"
            )
        return ids

    def tokens(self, text: str) -> list[str]:
        """Name the tokens of a text, special ones included; errors as in ``token_ids``."""
        return self.names_of(self.token_ids(text))

    def encode(self, raw: str) -> Float[Tensor, "tokens d_model"]:
        """Turn a text into a point; errors as in ``token_ids``."""
        return self.embed(self.token_ids(raw))

    def decode(self, point: Float[Tensor, "*batch tokens d_model"]) -> str | list[Any]:
        """Turn points into texts: at each position the token with the nearest embedding."""
        if point.ndim > 2:
            return [self.decode(one) for one in point]
        return self.tokenizer.decode(self.nearest_ids(point)[self.text_tokens])

    def nearest_ids(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return for each row of a point the token whose embedding at that position is nearest by cosine."""
        return self._nearest_tokens(point).tolist()

    def ids_of(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return the token ids of the text whose embeddings a point is.

        Raises:
            ValueError: some rows are no token's embedding, because the point was moved; ``nearest_ids`` names the
                tokens nearest to such a point.
        """
        ids = self._nearest_tokens(point)
        moved = ((self.embed(ids) - point).abs().amax(-1) > SAME_EMBEDDING).nonzero().flatten().tolist()
        if moved:
            raise ValueError(
                f"point: rows {moved} are no token's embedding, so it is not the point of a text; "
                "give the point that encode returned"
            )
        return ids.tolist()

    def part_names(self, point: Float[Tensor, "tokens d_model"]) -> list[str]:
        """Name the token nearest to each row of a point: the text's own tokens, where the point was not moved."""
        return self.names_of(self.nearest_ids(point))

    def reencode(self, points: Float[Tensor, "n tokens d_model"]) -> Float[Tensor, "n tokens d_model"]:
        """Decode points to the nearest tokens and embed those."""
        return self.embed(self._nearest_tokens(points))

    @torch.no_grad()
    def _nearest_tokens(self, points: Float[Tensor, "*batch tokens d_model"]) -> Int[Tensor, "*batch tokens"]:
        """Return for each row of points the token whose embedding at that position is nearest by cosine."""
        rows = normalize(points, dim=-1)
        columns = [
            (rows[..., i, :] @ normalize(self.vocabulary_at(i), dim=-1).T).argmax(-1) for i in range(rows.shape[-2])
        ]
        return torch.stack(columns, -1)

    def check_point(self, point: Tensor) -> None:
        """Raise a ValueError unless a point has a row per token, the model's width and precision, and is finite."""
        if point.ndim != 2 or not 1 <= len(point) <= self.max_tokens:
            raise ValueError(
                f"point: has shape {tuple(point.shape)}, wanted (tokens, {self.d_model}), one row per token, "
                f"at most {self.max_tokens}"
            )
        self._check_rows(point, len(point))
