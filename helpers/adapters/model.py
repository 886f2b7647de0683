"""What adapters of transformers models share: the model runs itself, with the state at one layer replaced."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import transformers
from jaxtyping import Float
from torch import Tensor

from helpers.adapters.base import Adapter, PartsMap, check_indices
from helpers.adapters.block_runs import Inputs
from helpers.adapters.families import FAMILIES, IMAGE_PROMPTS, MASKED_WORD, head_of, model_classes, task_of
from helpers.adapters.heads import LOGITS, Head
from helpers.resources import MEAN_POOLING, load_config, load_model

OTHER_MODELS = "; walk_class walks any function from a tensor to a vector"


class ModelAdapter(Adapter):
    """A transformers model of one of the families, in evaluation mode.

    Args:
        name: how messages call the model.
        model: the model.

    Attributes:
        task: what the model predicts.
        default: the model that ``load`` takes where no name is given.
    """

    default: ClassVar[str] = ""

    def __init__(self, name: str, model: Any):
        self.name, self.model = name, model
        self.task = task_of(model)
        self.head = head_of(model.config, self.task)
        self._runner = FAMILIES[model.config.model_type].runner(model)
        self.n_layers, self.dtype = self._runner.n_layers, model.dtype

    def with_logits(self) -> Self:
        """Return the same model with its logits as outputs; classes that are not in the target have none."""
        adapter = copy.copy(self)
        adapter.head = LOGITS
        return adapter

    def without_head(self, block: int, head: int) -> Self:
        """Return the same model in which an attention head of a block writes nothing; its parameters stay.

        Raises:
            ValueError: no such block; a head that the block does not have is named when the model runs.
        """
        if not 0 <= block < self.n_layers:
            raise ValueError(f"block={block}: must be between 0 and {self.n_layers - 1}")
        adapter = copy.copy(self)
        adapter._runner = self._runner.without_head(block, head)
        return adapter

    @classmethod
    def _choose_name(cls, name: str | Path | None) -> str | Path:
        """Return the name of the model to load; raise a TypeError if the class holds only what others share."""
        if inspect.isabstract(cls):
            raise TypeError(f"{cls.__name__}: is not an adapter by itself; load a model with load_adapter(name)")
        return cls.default if name is None else name

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

    def run_with_attentions(self, point: Float[Tensor, "parts d_model"]) -> tuple[Float[Tensor, " k"], Any]:
        """Run the model on a point of layer 0; return the logits and all that it records, attention maps included."""
        inputs = self._inputs_like(point, 0, None)
        row, read = self._read_logits(inputs)
        record: Any = {"output_attentions": True, "output_hidden_states": True}
        output = self._runner.output({**inputs, **record}, 0, self._complete(point, 0), row)
        return read(output), output

    def state_map(
        self, point: Float[Tensor, "parts d_model"], until: int, layer: int = 0, raw: Any = None
    ) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points of a layer like this one to the whole state at the layer ``until``."""
        inputs = self._inputs_like(point, layer, raw)
        return lambda state: self._runner.state(inputs, until, layer, self._complete(state, layer))[0]

    def hidden_map(self, point: Tensor, until: int, rows: Sequence[int], layer: int = 0, raw: Any = None) -> PartsMap:
        """Return the map from a point to chosen rows of the state at a later layer, ``until``.

        A walk on it holds these hidden states, and so all that the model computes from them alone. Row 0 is [CLS] in
        encoders and most image models; -1 is the last token, from which a causal model predicts the next word. The
        parts of the point move that move by default; layer and raw are as in ``output_map``.

        Raises:
            ValueError: as in ``output_map``, or no later layer or no such row.
        """
        self.check_point(point, layer)
        if not layer < until <= self.n_layers:
            raise ValueError(
                f"until={until}: must be a later layer than that of the point, {layer}, and at most {self.n_layers}"
            )
        held = f"coordinates of the state at layer {until}"
        return self._hold_rows(self.state_map(point, until, layer, raw), point, rows, layer, held)

    def head_map(self, point: Tensor, head: int, rows: Sequence[int], layer: int = 0, raw: Any = None) -> PartsMap:
        """Return the map from a point of a layer to the output of an attention head, of the block that it enters.

        The output is the mean of the head's values, weighted by its attention, in the chosen rows; it has d_head
        coordinates a row. Other arguments and errors are as in ``hidden_map``.

        Raises:
            ValueError: no such head, or attention that runs in windows, as in Swin.
        """
        self.check_point(point, layer)
        if layer == self.n_layers:
            raise ValueError(f"layer={layer}: no block follows it; heads are in blocks 0 to {self.n_layers - 1}")
        inputs = self._inputs_like(point, layer, raw)

        def whole(state: Tensor) -> Tensor:
            return self._runner.head_output(inputs, layer, self._complete(state, layer), head)

        return self._hold_rows(whole, point, rows, layer, f"output of head {head} in block {layer}")

    @torch.no_grad()
    def _hold_rows(
        self, whole: Callable[[Tensor], Tensor], point: Tensor, rows: Sequence[int], layer: int, held: str
    ) -> PartsMap:
        """Return the map to chosen rows of what a map computes from a whole point."""
        state = whole(point)
        chosen = check_indices("rows", rows, len(state))
        names = tuple(f"row {row}, coordinate {i}" for row in chosen for i in range(state.shape[1]))
        head = Head(held, torch.flatten, is_logarithmic=False)
        parts = tuple(self.movable_parts(point, layer))
        return PartsMap(
            lambda moved: whole(moved)[chosen].flatten(), point.detach().clone(), parts, names, None, head, layer
        )


def load_task(name: str | Path, families: Collection[str]) -> tuple[str, str, str]:
    """Return a model's type, the name of its class and its task, from its configuration.

    Raises:
        ModelNotFoundError: no such model exists, or the hub cannot be reached.
        ValueError: an architecture of no such family.
    """
    supported = {family: list(model_classes(family)) for family in FAMILIES if family in families}
    if "bert" in supported:  # its masked-word head is used, its other head is left out
        supported["bert"].append("BertForPreTraining")
    config, head = load_config(name, supported, OTHER_MODELS)
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


def check_prompts(name: str | Path, model_type: str, task: str, prompts: Sequence[str] | None) -> None:
    """Raise a ValueError unless a model of images and texts has prompts to compare, and another model has none."""
    if task != IMAGE_PROMPTS:
        if prompts is not None:
            raise ValueError(f"prompts={prompts!r}: {str(name)!r} is no model of images and texts; leave them out")
        return
    example = f"such as load_adapter({str(name)!r}, prompts=['a cat', 'a dog'])"
    if prompts is None:
        raise ValueError(f"prompts=None: {str(name)!r} takes texts that describe the classes, {example}")
    if isinstance(prompts, str) or not prompts or not all(isinstance(text, str) and text.strip() for text in prompts):
        raise ValueError(f"prompts={prompts!r}: wanted a list of texts that describe the classes, {example}")
    if len(prompts) == 1 and model_type != "siglip":  # SigLIP judges each text by itself
        raise ValueError(f"prompts={prompts!r}: one class has probability 1 whatever the image; wanted more, {example}")
