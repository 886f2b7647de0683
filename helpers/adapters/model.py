"""What adapters of transformers models share: the model runs itself, with the state at one layer replaced."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Float
from torch import Tensor

from helpers.adapters.base import Adapter
from helpers.adapters.block_runs import Inputs
from helpers.adapters.families import FAMILIES, MASKED_WORD, head_of, model_classes, task_of
from helpers.resources import MEAN_POOLING, load_config, load_model


class ModelAdapter(Adapter):
    """A transformers model of one of the families, in evaluation mode.

    Args:
        name: how messages call the model.
        model: the model.

    Attributes:
        task: what the model predicts.
    """

    def __init__(self, name: str, model: Any):
        self.name, self.model = name, model
        self.task = task_of(model)
        self.head = head_of(model.config, self.task)
        self._runner = FAMILIES[model.config.model_type].runner(model)
        self.n_layers, self.dtype = self._runner.n_layers, model.dtype

    @abstractmethod
    def _inputs_like(self, point: Tensor, layer: int, raw: Any) -> Inputs:
        """Return the arguments of a forward pass whose state at a layer will be replaced by such a point."""

    @abstractmethod
    def _read_logits(self, inputs: Inputs) -> tuple[int | None, Callable[[Any], Tensor]]:
        """Return the row that the language head computes, None for all, and how to read the logits of the outputs."""

    def _complete(self, point: Tensor, layer: int) -> Tensor:
        """Turn a point into the whole state at its layer."""
        return point

    def whole_map(
        self, point: Float[Tensor, "parts d_model"], layer: int = 0, raw: Any = None
    ) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points of a layer like this one to all outputs; arguments as in ``output_map``."""
        self._check_layer(layer)
        inputs = self._inputs_like(point, layer, raw)
        row, read = self._read_logits(inputs)
        return lambda state: self.head.to_outputs(
            read(self._runner.output(inputs, layer, self._complete(state, layer), row))
        )

    def state_map(
        self, point: Float[Tensor, "parts d_model"], until: int, layer: int = 0, raw: Any = None
    ) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points of a layer like this one to the whole state at the layer ``until``."""
        inputs = self._inputs_like(point, layer, raw)
        return lambda state: self._runner.state(inputs, until, layer, self._complete(state, layer))[0]


def load_task(name: str | Path, families: Collection[str]) -> tuple[str, str, str]:
    """Return a model's type, the name of its class and its task, from its configuration.

    Raises:
        ModelNotFoundError: no such model exists, or the hub cannot be reached.
        ValueError: an architecture of no such family.
    """
    supported = {family: list(model_classes(family)) for family in families}
    if "bert" in supported:  # its masked-word head is used, its other head is left out
        supported["bert"].append("BertForPreTraining")
    config, head = load_config(name, supported)
    if getattr(config, "state_pooling", None) == MEAN_POOLING:
        raise ValueError(
            f"name={str(name)!r}: classifies by the mean of its states, which the library does not do; use "
            "helpers.stitching.load_classifier"
        )
    if head == "BertForPreTraining":
        return config.model_type, "BertForMaskedLM", MASKED_WORD
    return config.model_type, head, model_classes(config.model_type)[head]


def load_network(name: str | Path, device: str | torch.device, dtype: torch.dtype, families: Collection[str]) -> Any:
    """Load the model itself; errors as in ``load_task`` and ``load_model``."""
    return load_model(getattr(transformers, load_task(name, families)[1]), name, device, dtype)
