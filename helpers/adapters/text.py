"""What adapters of language models share: tokens are parts, and words have embeddings at each position."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.adapters.base import check_indices
from helpers.adapters.block_runs import Inputs
from helpers.adapters.families import FAMILIES, MASKED_WORD, NEXT_WORD, TOKEN_CLASSES
from helpers.adapters.model import ModelAdapter, load_network
from helpers.adapters.tokenizers import character_test, count_positions, find_own_tokens, position_table
from helpers.geometry import Box, check_floating
from helpers.resources import label_names, load_tokenizer, token_names

SAME_EMBEDDING = 1e-4  # a row counts as a token's embedding if no coordinate differs by more; float32 differs by 1e-6
Text = str | Sequence[str]  # a text, or a pair of texts


class TextAdapter(ModelAdapter):
    """A language model as a map from its embeddings; a point of layer 0 has one row per token.

    A point that comes from a text determines its tokens: see ``ids_of``. Special tokens, [MASK] among them, do not
    move unless they are named in ``parts``. At later layers all parts move by default.

    Args:
        name: how messages call the model.
        model: a transformers model of one of the families, in evaluation mode.
        tokenizer: the checkpoint's own tokenizer.

    Attributes:
        item_names: one name per item of the vocabulary, as it is shown; "…ness" continues a word.
        max_tokens: largest number of tokens that the model takes.
        text_tokens: the slice of a text's own tokens among all that the tokenizer returns.
        position: the token whose labels are the outputs, for models that label every token; see ``at``.
    """

    families: ClassVar[Collection[str]] = FAMILIES

    def __init__(self, name: str, model: Any, tokenizer: Any):
        super().__init__(name, model)
        self.tokenizer = tokenizer
        self.vocab_size: int = model.get_input_embeddings().weight.shape[0]
        self.max_tokens = count_positions(model, tokenizer)
        self.item_names = token_names(tokenizer, self.vocab_size)
        self.class_names = self.item_names if self.task in (MASKED_WORD, NEXT_WORD) else label_names(model.config)
        self.position: int | None = None
        self.text_tokens = find_own_tokens(tokenizer)
        padding = [] if model.config.pad_token_id is None else [model.config.pad_token_id]
        special_ids = dict.fromkeys(tokenizer.all_special_ids + padding)
        self._special_ids = torch.tensor([i for i in special_ids if 0 <= i < self.vocab_size], dtype=torch.long)
        self._takes_segments = "token_type_ids" in tokenizer.model_input_names and (
            "token_type_ids" in inspect.signature(model.forward).parameters
        )
        self._reads_character = character_test(tokenizer)
        self._ordinary_id = next(i for i in range(self.vocab_size) if i not in self._special_ids.tolist())
        self.d_model = self.embed([self._ordinary_id]).shape[-1]

    @classmethod
    def load(
        cls, name: str | Path | None = None, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load a language model with its own tokenizer; arguments and errors as in ``load_adapter``."""
        name = cls._choose_name(name)
        model = load_network(name, device, dtype, cls.families)
        model.config.use_cache = False  # a walk never continues a text, and a cache breaks batched passes
        return cls(str(name), model, load_tokenizer(name))

    def at(self, position: int) -> Self:
        """Return the same model with the labels of the token at a position as its outputs."""
        if self.task != TOKEN_CLASSES:
            raise ValueError(f"position={position}: {self.name} does not label every token, so it has no choice of one")
        adapter = copy.copy(self)
        (adapter.position,) = check_indices("position", [position], self.max_tokens)
        adapter.head = replace(self.head, held=f"{self.head.held} of token {adapter.position}")
        return adapter

    @abstractmethod
    def vocabulary_at(self, position: int, segment: int = 0) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token at a position, in the first or second text of a pair."""

    @abstractmethod
    def bounds(self, point: Float[Tensor, "tokens d_model"]) -> Box:
        """Return the feasible box (d_model,): the range of all tokens' embeddings at all positions of this point.

        Source: arXiv 2410.06019, the projection step of Algorithm 1, for one-hot inputs.
        """

    @abstractmethod
    def _nearest_tokens(self, points: Float[Tensor, "*batch tokens d_model"]) -> Int[Tensor, "*batch tokens"]:
        """Return for each row of points the token whose embedding at that position is nearest by cosine."""

    @torch.no_grad()
    def embed(
        self,
        ids: Sequence[int] | Int[Tensor, "*batch tokens"],
        segments: Sequence[int] | Int[Tensor, " tokens"] | None = None,
    ) -> Float[Tensor, "*batch tokens d_model"]:
        """Return the points of layer 0 for token ids, and for the segment of each token in a pair of texts."""
        rows = torch.as_tensor(ids, device=self.model.device)
        flat = rows.reshape(-1, rows.shape[-1])
        states = self._runner.state(self._inputs(flat, segments), 0)
        return states.reshape(*rows.shape, states.shape[-1])

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

    def token_ids(self, text: Text) -> list[int]:
        """Tokenize a text or a pair of texts, special tokens included.

        Raises:
            ValueError: an empty text, characters that the tokenizer does not know, or more tokens than the model has
                positions; for a masked-word model also anything but exactly one [MASK].
        """
        return self._tokenize(text)[0]

    def tokens(self, text: Text) -> list[str]:
        """Name the tokens of a text, special ones included; errors as in ``token_ids``."""
        return self.names_of(self.token_ids(text))

    @torch.no_grad()
    def encode(self, raw: Text, layer: int = 0) -> Float[Tensor, "tokens d_model"]:
        """Turn a text or a pair of texts into a point, the state at a layer; errors as in ``token_ids``."""
        self._check_layer(layer)
        ids, segments = self._tokenize(raw)
        inputs = self._inputs(torch.tensor([ids], device=self.model.device), segments)
        return self._runner.state(inputs, layer)[0]

    def decode(self, point: Float[Tensor, "*batch tokens d_model"]) -> str | tuple[str, str] | list[Any]:
        """Turn points of layer 0 into texts, or pairs of texts: at each position the token with the nearest embedding.

        The points of a walk in which some parts stay fixed are completed by ``f.complete``.
        """
        if point.shape[-1] != self.d_model:
            raise ValueError(f"point: has rows of width {point.shape[-1]}, those of layer 0 have {self.d_model}")
        ids = self._nearest_tokens(point)
        segments = self.segments_of(point.reshape(-1, *point.shape[-2:])[0])
        texts = [self._join_tokens(row, segments) for row in ids.reshape(-1, ids.shape[-1]).tolist()]
        return texts if ids.ndim > 1 else texts[0]

    def _join_tokens(self, ids: list[int], segments: list[int]) -> str | tuple[str, str]:
        """Turn token ids into a text or a pair, without the special tokens that the tokenizer puts around texts."""
        if any(segments):
            start, special = segments.index(1), self._special_ids.tolist()
            halves = ([i for i in half if i not in special] for half in (ids[:start], ids[start:]))
            first, second = map(self.tokenizer.decode, halves)
            return first, second
        own = range(len(ids))[self.text_tokens]
        ends = {token for place, token in enumerate(ids) if place not in own}
        return self.tokenizer.decode(ids[self.text_tokens] if ends <= set(self._special_ids.tolist()) else ids)

    def nearest_ids(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return for each row of a point the token whose embedding at that position is nearest by cosine."""
        return self._nearest_tokens(point).tolist()

    def ids_of(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return the token ids of the text whose embeddings a point of layer 0 is.

        Raises:
            ValueError: some rows are no token's embedding, because the point was moved; ``nearest_ids`` names the
                tokens nearest to such a point.
        """
        ids = self._nearest_tokens(point)
        distances = (self.embed(ids, self.segments_of(point)) - point).abs().amax(-1)
        moved = (distances > SAME_EMBEDDING).nonzero().flatten().tolist()
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
        return self.embed(self._nearest_tokens(points), self.segments_of(points[0]))

    def input_changes(self, points: Float[Tensor, "n tokens d_model"]) -> Float[Tensor, " steps"]:
        """Return how many tokens differ between each two successive points of texts."""
        return (points[1:] != points[:-1]).any(-1).sum(-1).double().cpu()

    def segments_of(self, point: Float[Tensor, "tokens d_model"]) -> list[int]:
        """Return for each row of a point whether it belongs to the first text (0) or to the second of a pair (1)."""
        special = self._special_tokens(point) if self._n_segments > 1 else {}
        second = [position for position, (_, segment) in special.items() if segment == 1]
        if not second:
            return [0] * len(point)
        start = max((i for i, (_, segment) in special.items() if segment == 0 and i < min(second)), default=-1) + 1
        return [int(start <= i <= max(second)) for i in range(len(point))]

    def movable_parts(self, point: Float[Tensor, "tokens d_model"], layer: int = 0) -> list[int]:
        """List the parts of a point that may move by default: at layer 0 all but special tokens."""
        special = self._special_tokens(point) if layer == 0 else {}
        return [i for i in range(len(point)) if i not in special]

    def check_point(self, point: Tensor, layer: int = 0) -> None:
        """Raise a ValueError unless a point has a row per token, the layer's width and precision, and is finite."""
        self._check_layer(layer)
        width = self.d_model if layer == 0 else self.model.config.hidden_size
        check_floating(point)
        if point.ndim != 2 or not 1 <= len(point) <= self.max_tokens:
            raise ValueError(
                f"point: has shape {tuple(point.shape)}, wanted (tokens, {width}), one row per token, "
                f"at most {self.max_tokens}"
            )
        self._check_rows(point, len(point), width)

    @property
    def _n_segments(self) -> int:
        """Number of segments that the embeddings distinguish: 2 where they mark the second text of a pair."""
        return (getattr(self.model.config, "type_vocab_size", 0) or 1) if self._takes_segments else 1

    def _tokenize(self, text: Text) -> tuple[list[int], list[int] | None]:
        """Tokenize a text or a pair; returns ids and segments, None where the model has no segments."""
        texts = [text] if isinstance(text, str) else text
        is_text = isinstance(texts, (list, tuple)) and len(texts) in (1, 2)
        if not is_text or not all(isinstance(part, str) and part.strip() for part in texts):
            raise ValueError(
                f"raw={text!r}: must be one text with at least one word, or a pair of texts that the model reads "
                "together; encode several inputs one by one"
            )
        self._check_characters(texts)
        encoded = self.tokenizer(*texts, verbose=False)
        ids = encoded["input_ids"]
        if not ids:
            raise ValueError(f"raw={text!r}: has no character that the tokenizer of {self.name} reads")
        if len(ids) > self.max_tokens:
            raise ValueError(f"raw: has {len(ids)} tokens, {self.name} takes at most {self.max_tokens}; shorten it")
        if max(ids) >= self.vocab_size:
            raise ValueError(
                f"raw: has token {max(ids)}, {self.name} has {self.vocab_size} embeddings; its tokenizer is another's"
            )
        has_padding_position = getattr(position_table(self.model), "padding_idx", None) is not None
        if has_padding_position and self.model.config.pad_token_id in ids:
            raise ValueError(f"raw={text!r}: has the padding token, which {self.name} gives no position of its own")
        if self.task == MASKED_WORD and (count := ids.count(self.tokenizer.mask_token_id)) != 1:
            raise ValueError(f"raw={text!r}: has {count} {self.tokenizer.mask_token}, wanted exactly one")
        return ids, encoded.get("token_type_ids")

    def _check_characters(self, texts: Sequence[str]) -> None:
        """Raise a ValueError if the tokenizer would drop characters of a text for which it has no token."""
        text = "".join(texts)
        for token in self.tokenizer.get_added_vocab():  # such as <|endoftext|>, which is read as one token
            text = text.replace(token, "")
        if dropped := [c for c in dict.fromkeys(text) if not self._reads_character(c)]:
            raise ValueError(
                f"raw={texts!r}: the tokenizer has no token for {', '.join(map(repr, dropped))}; leave these "
                "characters out or write them otherwise"
            )

    def _inputs(self, ids: Int[Tensor, "batch tokens"], segments: Any = None) -> Inputs:
        """Return the arguments of the model's forward pass for token ids without padding."""
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self._takes_segments:
            none = [0] * ids.shape[-1]
            inputs["token_type_ids"] = torch.as_tensor(segments or none, device=ids.device).expand_as(ids)
        return inputs

    def whole_map(self, point: Tensor, layer: int = 0, raw: Text | None = None) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points to all outputs; where these depend on tokens, later layers need the text.

        Raises:
            ValueError: no raw text at a later layer, for a masked-word model or a causal classifier.
        """
        if layer and raw is None and self._output_depends_on_tokens:
            raise ValueError(
                f"raw: is needed at layer {layer}, where the point does not tell which token is masked or padding; "
                "give the text that was encoded"
            )
        return super().whole_map(point, layer, raw)

    def _inputs_like(self, point: Tensor, layer: int, raw: Text | None) -> Inputs:
        """Return the arguments of a forward pass whose state at a layer will be replaced by such a point.

        Only masks, and the places of special tokens, still matter after the point has entered.
        """
        if raw is not None:
            ids, segments = self._tokenize(raw)
            if len(ids) != len(point):
                raise ValueError(f"raw: has {len(ids)} tokens, the point has {len(point)} rows")
            return self._inputs(torch.tensor([ids], device=self.model.device), segments)
        special = self._special_tokens(point) if layer == 0 else {}
        ids = [special[i][0] if i in special else self._ordinary_id for i in range(len(point))]
        return self._inputs(torch.tensor([ids], device=self.model.device))

    @property
    def _output_depends_on_tokens(self) -> bool:
        """True if the row whose output is read depends on the token ids."""
        return self.task == MASKED_WORD

    def _read_logits(self, inputs: Inputs) -> tuple[int | None, Callable[[Any], Tensor]]:
        row = self._output_row(inputs["input_ids"][0].tolist())
        if row is not None and self.model.get_output_embeddings() is not None:
            return row, lambda output: output.logits[0, 0]
        return None, lambda output: output.logits[0] if row is None else output.logits[0, row]

    def _output_row(self, ids: list[int]) -> int | None:
        """Return the row of the logits that holds the outputs; None if a model has one for the whole text."""
        if self.task == NEXT_WORD:
            return len(ids) - 1
        if self.task == TOKEN_CLASSES:
            if self.position is None or not 0 <= self.position < len(ids):
                raise ValueError(
                    f"position={self.position}: {self.name} labels every token; choose one of 0 to {len(ids) - 1} by "
                    "adapter.at(position)"
                )
            return self.position
        if self.task != MASKED_WORD:
            return None
        if (count := ids.count(self.tokenizer.mask_token_id)) != 1:
            raise ValueError(
                f"point: {count} of its rows are {self.tokenizer.mask_token}, wanted one; take the map at the point "
                "that encode returned"
            )
        return ids.index(self.tokenizer.mask_token_id)

    @torch.no_grad()
    def _special_tokens(self, point: Tensor) -> dict[int, tuple[int, int]]:
        """Map the rows of a point that are a special token's embedding there to that token's id and its segment."""
        special: dict[int, tuple[int, int]] = {}
        if not len(self._special_ids):
            return special
        for segment in reversed(range(self._n_segments)):
            embeddings = self.embed(self._special_ids[:, None].expand(-1, len(point)), [segment] * len(point))
            distances, nearest = (embeddings - point).abs().amax(-1).min(0)
            for position in (distances <= SAME_EMBEDDING).nonzero().flatten().tolist():
                special[position] = (int(self._special_ids[int(nearest[position])]), segment)
        return special
