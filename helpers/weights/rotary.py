"""Rotary position embeddings: queries and keys turned by angles that grow with their position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding

Rows = Float[Tensor, "n d_head"]
Rotary = Callable[[Rows, int, "int | Int[Tensor, ' n']"], Rows]  # queries or keys, the layer, their positions


def same_in_all_layers(module: Callable[[Any], Any], config: Any) -> Rotary:
    """Return the rotation by the library's module of queries and keys of a model whose layers have the same angles."""
    angles = module(config)
    return lambda rows, layer, positions: _turn(angles, rows, positions)


def by_layer_type(config: Any) -> Rotary:
    """Return the rotation of queries and keys of a model whose local and global layers have angles of their own."""
    angles = Gemma3RotaryEmbedding(config)
    return lambda rows, layer, positions: _turn(angles, rows, positions, config.layer_types[layer])


def _turn(angles: Any, rows: Rows, positions: int | Int[Tensor, " n"], *layer_type: str) -> Rows:
    """Turn coordinate i with coordinate i + rotary / 2; coordinates beyond those that have angles stay."""
    cosines, sines = (each[0] for each in angles(rows, torch.as_tensor(positions).reshape(1, -1), *layer_type))
    first, rest = rows.split([cosines.shape[1], rows.shape[1] - cosines.shape[1]], dim=1)
    lower, upper = first.chunk(2, dim=1)
    return torch.cat([first * cosines + torch.cat([-upper, lower], dim=1) * sines, rest], dim=1)
