"""BERT classifiers and masked-word models, seen from their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, BertForMaskedLM, BertForSequenceClassification

from helpers.adapters.text import TextAdapter
from helpers.geometry import Box
from helpers.resources import load_model, load_pretrained

HEADS = {
    "BertForSequenceClassification": BertForSequenceClassification,
    "BertForMaskedLM": BertForMaskedLM,
    "BertForPreTraining": BertForMaskedLM,
}
SAME = 1e-4  # largest difference at which a vector counts as a token's own embedding
MASKED_TARGET = 10  # words that a masked-word model tells apart unless told otherwise, as in the paper


class BertAdapter(TextAdapter):
    """A Hugging Face BERT with a classification or masked-word head, as a map from its embeddings.

    A point has one row a token: what the embedding layer gives (word, position and segment, normalised). Special
    tokens, [MASK] among them, stay where they are unless they are named. A masked-word model's classes are its
    words, at the one [MASK]; its maps tell the ten most probable words apart unless told otherwise.

    Source: arXiv 2410.06019, section 4.
    """

    inner = slice(1, -1)

    def __init__(self, name: str, model: BertForSequenceClassification | BertForMaskedLM, tokenizer):
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.masked = isinstance(model, BertForMaskedLM)
        self.d_model, self.dtype = model.config.hidden_size, model.dtype
        self.default_target = MASKED_TARGET if self.masked else None
        self.longest = model.config.max_position_embeddings
        self.part_names: list[str] = []
        if self.masked:
            names = tokenizer.convert_ids_to_tokens(range(model.config.vocab_size))
            self.class_names = [name or f"no token, id {i}" for i, name in enumerate(names)]  # padded vocabularies
        else:
            self.class_names = [model.config.id2label[i] for i in range(model.config.num_labels)]
        self._embeddings = model.bert.embeddings
        self._boxes: dict[int, Box] = {}
        self._reach = 0  # tokens of the longest text encoded yet

    @classmethod
    def load(
        cls,
        name: str | Path = "bert-sentiment",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> BertAdapter:
        """Load a BERT by bundled name, local folder or hub id, onto a device and in a precision.

        Raises:
            ModelNotFoundError: there is no such model, or the hub cannot be reached.
            ValueError: the model is no BERT, has another head, or the precision is too low for walks.
        """
        config = load_pretrained(AutoConfig, name)
        head = (config.architectures or ["none"])[0]
        if config.model_type != "bert" or head not in HEADS:
            raise ValueError(
                f"name={str(name)!r}: is a {config.model_type!r} model with head {head!r}, wanted a 'bert' with one "
                f"of {', '.join(HEADS)}"
            )
        if head == "BertForSequenceClassification" and (
            config.num_labels < 2 or config.problem_type not in (None, "single_label_classification")
        ):
            raise ValueError(
                f"name={str(name)!r}: scores {config.num_labels} label(s) as {config.problem_type!r}, wanted a choice "
                "of one among two classes or more"
            )
        return cls(str(name), load_model(HEADS[head], name, device, dtype), load_pretrained(AutoTokenizer, name))

    def token_ids(self, text: str) -> list[int]:
        """Tokenise a text, special tokens included.

        Raises:
            ValueError: nothing in it, more tokens than the model has positions, or, for a masked-word model, not
                exactly one [MASK].
        """
        ids = super().token_ids(text)
        masks = ids.count(self.tokenizer.mask_token_id)
        if self.masked and masks != 1:
            raise ValueError(f"raw={text!r}: has {masks} {self.tokenizer.mask_token}, wanted exactly one")
        return ids

    def encode(self, raw: str) -> Tensor:
        """Turn a text into a point (tokens, d_model); its tokens are ``part_names`` until the next text is encoded.

        Raises:
            ValueError: as ``token_ids``.
        """
        point = super().encode(raw)
        self._reach = max(self._reach, len(point))
        return point

    def continues(self, token: int) -> bool:
        """Say whether a token goes on with the word before it."""
        return self.tokenizer.convert_ids_to_tokens(token).startswith("##")

    @torch.no_grad()
    def embed(self, ids: list[int] | Tensor) -> Tensor:
        """Return the embedding layer's output (..., tokens, d_model) for token ids (..., tokens)."""
        rows = torch.as_tensor(ids, device=self.model.device)
        return self._embeddings(input_ids=rows.reshape(-1, rows.shape[-1])).reshape(*rows.shape, self.d_model)

    @torch.no_grad()
    def likely_ids(self, point: Tensor) -> list[int]:
        """Return for each row of a point the word that the masked-word head finds most probable there.

        Raises:
            ValueError: the model has another head.
        """
        if not self.masked:
            raise ValueError(f"{self.name}: has no masked-word head to read with")
        return self.model.cls(self._encoded(point))[0].argmax(-1).tolist()

    @torch.no_grad()
    def vocabulary_at(self, position: int) -> Tensor:
        """Embeddings of every token at a position, (vocabulary, d_model)."""
        part = self._embeddings
        words = part.word_embeddings.weight + part.token_type_embeddings.weight[0]
        return part.LayerNorm(words + part.position_embeddings.weight[position])  # in the order in which ``embed`` adds

    def movable(self, point: Tensor) -> list[int]:
        """Say which parts of a point move unless others are asked for: all but special tokens."""
        special = self._special(point)
        return [i for i in range(len(point)) if i not in special]

    def log_probabilities(self, point: Tensor) -> Tensor:
        """Log-probabilities of the classes (k,), or of the words at the one [MASK], of one whole point."""
        return self.whole_map(point)(point)

    def whole_map(self, point: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points around this one, with [MASK] where it is in this one.

        Raises:
            ValueError: a masked-word model and not exactly one row that is [MASK]'s own embedding.
        """
        if not self.masked:
            return self._classify
        mask_token = self.tokenizer.mask_token
        masks = [i for i, token in self._special(point).items() if token == self.tokenizer.mask_token_id]
        if len(masks) != 1:
            raise ValueError(
                f"point: {len(masks)} of its rows are {mask_token}, wanted one; take the map at the text's own point"
            )
        return partial(self._fill, mask=masks[0])

    def bounds(self) -> Box:
        """Return the feasible box (d_model,): what any token reaches at any position of the longest text encoded yet.

        Source: arXiv 2410.06019, the projection step of Algorithm 1, for one-hot inputs and a normalised embedding.
        """
        length = self._reach or self.longest
        if length not in self._boxes:
            low, high = zip(*(self.vocabulary_at(i).aminmax(dim=0) for i in range(length)), strict=True)
            self._boxes[length] = Box(torch.stack(low).amin(0), torch.stack(high).amax(0))
        return self._boxes[length]

    def _encoded(self, point: Tensor) -> Tensor:
        """Run the layers on one whole point: (1, tokens, d_model)."""
        hidden = point[None]
        for layer in self.model.bert.encoder.layer:
            hidden = layer(hidden)
        return hidden

    def _classify(self, point: Tensor) -> Tensor:
        return self.model.classifier(self.model.bert.pooler(self._encoded(point)))[0].log_softmax(-1)

    def _fill(self, point: Tensor, mask: int) -> Tensor:
        return self.model.cls(self._encoded(point)[:, mask])[0].log_softmax(-1)

    @torch.no_grad()
    def _special(self, point: Tensor) -> dict[int, int]:
        """Find the rows that are a special token's own embedding at their position: index -> token."""
        found = {}
        for token in self.tokenizer.all_special_ids:
            same = (self.embed([token] * len(point)) - point).abs().amax(1) <= SAME
            found |= dict.fromkeys(same.nonzero()[:, 0].tolist(), token)
        return found
