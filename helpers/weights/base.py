"""The parameters of a Transformer under the field's names, whatever the model calls them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.weights.factored import FactoredMatrix

KINDS = ("W_in", "W_out", "W_Q", "W_K", "W_V", "W_O")  # of parameter vectors
RELATED_KINDS = {  # pairs of kinds whose rows of the same number work together
    "feed-forward (key, value)": ("W_in", "W_out"),
    "W_V, W_O": ("W_V", "W_O"),
    "W_Q, W_K": ("W_Q", "W_K"),
}


Scale = Float[Tensor, " d_model"]  # of a layer norm
HeadReader = Float[Tensor, "d_model d_head"]


@dataclass(frozen=True, eq=False, repr=False)
class LayerWeights:
    """The parameters of one layer.

    Attributes:
        W_Q, W_K, W_V, W_O: query, key, value and output matrix of each head.
        W_in, W_out: feed-forward keys and values, one row per neuron.
        attention_scale, mlp_scale: scales of the layer norms through which attention and the feed-forward layer read
            the residual stream; None without one.
    """

    W_Q: Float[Tensor, "n_heads d_model d_head"]
    W_K: Float[Tensor, "n_heads d_model d_head"]
    W_V: Float[Tensor, "n_heads d_model d_head"]
    W_O: Float[Tensor, "n_heads d_head d_model"]
    W_in: Float[Tensor, "d_mlp d_model"]
    W_out: Float[Tensor, "d_mlp d_model"]
    attention_scale: Scale | None = None
    mlp_scale: Scale | None = None

    def fold_layer_norms(self, final_scale: Scale | None) -> LayerWeights:
        """Multiply the scales of the layer norms into what reads after them, the final scale into what is written."""
        ones = torch.ones_like(self.W_in[0])
        scales = (self.attention_scale, self.mlp_scale, final_scale)
        attention, mlp, final = (ones if scale is None else scale for scale in scales)
        W_Q, W_K, W_V = (matrix * attention[:, None] for matrix in (self.W_Q, self.W_K, self.W_V))
        return LayerWeights(W_Q, W_K, W_V, self.W_O * final, self.W_in * mlp, self.W_out * final)


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """The parameters of a model as views: nothing is copied, and the model is not run.

    Hidden vectors are rows: a head reads x W_Q and adds x W_V W_O to the residual stream.

    Attributes:
        name: the name that the model was loaded by.
        tokenizer: the model's tokenizer.
        W_E: embeddings; the same tensor turns hidden states into words.
        layers: the lowest layer first.
        classifier: one row per label; None if the model has no linear classifier.
        final_scale: scale of the layer norm before the unembedding; None without one.
        counts: occurrences of each token in the training text; None if they are not known.
        folded: True if the scales of the layer norms are multiplied in.

    Source: names as in Elhage et al., "A mathematical framework for transformer circuits", 2021.
    """

    name: str
    tokenizer: Any
    W_E: Float[Tensor, "d_vocab d_model"]
    layers: tuple[LayerWeights, ...]
    classifier: Float[Tensor, "labels d_model"] | None = None
    final_scale: Scale | None = None
    counts: Int[Tensor, " d_vocab"] | None = None
    folded: bool = False

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Number of heads per layer."""
        return len(self.layers[0].W_Q)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.W_E.shape[1]

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.layers[0].W_Q.shape[2]

    @property
    def d_mlp(self) -> int:
        """Number of neurons per layer."""
        return len(self.layers[0].W_in)

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:  # noqa: N802
        """Unembedding matrix: the transposed embeddings."""
        return self.W_E.T

    def W_in(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:  # noqa: N802
        """Feed-forward keys of a layer, one row per neuron."""
        return self._layer(layer).W_in

    def W_out(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:  # noqa: N802
        """Feed-forward values of a layer, one row per neuron."""
        return self._layer(layer).W_out

    def W_Q(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Query matrix of a head."""
        return _pick("head", head, self._layer(layer).W_Q)

    def W_K(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Key matrix of a head."""
        return _pick("head", head, self._layer(layer).W_K)

    def W_V(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Value matrix of a head."""
        return _pick("head", head, self._layer(layer).W_V)

    def W_O(self, layer: int, head: int) -> Float[Tensor, "d_head d_model"]:  # noqa: N802
        """Output matrix of a head."""
        return _pick("head", head, self._layer(layer).W_O)

    def W_OV(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """W_V W_O of a head, (d_model, d_model): what it writes (columns) where it attends to something (rows)."""
        return FactoredMatrix(self.W_V(layer, head), self.W_O(layer, head).T)

    def W_QK(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """W_Q W_K^T of a head, (d_model, d_model): how strongly a query (rows) attends to a key (columns)."""
        return FactoredMatrix(self.W_Q(layer, head), self.W_K(layer, head))

    def vectors(self, kind: str, layer: int) -> Float[Tensor, "vectors d_model"]:
        """List every parameter vector of one kind in a layer.

        Neurons for W_in and W_out; for W_Q, W_K, W_V and W_O the subheads of one head after the other. Row
        h * d_head + i of W_V belongs together with the same row of W_O, and so for W_Q and W_K.

        Raises:
            ValueError: a kind that is not in ``KINDS``, or no such layer.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
        matrices = getattr(self._layer(layer), kind)
        if kind in ("W_Q", "W_K", "W_V"):
            matrices = matrices.transpose(1, 2)
        return matrices.reshape(-1, self.d_model)

    def fold_layer_norms(self) -> Weights:
        """Return a copy for reading, with the scales of the layer norms multiplied in.

        What reads from the residual stream (W_in, W_Q, W_K, W_V) gets the scale of the norm before it. What writes to
        it (W_out, W_O) gets the scale of the final norm, through which it becomes words. The classifier stays.
        """
        if self.folded:
            return self
        layers = tuple(layer.fold_layer_norms(self.final_scale) for layer in self.layers)
        return replace(self, layers=layers, folded=True)

    def _layer(self, layer: int) -> LayerWeights:
        return _pick("layer", layer, self.layers)

    def __repr__(self) -> str:
        return (
            f"Weights({self.name}: {self.n_layers} layers, {self.n_heads} heads of {self.d_head}, {self.d_mlp} neurons "
            f"a layer, width {self.d_model}, {len(self.W_E):,} vocabulary items"
            f"{', layer norms folded in' if self.folded else ''})"
        )


def _pick(name: str, index: int, items: Any) -> Any:
    if not 0 <= index < len(items):
        raise ValueError(f"{name}={index}: must be between 0 and {len(items) - 1}")
    return items[index]
