"""Causal language models as maps from their word embeddings to the next word, or to the class of a text."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters.families import NEXT_WORD, TEXT_CLASSES, families_with
from helpers.adapters.text import TextAdapter
from helpers.geometry import Box


class CausalAdapter(TextAdapter):
    """A model that reads texts from left to right, and predicts the next word or the class of a text.

    A point of layer 0 holds each token's row of the embedding table; positions are added inside, so that every
    position has the same vocabulary. The next word is the one after the last token.
    """

    families: ClassVar[Collection[str]] = families_with(NEXT_WORD)
    default = "gpt2-reviews"

    @torch.no_grad()
    def vocabulary_at(self, position: int, segment: int = 0) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token, which are the same at every position."""
        table = self.model.get_input_embeddings()
        if type(table) is torch.nn.Embedding:
            return table.weight
        return table(torch.arange(self.vocab_size, device=self.model.device))

    def bounds(self, point: Float[Tensor, "tokens d_model"]) -> Box:
        """Return the feasible box (d_model,); see ``TextAdapter.bounds``."""
        embeddings = self.vocabulary_at(0)
        return Box(embeddings.amin(0), embeddings.amax(0))

    @property
    def _output_depends_on_tokens(self) -> bool:
        """True for a classifier that reads the last token which is not padding."""
        return self.task == TEXT_CLASSES and self.model.config.pad_token_id is not None

    @torch.no_grad()
    def _nearest_tokens(self, points: Float[Tensor, "*batch tokens d_model"]) -> Int[Tensor, "*batch tokens"]:
        return (normalize(points, dim=-1) @ normalize(self.vocabulary_at(0), dim=-1).T).argmax(-1)

    def final_state(self, point: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " d_model"]:
        """Return the state of the last token from which the next word is predicted."""
        return self.state_map(point, self.n_layers + 1)(point)[-1]
