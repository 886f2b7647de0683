"""Load the weights of a model by bundled name, folder or hub id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig

from helpers.resources import (
    COUNTS,
    MEAN_POOLING,
    ModelNotFoundError,
    label_names,
    load_pretrained,
    load_tokenizer,
    resolve,
)
from helpers.resources.checkpoints import check_settings, refuse_quantized
from helpers.resources.models import check_device
from helpers.weights.base import Weights
from helpers.weights.families import FAMILIES, Family, head_width
from helpers.weights.layer import HEAD_NORMS, NORMS, LayerWeights, to_float32
from helpers.weights.norm import Norm
from helpers.weights.tensors import TensorFiles, strip_prefix


def load_weights(name: str | Path, device: str | torch.device = "cpu", fold: bool = False) -> Weights:
    """Load the parameters of a model for reading; each is read from its file when it is asked for.

    Args:
        name: bundled name, local folder or hub id of a model of one of the ``FAMILIES``, with any head or none.
        device: "cpu", "cuda" or "mps".
        fold: fold the norms into what reads after them; the default is to return views of the parameters.

    Raises:
        ModelNotFoundError: there is no such model, its files are incomplete, or the hub cannot be reached.
        ValueError: another architecture, quantized weights, no such device, or norms that cannot be folded.
    """
    config = load_pretrained(AutoConfig, name)
    family = _family_of(str(name), config)
    check_device(device, torch.float32)
    counts = Path(resolve(name)) / COUNTS
    weights = name_weights(
        str(name),
        config,
        load_pretrained(TensorFiles, name, device=device),
        tokenizer=load_tokenizer(name) if family.embedding else None,
        counts=load_file(counts)["counts"] if counts.is_file() else None,
    )
    return weights.fold_norms() if fold else weights


def name_weights(
    name: str,
    config: PretrainedConfig,
    tensors: Mapping[str, Tensor],
    tokenizer: Any = None,
    counts: Tensor | None = None,
) -> Weights:
    """Give the parameters of a model their names in the field.

    Args:
        name: of the model.
        config: its configuration.
        tensors: its parameters under their names in its files, such as ``model.state_dict()`` of a GPT-2.
        tokenizer: turns texts into its vocabulary items; without one, these have no names.
        counts: occurrences of each item in the training text.

    Raises:
        ModelNotFoundError: a parameter is missing, or the configuration is of a model of another shape.
        ValueError: a configuration that is not supported, or quantized weights.
    """
    family = _family_of(name, config)
    parts = _Parts(name, family, config, strip_prefix(tensors, f"{family.layer.format(0)}.{family.heads[0]}.weight"))
    parts.check()
    embedding = parts.require(f"{family.embedding}.weight") if family.embedding else None
    own_head = parts.get(*(f"{part}.weight" for part in family.unembedding))  # the library ties none that is stored
    mean_pooling = getattr(config, "state_pooling", None) == MEAN_POOLING  # of states before the final norm
    return Weights(
        name=name,
        tokenizer=tokenizer,
        embedding=embedding,
        layers=tuple(parts.layer(i) for i in range(config.num_hidden_layers)),
        unembedding=embedding if own_head is None and getattr(config, "tie_word_embeddings", False) else own_head,
        unembedding_bias=parts.get(*family.unembedding_bias),
        positions=parts.positions(),
        class_weights=parts.get(*(f"{part}.weight" for part in family.classifier)),
        class_bias=parts.get(*(f"{part}.bias" for part in family.classifier)),
        final_norm=None if mean_pooling else parts.norm(family.final_norm),
        embedding_scale=family.embedding_scale(config),
        rotary=None if family.rotary is None else family.rotary(config),
        config=config,
        labels=() if embedding is not None else tuple(label_names(config)),
        counts=counts,
    )


def _family_of(name: str, config: PretrainedConfig) -> Family:
    """Return the family of a configuration; raise an error if it is not supported."""
    if config.model_type not in FAMILIES:
        raise ValueError(f"name={name!r}: is a {config.model_type!r} model, wanted one of {', '.join(FAMILIES)}")
    check_settings(name, config)
    family = FAMILIES[config.model_type]
    if problem := family.unsupported(config):
        raise ValueError(f"name={name!r}: has {problem}, which is not supported; wanted a model without")
    return family


@dataclass(frozen=True)
class _Parts:
    """The parts of a model, found by their names in its files."""

    name: str
    family: Family
    config: PretrainedConfig
    tensors: Mapping[str, Tensor]

    def check(self) -> None:
        """Raise an error for quantized weights, or for layers or heads that are not those of the configuration."""
        for name, tensor in self.tensors.items():
            if name.endswith("weight") and not (tensor.is_floating_point() and tensor.itemsize > 1):
                refuse_quantized(self.name, f"{name} has numbers of the type {tensor.dtype}")
        layer, more = self.family.layer.format(0), f"{self.family.layer.format(self.config.num_hidden_layers)}."
        if extra := next((name for name in self.tensors if name.startswith(more)), ""):
            raise ModelNotFoundError(f"{self.name!r}: its file has more layers than its config.json says: {extra}")
        stored, heads = len(self.map(f"{layer}.{self.family.W_O}")[0]), self.config.num_attention_heads
        if stored != heads * (width := head_width(self.config)):
            raise ModelNotFoundError(
                f"{self.name!r}: all heads are {stored} wide, wanted {heads} times {width} as its config.json says"
            )

    def get(self, *names: str) -> Tensor | None:
        """Return the first tensor that is there under one of the names."""
        return next((self.tensors[name] for name in names if name in self.tensors), None)

    def require(self, name: str) -> Tensor:
        """Return a tensor that every model of the family has."""
        if name not in self.tensors:
            raise ModelNotFoundError(f"{self.name!r} is no complete {self.config.model_type}: it has no {name}")
        return self.tensors[name]

    def map(self, path: str) -> tuple[Tensor, Tensor | None]:
        """Return the matrix of a linear map, (inputs, outputs), and its bias."""
        matrix = self.require(f"{path}.weight")
        return matrix if self.family.inputs_first else matrix.T, self.get(f"{path}.bias")

    def norm(self, path: str) -> Norm | None:
        """Return a norm of the model; None for an empty path."""
        if not path.rpartition(".")[2]:
            return None
        scale, bias, eps = self.require(f"{path}.weight"), self.get(f"{path}.bias"), self.family.eps
        return Norm(
            scale=to_float32(scale) + self.family.scale_offset if self.family.scale_offset else to_float32(scale),
            bias=None if bias is None else to_float32(bias),
            centres=self.family.centres,
            eps=getattr(self.config, eps) if isinstance(eps, str) else eps,
        )

    def positions(self) -> Tensor | None:
        """Return the position embeddings, the first position first."""
        stored = self.get(self.family.positions, f"{self.family.positions}.weight")
        return None if stored is None else stored.flatten(0, -2)[self.family.first_position(self.config) :]

    def heads(self, layer: str) -> dict[str, Tensor]:
        """Return the matrices and biases of queries, keys and values, head by head."""
        maps, d_head = [self.map(f"{layer}.{path}") for path in self.family.heads], head_width(self.config)
        matrices = [part for matrix, _ in maps for part in self.family.split(matrix, d_head)]
        biases = [part for _, bias in maps if bias is not None for part in self.family.split(bias, d_head)]
        named = {f"W_{kind}": matrix.movedim(-2, 0) for kind, matrix in zip("QKV", matrices, strict=True)}
        return named | {f"b_{kind}": bias for kind, bias in zip("QKV", biases, strict=bool(biases))}

    def layer(self, index: int) -> LayerWeights:
        """Return the parameters of a layer."""
        family, path = self.family, self.family.layer.format(index)
        parts: dict[str, Any] = self.heads(path)
        for kind in ("W_O", "W_in", "W_gate", "W_out"):
            if getattr(family, kind):
                parts[kind], parts[kind.replace("W", "b", 1)] = self.map(f"{path}.{getattr(family, kind)}")
        parts["W_O"] = parts["W_O"].unflatten(0, (len(parts["W_Q"]), -1))
        for norm in {*NORMS.values(), *HEAD_NORMS.values()}:
            parts[norm] = self.norm(f"{path}.{getattr(family, norm)}")
        return LayerWeights(**parts)
