"""Names for a Transformer's parameters, whatever the model calls them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from helpers.weights.factored import FactoredMatrix

KINDS = ("W_in", "W_out", "W_Q", "W_K", "W_V", "W_O")
PARTNERS = {"feed-forward (key, value)": ("W_in", "W_out"), "W_V, W_O": ("W_V", "W_O"), "W_Q, W_K": ("W_Q", "W_K")}


@dataclass(frozen=True, eq=False, repr=False)
class LayerWeights:
    """One layer's parameters.

    Attributes:
        W_Q, W_K, W_V: (n_heads, d_model, d_head).
        W_O: (n_heads, d_head, d_model).
        W_in: feed-forward keys, a row a neuron, (d_mlp, d_model).
        W_out: feed-forward values, a row a neuron, (d_mlp, d_model).
        attention_scale, mlp_scale: (d_model,), the scale of the layer norm that stands between the residual stream
            and what attention and feed-forward read; None where none does.
    """

    W_Q: Tensor
    W_K: Tensor
    W_V: Tensor
    W_O: Tensor
    W_in: Tensor
    W_out: Tensor
    attention_scale: Tensor | None = None
    mlp_scale: Tensor | None = None

    def folded(self, final_scale: Tensor | None) -> LayerWeights:
        """Multiply the scales of the layer norms into what reads after them; the final one into what is written."""
        attention, mlp, final = (1 if s is None else s for s in (self.attention_scale, self.mlp_scale, final_scale))
        column = attention if isinstance(attention, int) else attention[:, None]
        return LayerWeights(
            W_Q=self.W_Q * column,
            W_K=self.W_K * column,
            W_V=self.W_V * column,
            W_O=self.W_O * final,
            W_in=self.W_in * mlp,
            W_out=self.W_out * final,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """A model's parameters as views, without copies and without running it.

    Hidden vectors are rows: a head reads x W_Q and adds x W_V W_O to the residual stream.

    Attributes:
        name: what it was loaded as.
        tokenizer: the model's.
        W_E: embeddings, (vocab, d_model); the same tensor turns hidden states into words.
        layers: lowest first.
        classifier: a row a class, (labels, d_model), where the model has a linear one; else None.
        final_scale: of the layer norm before the unembedding, (d_model,); None where there is none.
        counts: how often each token occurs in the training text, (vocab,); None where nobody counted.
        folded: whether the layer norms' scales are multiplied in.

    Source: names as in Elhage et al., "A mathematical framework for transformer circuits", 2021.
    """

    name: str
    tokenizer: Any
    W_E: Tensor
    layers: tuple[LayerWeights, ...]
    classifier: Tensor | None = None
    final_scale: Tensor | None = None
    counts: Tensor | None = None
    folded: bool = False

    @property
    def n_layers(self) -> int:
        """How many layers."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """How many heads a layer has."""
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
        """Neurons a layer."""
        return len(self.layers[0].W_in)

    @property
    def W_U(self) -> Tensor:  # noqa: N802
        """Unembedding, (vocab, d_model): the embeddings themselves."""
        return self.W_E

    def W_in(self, layer: int) -> Tensor:  # noqa: N802
        """Feed-forward keys of a layer, (d_mlp, d_model)."""
        return self._layer(layer).W_in

    def W_out(self, layer: int) -> Tensor:  # noqa: N802
        """Feed-forward values of a layer, (d_mlp, d_model)."""
        return self._layer(layer).W_out

    def W_Q(self, layer: int, head: int) -> Tensor:  # noqa: N802
        """Query matrix of a head, (d_model, d_head)."""
        return self._head("W_Q", layer, head)

    def W_K(self, layer: int, head: int) -> Tensor:  # noqa: N802
        """Key matrix of a head, (d_model, d_head)."""
        return self._head("W_K", layer, head)

    def W_V(self, layer: int, head: int) -> Tensor:  # noqa: N802
        """Value matrix of a head, (d_model, d_head)."""
        return self._head("W_V", layer, head)

    def W_O(self, layer: int, head: int) -> Tensor:  # noqa: N802
        """Output matrix of a head, (d_head, d_model)."""
        return self._head("W_O", layer, head)

    def W_OV(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """W_V W_O of a head, (d_model, d_model): what is written (columns) where something is attended to (rows)."""
        return FactoredMatrix(self.W_V(layer, head), self.W_O(layer, head).T)

    def W_QK(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """W_Q W_K^T of a head, (d_model, d_model): which querying item (rows) attends to which item (columns)."""
        return FactoredMatrix(self.W_Q(layer, head), self.W_K(layer, head))

    def vectors(self, kind: str, layer: int) -> Tensor:
        """List every parameter vector of a kind in a layer, (N, d_model).

        Neurons for W_in and W_out; for W_Q, W_K, W_V and W_O the subheads, head by head: row h * d_head + i of one
        kind is the partner of the same row of its partner.

        Args:
            kind: one of ``KINDS``.
            layer: 0 is the lowest.

        Raises:
            ValueError: for another kind or layer.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
        found = getattr(self._layer(layer), kind)
        if kind in ("W_Q", "W_K", "W_V"):
            return found.transpose(1, 2).reshape(-1, self.d_model)
        return found.reshape(-1, self.d_model)

    def fold_layer_norms(self) -> Weights:
        """Return a copy for reading, with the layer norms' scales multiplied in.

        What reads from the residual stream (W_in, W_Q, W_K, W_V) gets the scale of the norm before it, what writes to
        it (W_out, W_O, the classifier not) that of the final norm, through which it becomes words.
        """
        if self.folded:
            return self
        layers = tuple(layer.folded(self.final_scale) for layer in self.layers)
        return replace(self, layers=layers, folded=True)

    def _layer(self, layer: int) -> LayerWeights:
        if not 0 <= layer < self.n_layers:
            raise ValueError(f"layer={layer}: must be between 0 and {self.n_layers - 1}")
        return self.layers[layer]

    def _head(self, kind: str, layer: int, head: int) -> Tensor:
        heads = getattr(self._layer(layer), kind)
        if not 0 <= head < self.n_heads:
            raise ValueError(f"head={head}: must be between 0 and {self.n_heads - 1}")
        return heads[head]

    def __repr__(self) -> str:
        return (
            f"Weights({self.name}: {self.n_layers} layers, {self.n_heads} heads of {self.d_head}, {self.d_mlp} neurons "
            f"a layer, width {self.d_model}, {len(self.W_E):,} vocabulary items"
            f"{', layer norms folded in' if self.folded else ''})"
        )
