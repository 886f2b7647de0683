"""BERT classifiers and masked-word models as maps from their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoTokenizer, BertForMaskedLM, BertForSequenceClassification, PretrainedConfig

from helpers.adapters.text import SAME_EMBEDDING, TextAdapter
from helpers.geometry import Box
from helpers.resources import label_names, load_config, load_model, load_pretrained

CLASSIFIER_HEAD = "BertForSequenceClassification"
MASKED_WORD_HEADS = ("BertForMaskedLM", "BertForPreTraining")
MASKED_TARGET = 10  # number of words that maps of a masked-word model distinguish by default, as in the paper


class BertAdapter(TextAdapter):
    """A Hugging Face BERT as a map from its embeddings; ``load`` returns the subclass that fits the model's head.

    A point has one row per token: the output of the embedding layer (word, position and segment, normalised). Special
    tokens, [MASK] among them, do not move unless they are named in ``parts``.

    Source: arXiv 2410.06019, section 4.
    """

    text_tokens = slice(1, -1)
    model: BertForSequenceClassification | BertForMaskedLM

    @classmethod
    def load(
        cls,
        name: str | Path = "bert-sentiment",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> BertAdapter:
        """Load a BERT by bundled name, local folder or hub id, onto a device and in a precision.

        Returns:
            A ``BertClassifierAdapter`` or a ``BertMaskedAdapter``.

        Raises:
            ModelNotFoundError: no such model exists, or the hub cannot be reached.
            ValueError: the model is no BERT or has another head, or the precision is too low for walks.
        """
        config, head = load_config(name, {"bert": (CLASSIFIER_HEAD, *MASKED_WORD_HEADS)})
        tokenizer = load_pretrained(AutoTokenizer, name)
        if head in MASKED_WORD_HEADS:
            return BertMaskedAdapter(str(name), load_model(BertForMaskedLM, name, device, dtype), tokenizer)
        _check_single_label(config, name)
        model = load_model(BertForSequenceClassification, name, device, dtype)
        return BertClassifierAdapter(str(name), model, tokenizer)

    @torch.no_grad()
    def embed(self, ids: Sequence[int] | Int[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch tokens d_model"]:
        """Return the output of the embedding layer for token ids."""
        rows = torch.as_tensor(ids, device=self.model.device)
        embeddings = self.model.bert.embeddings(input_ids=rows.reshape(-1, rows.shape[-1]))
        return embeddings.reshape(*rows.shape, self.d_model)

    @torch.no_grad()
    def vocabulary_at(self, position: int) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token at a position."""
        layer = self.model.bert.embeddings
        # The sum is taken in the order of the embedding layer, so that both round alike.
        words = layer.word_embeddings.weight + layer.token_type_embeddings.weight[0]
        return layer.LayerNorm(words + layer.position_embeddings.weight[position])

    def movable_parts(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """List the parts of a point that may move by default: all but special tokens."""
        special = self._special_tokens(point)
        return [i for i in range(len(point)) if i not in special]

    def bounds(self, point: Float[Tensor, "tokens d_model"]) -> Box:
        """Return the feasible box (d_model,): the range of all tokens' embeddings at all positions of this point.

        Source: arXiv 2410.06019, the projection step of Algorithm 1, for one-hot inputs and a normalised embedding.
        """
        embeddings = self.vocabulary_at(0)
        lower, upper = embeddings.amin(0), embeddings.amax(0)
        for position in range(1, len(point)):
            embeddings = self.vocabulary_at(position)
            lower, upper = torch.minimum(lower, embeddings.amin(0)), torch.maximum(upper, embeddings.amax(0))
        return Box(lower, upper)

    def _run_layers(self, point: Tensor) -> Tensor:
        """Run the layers on one whole point (tokens, d_model): (1, tokens, d_model)."""
        hidden = point[None]
        for layer in self.model.bert.encoder.layer:
            hidden = layer(hidden)
        return hidden

    @torch.no_grad()
    def _special_tokens(self, point: Tensor) -> dict[int, int]:
        """Map the rows of a point that are a special token's embedding at their position to that token's id."""
        ids = torch.tensor(self.tokenizer.all_special_ids)
        embeddings = self.embed(ids[:, None].expand(-1, len(point)))
        same = (embeddings - point).abs().amax(-1) <= SAME_EMBEDDING
        return {position: int(ids[which]) for which, position in same.nonzero().tolist()}


class BertClassifierAdapter(BertAdapter):
    """A BERT with a classification head: a map to the log-probabilities of its classes."""

    model: BertForSequenceClassification

    def __init__(self, name: str, model: BertForSequenceClassification, tokenizer: Any):
        super().__init__(name, model, tokenizer)
        self.class_names = label_names(model.config)

    def log_probabilities(self, point: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " k"]:
        """Return the log-probabilities of the classes at one whole point."""
        pooled = self.model.bert.get_submodule("pooler")(self._run_layers(point))
        return self.model.classifier(pooled)[0].log_softmax(-1)


class BertMaskedAdapter(BertAdapter):
    """A BERT with a masked-word head: a map to the log-probabilities of all words at the one [MASK] of a text.

    Its maps distinguish the ten most probable words at the point by default.
    """

    model: BertForMaskedLM
    default_target = MASKED_TARGET

    def __init__(self, name: str, model: BertForMaskedLM, tokenizer: Any):
        super().__init__(name, model, tokenizer)
        self.class_names = self.item_names

    def token_ids(self, text: str) -> list[int]:
        """Tokenize a text, special tokens included.

        Raises:
            ValueError: an empty text, more tokens than the model has positions, or not exactly one [MASK].
        """
        ids = super().token_ids(text)
        count = ids.count(self.tokenizer.mask_token_id)
        if count != 1:
            raise ValueError(f"raw={text!r}: has {count} {self.tokenizer.mask_token}, wanted exactly one")
        return ids

    def log_probabilities(self, point: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " d_vocab"]:
        """Return the log-probabilities of the words at the one [MASK] of a whole point."""
        return self.whole_map(point)(point)

    def whole_map(self, point: Float[Tensor, "tokens d_model"]) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points whose [MASK] is at the same position as in this one.

        Raises:
            ValueError: not exactly one row is the embedding of [MASK].
        """
        mask_id = self.tokenizer.mask_token_id
        positions = [position for position, token in self._special_tokens(point).items() if token == mask_id]
        if len(positions) != 1:
            raise ValueError(
                f"point: {len(positions)} of its rows are {self.tokenizer.mask_token}, wanted one; take the map at "
                "the point that encode returned"
            )
        return partial(self._fill_mask, position=positions[0])

    @torch.no_grad()
    def likely_ids(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return for each row of a point the word that the masked-word head finds most probable there."""
        return self.model.cls(self._run_layers(point))[0].argmax(-1).tolist()

    def _fill_mask(self, point: Tensor, position: int) -> Tensor:
        return self.model.cls(self._run_layers(point)[:, position])[0].log_softmax(-1)


def _check_single_label(config: PretrainedConfig, name: str | Path) -> None:
    """Raise a ValueError unless a classifier chooses one of two or more classes."""
    if (config.num_labels or 0) < 2 or config.problem_type not in (None, "single_label_classification"):
        raise ValueError(
            f"name={str(name)!r}: scores {config.num_labels} label(s) as {config.problem_type!r}, wanted a choice of "
            "one among two or more classes"
        )
