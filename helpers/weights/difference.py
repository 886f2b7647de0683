"""The difference of two models of one shape: what finetuning, a LoRA or a step of training changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig

from helpers.resources import load_pretrained, load_tokenizer
from helpers.weights.base import Weights
from helpers.weights.factored import FactoredMatrix
from helpers.weights.loading import name_weights
from helpers.weights.tensors import TensorFiles


@dataclass(frozen=True)
class _LayerDifference:
    after: Any
    before: Any

    def matrix(self, *place: Any) -> Tensor:
        difference: Tensor = self.after.matrix(*place) - self.before.matrix(*place)
        return difference

    def bias(self, *place: Any) -> Tensor:
        difference: Tensor = self.after.bias(*place) - self.before.bias(*place)
        return difference


@dataclass(frozen=True, eq=False, repr=False)
class WeightsDifference(Weights):
    """Matrices and biases of one model minus those of another; read, ranked and tested like any weights.

    Items and positions are those of ``before``; a classifier is left out. ``W_OV`` and ``W_QK`` are differences of
    products, not products of differences; their factors have twice the width of a head.
    """

    after: Any = None
    before: Any = None

    def W_OV(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """What the head writes now and did not before."""
        return self._subtract(lambda w: w.W_OV(layer, head))

    def W_QK(self, layer: int, head: int, offset: int = 0) -> FactoredMatrix:  # noqa: N802
        """How much more strongly a query attends to a key; arguments as in ``Weights.W_QK``."""
        return self._subtract(lambda w: w.W_QK(layer, head, offset))

    def fold_norms(self) -> Weights:
        """Return the difference of both models with their norms folded in."""
        return difference(self.after.fold_norms(), self.before.fold_norms())

    def _subtract(self, product: Callable[[Weights], FactoredMatrix]) -> FactoredMatrix:
        after, before = product(self.after), product(self.before)
        left, right = torch.cat([after.left, before.left], 1), torch.cat([after.right, -before.right], 1)
        return FactoredMatrix(left, right, after.sides)

    def _layer(self, layer: int, kind: str = "W_in") -> Any:
        return _LayerDifference(self.after._layer(layer, kind), self.before._layer(layer, kind))


def difference(after: Weights, before: Weights) -> WeightsDifference:
    """Subtract the weights of a model from those of another, such as a finetuned model and what it was made of.

    Of a step of training, ``after`` is ``name_weights`` of the changed parameters.

    Raises:
        ValueError: models of different shapes, or the norms of one of them are folded in.
    """
    shapes = [(w.n_layers, w.n_heads, w.n_kv_heads, w.d_model, w.d_head, w.d_mlp, w.kinds) for w in (after, before)]
    if shapes[0] != shapes[1] or after.folded != before.folded:
        raise ValueError(
            f"after, before: are {after!r} and {before!r}; wanted one shape, and norms folded in both or none"
        )
    after = replace(after, final_norm=before.final_norm)  # a classifier of mean states has none
    parts = {field.name: getattr(before, field.name) for field in fields(Weights)}
    parts["class_weights"] = parts["class_bias"] = None
    parts["name"] = f"{after.name} minus {before.name}"
    return WeightsDifference(**parts, after=after, before=before)


def merge_lora(name: str | Path, folder: str | Path) -> Weights:
    """Load the weights of a model with a LoRA added to them, as the library peft stores one in a folder.

    Raises:
        ValueError: the LoRA changes a matrix that the model does not have.
    """
    config, settings = load_pretrained(AutoConfig, name), json.loads((Path(folder) / "adapter_config.json").read_text())
    tensors, lora = load_pretrained(TensorFiles, name), load_file(Path(folder) / "adapter_model.safetensors")
    scale = settings["lora_alpha"] / settings["r"] ** (0.5 if settings.get("use_rslora") else 1)
    for key in (key for key in lora if ".lora_A." in key):
        path = key.removeprefix("base_model.model.").split(".lora_A.")[0] + ".weight"
        stored = next((each for each in (path, path.partition(".")[2]) if each in tensors), None)
        if stored is None:
            raise ValueError(f"folder={str(folder)!r}: changes {path}, which {name} does not have")
        change = scale * lora[key.replace(".lora_A.", ".lora_B.")].float() @ lora[key].float()
        tensors[stored] = tensors[stored].float() + (change.T if settings.get("fan_in_fan_out") else change)
    return name_weights(f"{name} with {folder}", config, tensors, load_tokenizer(name))
