"""GPT-2, and the values inside its layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from helpers.adapters.causal import CausalAdapter


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


class GPT2Adapter(CausalAdapter):
    """A GPT-2 as a map from its word embeddings to the next word, or to the class of a text; see ``CausalAdapter``."""

    families = ("gpt2",)

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
                hooks.append(block.get_submodule(part).register_forward_pre_hook(partial(_record_input, values)))
        try:
            self.model(input_ids=ids)
        finally:
            for hook in hooks:
                hook.remove()
        return Trace(torch.stack(states), torch.stack(neurons), torch.stack(subheads))


def _record_input(values: list[Tensor], _module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Append a module's input on the one text of a batch to a list."""
    values.append(inputs[0][0])
