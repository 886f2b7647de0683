"""The library's own model run on random states, layer by layer: what a certificate compares with."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from helpers.equivalence import create_generator
from helpers.resources import MEAN_POOLING, load_model
from helpers.weights.base import Weights
from helpers.weights.families import FAMILIES, Family
from helpers.weights.loading import load_weights

TOKENS = 6  # random states per layer of a model of texts, or as many as its local attention sees

States = Float[Tensor, "tokens d_model"]


@dataclass
class LayerRecord:
    """What a layer of a model reads and writes on random states.

    Attributes:
        patterns: how much each token attends to each other, per head, (n_heads, tokens, tokens).
        states: the random states at its entry; mlp_input: those that its feed-forward layer reads.
        attention, mlp: what its two parts write.
        output: states at its exit.
    """

    patterns: Tensor = field(init=False)
    states: States = field(init=False)
    mlp_input: States = field(init=False)
    attention: States = field(init=False)
    mlp: States = field(init=False)
    output: States = field(init=False)


@dataclass(frozen=True)
class ReferenceModel:
    """A whole model of transformers in float32, and its family, which knows the names of its modules."""

    model: PreTrainedModel
    family: Family

    @classmethod
    def load(cls, w: Weights) -> ReferenceModel:
        """Load the model that weights are read from, onto the same device."""
        architecture = (w.config.architectures or [_body_class(w)])[0]
        return cls(load_model(getattr(transformers, architecture), w.name, w.device), FAMILIES[w.config.model_type])

    @torch.no_grad()
    def run(self, seed: int) -> list[LayerRecord]:
        """Run every layer on random states of its own; the lowest layer first."""
        generator = create_generator(seed)
        records = [LayerRecord() for _ in range(self.model.config.num_hidden_layers)]
        with ExitStack() as stack:
            for index, record in enumerate(records):
                for hook in self._record_layer(index, record, generator):
                    stack.callback(hook.remove)
            patterns = self.model.base_model(**self._any_input(), output_attentions=True).attentions
        for record, pattern in zip(records, patterns, strict=True):
            record.patterns = pattern[0]
        return records

    @torch.no_grad()
    def logits(self, states: States) -> Tensor | None:
        """Map states before the final norm to logits, by the model's own modules; None if it has no such head.

        They are those of classes if the model has a linear classifier of hidden states.
        """
        family, modules = self.family, dict(self.model.named_modules())
        if family.final_norm and getattr(self.model.config, "state_pooling", None) != MEAN_POOLING:
            states = self.model.base_model.get_submodule(family.final_norm)(states)
        heads = [modules.get(name) for name in family.classifier] + [self.model.get_output_embeddings()]
        for head in [*heads, *(modules.get(name) for name in family.unembedding)]:
            if head is not None:
                return torch.as_tensor(head(states))
        embeddings: Any = self.model.get_input_embeddings()
        is_tied = getattr(self.model.config, "tie_word_embeddings", False)
        return torch.nn.functional.linear(states, embeddings.weight) if is_tied else None

    def _any_input(self) -> dict[str, Tensor]:
        """Return an input of the body. No layer sees it, because each gets states of its own."""
        config, device = self.model.config, self.model.device
        windows = (getattr(config, name, None) for name in ("sliding_window", "window_size"))
        if self.family.embedding:
            tokens = min(TOKENS, *(window or TOKENS for window in windows))
            return {"inputs_embeds": torch.zeros(1, tokens, config.hidden_size, device=device)}
        side = config.image_size
        return {"pixel_values": torch.zeros(1, config.num_channels, side, side, device=device)}

    def _record_layer(self, index: int, record: LayerRecord, generator: torch.Generator) -> list[Any]:
        """Hook a layer, so that it gets random states and fills its record; return the hooks."""
        family = self.family

        def module(path: str) -> torch.nn.Module:
            layer = family.module_names.get(family.layer, family.layer).format(index)
            return self.model.base_model.get_submodule(f"{layer}.{family.module_names.get(path, path)}".rstrip("."))

        def enter(_: Any, inputs: tuple, options: dict) -> tuple[tuple, dict]:
            given = inputs[0] if inputs else options["hidden_states"]
            states = torch.randn(given.shape, generator=generator).to(given)
            record.states = states[0]
            return ((states, *inputs[1:]), options) if inputs else (inputs, options | {"hidden_states": states})

        def keep_input(_: Any, inputs: tuple) -> None:
            record.mlp_input = inputs[0].flatten(0, -2)

        def keep(name: str) -> Any:
            return lambda _module, _inputs, output: setattr(record, name, _first(output).flatten(0, -2))

        in_stream = not family.attention_norm  # norms after the layers then stand in the residual stream
        writers = {
            "attention": family.W_O if in_stream else family.attention_post_norm or family.W_O,
            "mlp": family.W_out if in_stream else family.mlp_post_norm or family.W_out,
            "output": "",
        }
        hooks = [module(path).register_forward_hook(keep(name)) for name, path in writers.items()]
        hooks.append(module("").register_forward_pre_hook(enter, with_kwargs=True))
        return [*hooks, module(family.mlp_norm or family.W_in).register_forward_pre_hook(keep_input)]


def _first(output: Any) -> Tensor:
    """Return the states among what a layer returns."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


def _body_class(w: Weights) -> str:
    """Name the library's class of a body without a head."""
    return str(MODEL_MAPPING_NAMES[w.config.model_type])


def list_layers(body: Any) -> Any:
    """Return the modules of a body's layers, the lowest first."""
    return body.get_submodule(FAMILIES[body.config.model_type].layer.removesuffix(".{}"))


def layer_states(body: Any, **inputs: Tensor) -> list[Tensor]:
    """Run a body, and return the states before its first layer and after each layer."""
    states: list[Tensor] = []

    def enter(_: Any, given: tuple, options: dict) -> None:
        states.append(given[0] if given else options["hidden_states"])

    hooks = [list_layers(body)[0].register_forward_pre_hook(enter, with_kwargs=True)]
    hooks += [
        layer.register_forward_hook(lambda _module, _given, output: states.append(_first(output)))
        for layer in list_layers(body)
    ]
    try:
        body(**inputs, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return states


def load_body(name: str | Path, device: str | torch.device = "cpu") -> Any:
    """Load the embeddings and layers of a model of texts, such as a GPT-2, a Llama or a BERT, without a head.

    A head that is not tied to the embeddings is kept as ``item_rows``: it reads what the layers write. The names of the
    vocabulary items are kept as ``item_names``.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    w = load_weights(name)
    body: Any = load_model(getattr(transformers, _body_class(w)), name, device)
    if w.unembedding is not None and w.unembedding is not w.embedding:
        body.item_rows = w.unembedding.to(device)
    body.item_names = w.item_names
    return body
