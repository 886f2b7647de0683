"""GPT-2 as a map from its word embeddings to the next word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoTokenizer, GPT2LMHeadModel

from helpers.adapters.text import TextAdapter
from helpers.geometry import Box
from helpers.resources import load_config, load_model, load_pretrained

NEXT_TARGET = 10  # number of next words that maps distinguish by default, as for the paper's masked words


@dataclass(frozen=True, eq=False)
class Trace:
    """The values inside a GPT-2 on a text, layer by layer.

    Attributes:
        states: residual stream after each layer, (n_layers, tokens, d_model).
        neurons: activation of each feed-forward neuron, (n_layers, tokens, d_mlp).
        subheads: coefficient of each row of W_O, the attended values head by head, (n_layers, tokens, d_model).
    """

    states: Tensor
    neurons: Tensor
    subheads: Tensor


class GPT2Adapter(TextAdapter):
    """A Hugging Face GPT-2 as a map from its word embeddings to the next word; positions are added inside.

    A point has one row per token, the token's row of W_E; every position has the same vocabulary. The classes are the
    words that may follow the last token; maps distinguish the ten most probable ones by default.
    """

    model: GPT2LMHeadModel
    default_target = NEXT_TARGET

    def __init__(self, name: str, model: GPT2LMHeadModel, tokenizer: Any):
        super().__init__(name, model, tokenizer)
        self.class_names = self.item_names

    @classmethod
    def load(
        cls, name: str | Path = "gpt2-reviews", device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> GPT2Adapter:
        """Load a GPT-2 by bundled name, local folder or hub id, onto a device and in a precision.

        Raises:
            ModelNotFoundError: no such model exists, or the hub cannot be reached.
            ValueError: the model is no GPT-2 that predicts words, or the precision is too low for walks.
        """
        load_config(name, {"gpt2": ["GPT2LMHeadModel"]})
        return cls(str(name), load_model(GPT2LMHeadModel, name, device, dtype), load_pretrained(AutoTokenizer, name))

    @torch.no_grad()
    def embed(self, ids: Sequence[int] | Int[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch tokens d_model"]:
        """Return the rows of W_E for token ids."""
        return self.model.transformer.wte(torch.as_tensor(ids, device=self.model.device))

    def vocabulary_at(self, position: int) -> Float[Tensor, "d_vocab d_model"]:
        """Return the embeddings of every token, which are the same at every position."""
        return self.model.transformer.wte.weight

    def bounds(self, point: Float[Tensor, "tokens d_model"]) -> Box:
        """Return the feasible box (d_model,): the range of all tokens' embeddings."""
        embeddings = self.vocabulary_at(0)
        return Box(embeddings.amin(0), embeddings.amax(0))

    def log_probabilities(self, point: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " d_vocab"]:
        """Return the log-probabilities of the word that follows a whole point."""
        return self.unembed(self.final_state(point)).log_softmax(-1)

    def final_state(self, point: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " d_model"]:
        """Return the state of the last token after the final layer norm, from which the next word is predicted."""
        body = self.model.transformer
        hidden = (point + body.wpe.weight[: len(point)])[None]
        visible = torch.ones(len(point), len(point), dtype=torch.bool, device=point.device).tril()
        mask = torch.zeros_like(visible, dtype=point.dtype).masked_fill(~visible, torch.finfo(point.dtype).min)
        for block in body.h:
            hidden = block(hidden, attention_mask=mask)
        return body.ln_f(hidden[0, -1])

    def unembed(self, state: Float[Tensor, " d_model"]) -> Float[Tensor, " d_vocab"]:
        """Return the logits of a final state."""
        return self.model.lm_head(state)

    @torch.no_grad()
    def trace(self, text: str) -> Trace:
        """Run a text and record the values inside each layer; errors as in ``token_ids``."""
        ids = torch.tensor([self.token_ids(text)], device=self.model.device)
        states: list[Tensor] = []
        neurons: list[Tensor] = []
        subheads: list[Tensor] = []
        hooks = []
        for block in self.model.transformer.h:
            hooks.append(block.register_forward_hook(lambda _module, _inputs, output: states.append(output[0])))
            for part, values in (("mlp.c_proj", neurons), ("attn.c_proj", subheads)):
                hooks.append(block.get_submodule(part).register_forward_pre_hook(_record_input(values)))
        try:
            self.model(input_ids=ids)
        finally:
            for hook in hooks:
                hook.remove()
        return Trace(torch.stack(states), torch.stack(neurons), torch.stack(subheads))


def _record_input(values: list[Tensor]) -> Callable[[torch.nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that appends a module's input on the one text of a batch to a list."""

    def record(_module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values.append(inputs[0][0])

    return record
