"""The parameters of a Transformer under the field's names, whatever the model calls them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from helpers.weights.factored import FactoredMatrix

KINDS = ("W_in", "W_out", "W_Q", "W_K", "W_V", "W_O")  # of parameter vectors
RELATED_KINDS = {  # pairs of kinds whose rows of the same number work together
    "feed-forward (key, value)": ("W_in", "W_out"),
    "W_V, W_O": ("W_V", "W_O"),
    "W_Q, W_K": ("W_Q", "W_K"),
}


@dataclass(frozen=True, eq=False, repr=False)
class LayerWeights:
    """The parameters of one layer.

    Attributes:
        W_Q, W_K, W_V: query, key and value matrix of each head.
        W_O: output matrix of each head.
        W_in: feed-forward keys, one row per neuron.
        W_out: feed-forward values, one row per neuron.
        attention_scale: scale of the layer norm through which attention reads the residual stream; None without one.
        mlp_scale: the same for the feed-forward layer.
    """

    W_Q: Float[Tensor, "n_heads d_model d_head"]
    W_K: Float[Tensor, "n_heads d_model d_head"]
    W_V: Float[Tensor, "n_heads d_model d_head"]
    W_O: Float[Tensor, "n_heads d_head d_model"]
    W_in: Float[Tensor, "d_mlp d_model"]
    W_out: Float[Tensor, "d_mlp d_model"]
    attention_scale: Float[Tensor, " d_model"] | None = None
    mlp_scale: Float[Tensor, " d_model"] | None = None

    def fold_layer_norms(self, final_scale: Float[Tensor, " d_model"] | None) -> LayerWeights:
        """Multiply the scales of the layer norms into what reads after them, the final scale into what is written."""
        ones = self.W_in.new_ones(self.W_in.shape[1])
        scales = (self.attention_scale, self.mlp_scale, final_scale)
        attention, mlp, final = (ones if scale is None else scale for scale in scales)
        return LayerWeights(
            W_Q=self.W_Q * attention[:, None],
            W_K=self.W_K * attention[:, None],
            W_V=self.W_V * attention[:, None],
            W_O=self.W_O * final,
            W_in=self.W_in * mlp,
            W_out=self.W_out * final,
        )


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
    final_scale: Float[Tensor, " d_model"] | None = None
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

    def W_Q(self, layer: int, head: int) -> Float[Tensor, "d_model d_head"]:  # noqa: N802
        """Query matrix of a head."""
        return self._layer(layer).W_Q[self._check_head(head)]

    def W_K(self, layer: int, head: int) -> Float[Tensor, "d_model d_head"]:  # noqa: N802
        """Key matrix of a head."""
        return self._layer(layer).W_K[self._check_head(head)]

    def W_V(self, layer: int, head: int) -> Float[Tensor, "d_model d_head"]:  # noqa: N802
        """Value matrix of a head."""
        return self._layer(layer).W_V[self._check_head(head)]

    def W_O(self, layer: int, head: int) -> Float[Tensor, "d_head d_model"]:  # noqa: N802
        """Output matrix of a head."""
        return self._layer(layer).W_O[self._check_head(head)]

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

        Args:
            kind: one of ``KINDS``.
            layer: 0 is the lowest.

        Raises:
            ValueError: another kind, or no such layer.
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
        if not 0 <= layer < self.n_layers:
            raise ValueError(f"layer={layer}: must be between 0 and {self.n_layers - 1}")
        return self.layers[layer]

    def _check_head(self, head: int) -> int:
        if not 0 <= head < self.n_heads:
            raise ValueError(f"head={head}: must be between 0 and {self.n_heads - 1}")
        return head

    def __repr__(self) -> str:
        return (
            f"Weights({self.name}: {self.n_layers} layers, {self.n_heads} heads of {self.d_head}, {self.d_mlp} neurons "
            f"a layer, width {self.d_model}, {len(self.W_E):,} vocabulary items"
            f"{', layer norms folded in' if self.folded else ''})"
        )
