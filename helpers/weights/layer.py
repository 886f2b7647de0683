"""The parameters of one layer: as they are stored, and with norms folded in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.weights.factored import Side
from helpers.weights.norm import Norm

KINDS: dict[str, Side] = {  # kind of parameter vector -> whether it reads from the residual stream or writes to it
    "W_in": "in",
    "W_gate": "in",
    "W_out": "out",
    "W_Q": "in",
    "W_K": "in",
    "W_V": "in",
    "W_O": "out",
}
NORMS = {  # kind -> the norm before what reads, or after what writes
    "W_in": "mlp_norm",
    "W_gate": "mlp_norm",
    "W_out": "mlp_post_norm",
    "W_Q": "attention_norm",
    "W_K": "attention_norm",
    "W_V": "attention_norm",
    "W_O": "attention_post_norm",
}
HEAD_NORMS = {"W_Q": "query_norm", "W_K": "key_norm"}

Bias = Float[Tensor, "*heads width"]
Matrix = Float[Tensor, "*heads rows columns"]


def to_float32(stored: Tensor) -> Tensor:
    """Return what is stored in the data type of all that is computed; a view of it where that is its own."""
    return stored.detach().to(torch.float32)


def pick(name: str, index: int, items: Any, count: int) -> Any:
    """Return the item of one of ``count`` numbers; fewer items than numbers are shared by groups of the same size.

    Raises:
        ValueError: no such number.
    """
    if not (hasattr(index, "__index__") and 0 <= index < count):
        raise ValueError(f"{name}={index!r}: must be between 0 and {count - 1}, and an integer")
    return items[index * len(items) // count]


@dataclass(frozen=True, eq=False, repr=False)
class LayerWeights:
    """The parameters of one layer as views of what is stored, in its own data type; x W + b for a row vector x.

    Attributes:
        W_Q, W_K, W_V, W_O: query, key, value and output matrices; several query heads may share a key and a value.
        W_in, W_gate, W_out: feed-forward keys, gates (None without gates) and values.
        b_Q, b_K, b_V, b_O, b_in, b_gate, b_out: biases; None without one.
        attention_norm, mlp_norm: norms of the residual stream before attention and the feed-forward layer.
        attention_post_norm, mlp_post_norm: norms of what they write; BERT's stand after it is added.
        query_norm, key_norm: norms of each head's queries and keys.
    """

    W_Q: Float[Tensor, "n_heads d_model d_head"]
    W_K: Float[Tensor, "n_kv_heads d_model d_head"]
    W_V: Float[Tensor, "n_kv_heads d_model d_head"]
    W_O: Float[Tensor, "n_heads d_head d_model"]
    W_in: Float[Tensor, "d_model d_mlp"]
    W_out: Float[Tensor, "d_mlp d_model"]
    W_gate: Float[Tensor, "d_model d_mlp"] | None = None
    b_Q: Float[Tensor, "n_heads d_head"] | None = None
    b_K: Float[Tensor, "n_kv_heads d_head"] | None = None
    b_V: Float[Tensor, "n_kv_heads d_head"] | None = None
    b_O: Float[Tensor, " d_model"] | None = None
    b_in: Float[Tensor, " d_mlp"] | None = None
    b_gate: Float[Tensor, " d_mlp"] | None = None
    b_out: Float[Tensor, " d_model"] | None = None
    attention_norm: Norm | None = None
    mlp_norm: Norm | None = None
    attention_post_norm: Norm | None = None
    mlp_post_norm: Norm | None = None
    query_norm: Norm | None = None
    key_norm: Norm | None = None

    def norm_of(self, kind: str) -> Norm | None:
        """Return the norm before what reads, or after what writes."""
        norm: Norm | None = getattr(self, NORMS[kind])
        return norm

    def matrix(self, kind: str, head: int | None = None) -> Matrix:
        """Return the matrices of a kind: of one query head, or all."""
        return to_float32(self._pick(getattr(self, kind), head))

    def bias(self, kind: str, head: int | None = None) -> Bias:
        """Return the bias of a kind, zeros without one: of one query head, or all."""
        stored = getattr(self, kind.replace("W", "b", 1))
        if stored is None:
            matrix = getattr(self, kind)
            width = matrix.shape[-1:] if KINDS[kind] == "out" else (*matrix.shape[:-2], matrix.shape[-1])
            stored = torch.zeros(width, device=matrix.device)
        return to_float32(self._pick(stored, head))

    def _pick(self, items: Tensor, head: int | None) -> Tensor:
        picked: Tensor = items if head is None else pick("head", head, items, len(self.W_Q))
        return picked


@dataclass(frozen=True, eq=False, repr=False)
class FoldedLayer:
    """The parameters of one layer with norms folded in, read like those of ``LayerWeights``.

    Attributes:
        stored: the layer as it is stored.
        centres: whether the mean is taken out of what it writes.
    """

    stored: LayerWeights
    centres: bool

    def matrix(self, kind: str, head: int | None = None) -> Matrix:
        """Return the matrices of a kind: of one query head, or all."""
        matrix, norm = self.stored.matrix(kind, head), self.stored.norm_of(kind)
        if KINDS[kind] == "out":
            return self._fold_written(matrix, norm)
        return self._scale_heads(kind, matrix if norm is None else norm.fold(matrix))

    def bias(self, kind: str, head: int | None = None) -> Bias:
        """Return the bias of a kind; that of the values is zero, because b_O takes it in: attention sums to 1."""
        bias = self.stored.bias(kind, head)
        if kind == "W_V":
            return torch.zeros_like(bias)
        if kind == "W_O":
            values = [self._read_bias("W_V", head) for head in range(len(self.stored.W_O))]
            bias = bias + torch.einsum("hd,hdm->m", torch.stack(values), self.stored.matrix("W_O"))
        if KINDS[kind] == "out":
            return self._fold_written(bias, self.stored.norm_of(kind))
        return self._scale_heads(kind, self._read_bias(kind, head))

    def _read_bias(self, kind: str, head: int | None) -> Bias:
        bias, norm = self.stored.bias(kind, head), self.stored.norm_of(kind)
        return bias if norm is None else norm.fold_bias(bias, self.stored.matrix(kind, head))

    def _scale_heads(self, kind: str, x: Tensor) -> Tensor:
        """Fold the scale of a head's norm into its queries or keys."""
        norm = getattr(self.stored, HEAD_NORMS[kind]) if kind in HEAD_NORMS else None
        return x if norm is None else x * norm.scale

    def _fold_written(self, x: Tensor, norm: Norm | None) -> Tensor:
        """Fold the scale of a norm after the layer into what the layer writes, and take out the mean."""
        scaled = x if norm is None else x * norm.scale
        return scaled - scaled.mean(-1, keepdim=True) if self.centres else scaled
