"""GPT-2 as a map from its word embeddings to the next word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel

from helpers.adapters.text import TextAdapter
from helpers.geometry import Box
from helpers.resources import load_model, load_pretrained
from helpers.resources.vocabulary_items import token_names

NEXT_TARGET = 10  # next words told apart unless told otherwise


@dataclass(frozen=True, eq=False)
class Trace:
    """What a GPT-2 computes on a text, layer by layer.

    Attributes:
        states: residual stream after each layer, (n_layers, tokens, d_model).
        neurons: how strongly each feed-forward neuron fires, (n_layers, tokens, d_mlp).
        subheads: coefficient of each row of W_O, head by head: attended values, (n_layers, tokens, d_model).
    """

    states: Tensor
    neurons: Tensor
    subheads: Tensor


class GPT2Adapter(TextAdapter):
    """A Hugging Face GPT-2 as a map from its word embeddings, positions added inside, to the next word.

    A point has one row a token, its row of W_E; every position has the same vocabulary. The classes are the words
    that may follow the last token; maps tell the ten most probable apart unless told otherwise.
    """

    def __init__(self, name: str, model: GPT2LMHeadModel, tokenizer):
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.d_model, self.dtype = model.config.n_embd, model.dtype
        self.default_target, self.longest = NEXT_TARGET, model.config.n_positions
        self.part_names: list[str] = []
        self.class_names = token_names(tokenizer, model.config.vocab_size)

    @classmethod
    def load(
        cls, name: str | Path = "gpt2-reviews", device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> GPT2Adapter:
        """Load a GPT-2 by bundled name, local folder or hub id, onto a device and in a precision.

        Raises:
            ModelNotFoundError: there is no such model, or the hub cannot be reached.
            ValueError: the model is no GPT-2 that predicts words, or the precision is too low for walks.
        """
        config = load_pretrained(AutoConfig, name)
        head = (config.architectures or ["none"])[0]
        if head != "GPT2LMHeadModel":
            raise ValueError(f"name={str(name)!r}: is a {config.model_type!r} model with head {head!r}, wanted a GPT-2")
        return cls(str(name), load_model(GPT2LMHeadModel, name, device, dtype), load_pretrained(AutoTokenizer, name))

    @torch.no_grad()
    def embed(self, ids: list[int] | Tensor) -> Tensor:
        """Return the rows of W_E (..., tokens, d_model) for token ids (..., tokens)."""
        return self.model.transformer.wte(torch.as_tensor(ids, device=self.model.device))

    def vocabulary_at(self, position: int) -> Tensor:
        """Embeddings of every token, (vocabulary, d_model), the same at every position."""
        return self.model.transformer.wte.weight

    def continues(self, token: int) -> bool:
        """Say whether a token goes on with the word before it."""
        return self.class_names[token].removeprefix("…").isalpha() and self.class_names[token].startswith("…")

    def names_of(self, ids: Iterable[int]) -> list[str]:
        """Name tokens as they are shown."""
        return [self.class_names[i] for i in ids]

    def bounds(self) -> Box:
        """Return the feasible box (d_model,): what any token reaches."""
        return Box(*self.vocabulary_at(0).aminmax(dim=0))

    def log_probabilities(self, point: Tensor) -> Tensor:
        """Log-probabilities of the next word (vocabulary,) after a whole point (tokens, d_model)."""
        return self.unembed(self.final_state(point)).log_softmax(-1)

    def final_state(self, point: Tensor) -> Tensor:
        """State (d_model,) over the last token from which the next word is read, the final layer norm applied."""
        body = self.model.transformer
        hidden = (point + body.wpe.weight[: len(point)])[None]
        seen = torch.ones(len(point), len(point), dtype=torch.bool, device=point.device).tril()
        mask = torch.zeros_like(seen, dtype=point.dtype).masked_fill(~seen, torch.finfo(point.dtype).min)
        for block in body.h:
            hidden = block(hidden, attention_mask=mask)
        return body.ln_f(hidden[0, -1])

    def unembed(self, state: Tensor) -> Tensor:
        """Logits (vocabulary,) of a final state (d_model,)."""
        return self.model.lm_head(state)

    @torch.no_grad()
    def trace(self, text: str) -> Trace:
        """Run a text and keep what each layer computed."""
        found: dict[str, list[Tensor]] = {"states": [], "neurons": [], "subheads": []}
        body = self.model.transformer
        hooks = [block.register_forward_hook(lambda _, __, out: found["states"].append(out[0])) for block in body.h]
        for block in body.h:
            for name, part in (("neurons", block.mlp.c_proj), ("subheads", block.attn.c_proj)):
                keep = lambda _, given, name=name: found[name].append(given[0][0])  # noqa: E731
                hooks.append(part.register_forward_pre_hook(keep))
        try:
            self.model(input_ids=torch.tensor([self.token_ids(text)], device=self.model.device))
        finally:
            for hook in hooks:
                hook.remove()
        return Trace(**{name: torch.stack(values) for name, values in found.items()})
