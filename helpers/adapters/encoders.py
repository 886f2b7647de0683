"""Text encoders as maps from their embeddings: classifiers, masked-word models and models that label each token."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters.families import MASKED_WORD, families_with
from helpers.adapters.text import TextAdapter
from helpers.adapters.tokenizers import position_table
from helpers.geometry import Box
from helpers.geometry.arguments import check_whole

BATCH_ENTRIES = 2**19  # entries of the embeddings compared at once: 2 MiB in float32, which a core's cache holds
SHORTEST = 1e-12  # length below which an embedding has no direction, so that no row is nearest to it
BATCH_WORDS = 4  # the fewest words compared at once, so that the cost of a call does not count for long texts


class EncoderAdapter(TextAdapter):
    """A model that reads texts in both directions: a classifier, a masked-word model or one that labels each token.

    A point is the input of the first block: word, position and segment, normalised and projected as the model does.
    """

    families: ClassVar[Collection[str]] = families_with(MASKED_WORD)
    default = "bert-sentiment"

    @torch.no_grad()
    def vocabulary_at(self, position: int, segment: int = 0) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token at a position, in the first or second text of a pair."""
        check_whole("position", position, most=self.max_tokens - 1)
        ids = torch.arange(self.vocab_size, device=self.model.device)[:, None]
        inputs = dict(self._inputs(ids, [segment]))
        if (table := position_table(self.model)) is not None:
            first = 0 if table.padding_idx is None else table.padding_idx + 1
            inputs["position_ids"] = torch.full_like(ids, position + first)
        return self._runner.state(inputs, 0)[:, 0]

    def bounds(self, point: Float[Tensor, "tokens d_model"]) -> Box:
        """Return the feasible box (d_model,); see ``TextAdapter.bounds``."""
        segments = self.segments_of(point)
        if position_table(self.model) is None:
            segments = sorted(set(segments))
        embeddings = self.vocabulary_at(0)
        lower, upper = embeddings.amin(0), embeddings.amax(0)
        for position, segment in enumerate(segments[1:], 1):
            embeddings = self.vocabulary_at(position, segment)
            lower, upper = torch.minimum(lower, embeddings.amin(0)), torch.maximum(upper, embeddings.amax(0))
        return Box(lower, upper)

    @torch.no_grad()
    def likely_ids(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return for each row of a point the word that the masked-word head finds most probable there."""
        ids = torch.full((1, len(point)), self._ordinary_id, device=self.model.device)
        return self._runner.output(self._inputs(ids), 0, point).logits[0].argmax(-1).tolist()

    @torch.no_grad()
    def _nearest_tokens(self, points: Float[Tensor, "*batch tokens d_model"]) -> Int[Tensor, "*batch tokens"]:
        rows = normalize(points, dim=-1).reshape(-1, *points.shape[-2:])
        segments = self.segments_of(points.reshape(-1, *points.shape[-2:])[0])
        tokens = rows.shape[1]
        best = torch.full(rows.shape[:2], -torch.inf, dtype=rows.dtype, device=rows.device)
        ids = torch.zeros(rows.shape[:2], dtype=torch.long, device=rows.device)
        words = torch.arange(self.vocab_size, device=rows.device)
        for batch in words.split(max(BATCH_WORDS, BATCH_ENTRIES // rows[0].numel())):
            embeddings = self.embed(batch[:, None].expand(-1, tokens), segments)
            cosines = torch.einsum("wtd,btd->btw", embeddings, rows) / embeddings.norm(dim=-1).T.clamp(min=SHORTEST)
            value, index = cosines.max(-1)
            is_better = value > best
            best, ids = torch.where(is_better, value, best), torch.where(is_better, batch[index], ids)
        return ids.reshape(points.shape[:-1])


class BertAdapter(EncoderAdapter):
    """A BERT as a map from its embeddings to the outputs of the checkpoint's head; see ``EncoderAdapter``.

    Source: arXiv 2410.06019, section 4.
    """

    families = ("bert",)
