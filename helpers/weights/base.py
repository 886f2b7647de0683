"""The parameters of a Transformer under the field's names, whatever the model calls them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.resources import token_names
from helpers.weights.factored import FactoredMatrix, Side
from helpers.weights.layer import KINDS, FoldedLayer, LayerWeights, pick, to_float32
from helpers.weights.norm import Norm
from helpers.weights.rotary import Rotary

RELATED_KINDS = {  # pairs of kinds whose rows of the same number work together
    "feed-forward (key, value)": ("W_in", "W_out"),
    "W_V, W_O": ("W_V", "W_O"),
    "W_Q, W_K": ("W_Q", "W_K"),
}

HeadReader = Float[Tensor, "d_model d_head"]


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """The parameters of a model. They are views of what is stored; the model is not run.

    Hidden vectors are rows: a head reads x W_Q and adds x W_V W_O to the residual stream. Matrices are read, turned
    into float32 and folded when they are asked for; nothing else is loaded.

    Attributes:
        name: the name that the model was loaded by.
        tokenizer: the model's tokenizer; None for a model of images.
        embedding, unembedding, positions, class_weights: as stored, one row per item, position or class; or None.
        layers: the lowest layer first, as stored.
        unembedding_bias, class_bias: as stored, one number per item or class; or None.
        final_norm: the norm before the unembedding; None without one.
        embedding_scale: multiplies the embeddings on their way into the residual stream.
        rotary: turns queries and keys by their position; None for other heads.
        config: the model's configuration.
        labels: names of the classes, for a model whose items are classes.
        counts: occurrences of each token in the training text; None if they are not known.
        folded: True if the norms are folded in; see ``fold_norms``.

    Source: names and shapes as in Elhage et al., "A mathematical framework for transformer circuits", 2021, and in
        the library TransformerLens.
    """

    name: str
    tokenizer: Any
    embedding: Float[Tensor, "d_vocab d_model"] | None
    layers: tuple[LayerWeights, ...]
    unembedding: Float[Tensor, "d_vocab d_model"] | None
    positions: Float[Tensor, "positions d_model"] | None = None
    class_weights: Float[Tensor, "labels d_model"] | None = None
    unembedding_bias: Float[Tensor, " d_vocab"] | None = None
    class_bias: Float[Tensor, " labels"] | None = None
    final_norm: Norm | None = None
    embedding_scale: float = 1.0
    rotary: Rotary | None = None
    config: Any = None
    labels: tuple[str, ...] = ()
    counts: Int[Tensor, " d_vocab"] | None = None
    folded: bool = False

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Number of query heads per layer."""
        return len(self.layers[0].W_Q)

    @property
    def n_kv_heads(self) -> int:
        """Number of key and value heads per layer; with fewer than query heads, each is shared by a group of those."""
        return len(self.layers[0].W_K)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.layers[0].W_Q.shape[1]

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.layers[0].W_Q.shape[2]

    @property
    def d_mlp(self) -> int:
        """Number of neurons per layer."""
        return len(self.layers[0].W_out)

    @property
    def d_vocab(self) -> int:
        """Number of vocabulary items, or of classes."""
        table = self.embedding if self.unembedding is None else self.unembedding
        return 0 if table is None else len(table)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.layers[0].W_Q.device

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of parameter vectors of this model: those of ``KINDS``, W_gate only where there are gates."""
        return tuple(kind for kind in KINDS if getattr(self.layers[0], kind) is not None)

    @cached_property
    def item_names(self) -> list[str]:
        """Names of the vocabulary items, or of the classes."""
        if self.tokenizer is None and not self.labels:
            raise ValueError(f"tokenizer: {self.name} has none, which its items take their names from")
        return list(self.labels) if self.tokenizer is None else token_names(self.tokenizer, self.d_vocab)

    @property
    def centres_writers(self) -> bool:
        """Whether the mean of what is written is taken out, which no norm lets through."""
        return self.folded and self.final_norm is not None and self.final_norm.centres

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:  # noqa: N802
        """Embeddings: what each item writes to the residual stream; errors as in ``item_rows``."""
        return self.item_rows("in")

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:  # noqa: N802
        """Unembedding matrix, from hidden states to logits; errors as in ``item_rows``."""
        return self.item_rows("out").T

    def item_rows(self, side: Side, ids: Int[Tensor, " items"] | slice = slice(None)) -> Float[Tensor, "items d_model"]:
        """Return rows of W_E (side "in") or of W_U transposed (side "out"), of all items or some.

        Raises:
            ValueError: the model reads no items, or turns no states into items.
        """
        rows = to_float32(self._table(side)[ids])
        if side == "out":
            return rows if self._norm_to_fold is None else self._norm_to_fold.centre(rows * self._norm_to_fold.scale)
        return self.centre_written(rows if self.embedding_scale == 1 else rows * self.embedding_scale)

    @property
    def b_U(self) -> Float[Tensor, " d_vocab"]:  # noqa: N802
        """Bias of the logits; zeros without one."""
        return self._fold_bias(self.unembedding_bias, to_float32(self._table("out")))

    @property
    def W_pos(self) -> Float[Tensor, "positions d_model"] | None:  # noqa: N802
        """Position embeddings, vectors of the residual stream; None where positions enter in another way."""
        return None if self.positions is None else self.centre_written(to_float32(self.positions))

    @property
    def classifier(self) -> Float[Tensor, "labels d_model"] | None:
        """One row per label, from hidden states to logits of classes; None without a linear classifier."""
        if self.class_weights is None:
            return None
        rows, norm = to_float32(self.class_weights), self._norm_to_fold
        return rows if norm is None else norm.centre(rows * norm.scale)

    @property
    def classifier_bias(self) -> Float[Tensor, " labels"] | None:
        """Bias of the logits of classes; None without a linear classifier."""
        return None if self.class_weights is None else self._fold_bias(self.class_bias, to_float32(self.class_weights))

    def W_in(self, layer: int) -> Float[Tensor, "d_model d_mlp"]:  # noqa: N802
        """Feed-forward keys of a layer, one column per neuron; with gates, what the gate multiplies."""
        return self._matrix("W_in", layer)

    def W_gate(self, layer: int) -> Float[Tensor, "d_model d_mlp"]:  # noqa: N802
        """Gates of a layer, one column per neuron."""
        return self._matrix("W_gate", layer)

    def W_out(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:  # noqa: N802
        """Feed-forward values of a layer, one row per neuron."""
        return self._matrix("W_out", layer)

    def W_Q(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Query matrix of a head."""
        return self._matrix("W_Q", layer, head)

    def W_K(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Key matrix of a query head; a group of heads may share it."""
        return self._matrix("W_K", layer, head)

    def W_V(self, layer: int, head: int) -> HeadReader:  # noqa: N802
        """Value matrix of a query head; a group of heads may share it."""
        return self._matrix("W_V", layer, head)

    def W_O(self, layer: int, head: int) -> Float[Tensor, "d_head d_model"]:  # noqa: N802
        """Output matrix of a head."""
        return self._matrix("W_O", layer, head)

    def W_OV(self, layer: int, head: int) -> FactoredMatrix:  # noqa: N802
        """W_V W_O of a head, (d_model, d_model): what it writes (columns) where it attends to something (rows)."""
        return FactoredMatrix(self.W_V(layer, head), self.W_O(layer, head).T, ("in", "out"))

    def W_QK(self, layer: int, head: int, offset: int = 0) -> FactoredMatrix:  # noqa: N802
        """W_Q W_K^T of a head, (d_model, d_model): how strongly a query (rows) attends to a key (columns).

        Norms of queries and keys (Qwen3, Gemma 3) are left out but for their scale, which is folded in. Where angles
        depend on the length of the text (dynamic scaling), they are those of ``offset`` + 1 tokens.

        Args:
            layer: number of the layer.
            head: number of the query head.
            offset: position of the query minus that of the key, for rotary heads.

        Raises:
            ValueError: no such layer or head, or an offset other than 0 for heads that are not rotary.
        """
        query, key = self.W_Q(layer, head), self.W_K(layer, head)
        if self.rotary is not None:
            query, key = self.rotary(query, layer, offset), self.rotary(key, layer, 0)
        elif offset != 0:
            raise ValueError(f"offset={offset}: must be 0, because the heads of {self.name} are not rotary")
        return FactoredMatrix(query, key, ("in", "in"))

    def b_in(self, layer: int) -> Float[Tensor, " d_mlp"]:
        """Biases of the feed-forward keys; zeros without any, as for all biases below."""
        return self._layer(layer).bias("W_in")

    def b_gate(self, layer: int) -> Float[Tensor, " d_mlp"]:
        """Biases of the gates."""
        return self._layer(layer, "W_gate").bias("W_gate")

    def b_out(self, layer: int) -> Float[Tensor, " d_model"]:
        """Bias that the feed-forward layer writes."""
        return self._layer(layer).bias("W_out")

    def b_Q(self, layer: int, head: int) -> Float[Tensor, " d_head"]:  # noqa: N802
        """Bias of a head's queries."""
        return self._layer(layer).bias("W_Q", head)

    def b_K(self, layer: int, head: int) -> Float[Tensor, " d_head"]:  # noqa: N802
        """Bias of a head's keys."""
        return self._layer(layer).bias("W_K", head)

    def b_V(self, layer: int, head: int) -> Float[Tensor, " d_head"]:  # noqa: N802
        """Bias of a head's values; zero once norms are folded in, because b_O then has b_V W_O of all heads."""
        return self._layer(layer).bias("W_V", head)

    def b_O(self, layer: int) -> Float[Tensor, " d_model"]:  # noqa: N802
        """Bias that attention writes."""
        return self._layer(layer).bias("W_O")

    def vectors(self, kind: str, layer: int) -> Float[Tensor, "vectors d_model"]:
        """List every parameter vector of one kind in a layer, each once, even if several heads share it.

        Neurons for W_in, W_gate and W_out; for W_Q, W_K, W_V and W_O the subheads of one head after the other. See
        ``partners`` for vectors that work together.

        Raises:
            ValueError: a kind that is not in ``kinds``, or no such layer.
        """
        matrices = self._matrix(kind, layer)
        if KINDS[kind] == "in":
            matrices = matrices.mT
        return matrices.reshape(-1, self.d_model)

    def partners(self, kinds: tuple[str, str], layer: int) -> tuple[Tensor, Tensor]:
        """List the vectors of two kinds of ``RELATED_KINDS`` so that rows of the same number work together.

        A vector that several heads share is listed for each of them; errors as in ``vectors``.
        """
        first, second = (self._vectors_per_head(kind, layer) for kind in kinds)
        return first, second

    def fold_norms(self) -> Weights:
        """Return a copy for reading in which norms divide by a number and do nothing else; logits stay the same.

        Scales go into what reads after the norm, biases into its bias; the final norm's into W_U and b_U, or into the
        classifier. Where norms centre, every reader and everything that is written lose their mean.

        Raises:
            ValueError: the norms stand in the residual stream (BERT), where none can be folded.
        """
        if self.folded:
            return self
        if self.layers[0].attention_norm is None:
            raise ValueError(
                f"fold=True: {self.name} normalises the residual stream itself, after each layer, so no norm can be "
                "folded into what reads from it; use fold=False"
            )
        return replace(self, folded=True)

    def centre_written(self, rows: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n d_model"]:
        """Take the mean out of what is written where it is taken out of what is read: no norm lets it through."""
        return rows - rows.mean(-1, keepdim=True) if self.centres_writers else rows

    def apply_norm(self, norm: Norm | None, states: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n d_model"]:
        """Normalise states before they are read, if there is a norm; of a folded norm only the division is left."""
        if norm is None:
            return states
        return norm.normalize(states) if self.folded else norm(states)

    def _layer(self, layer: int, kind: str = "W_in") -> LayerWeights | FoldedLayer:
        if kind not in self.kinds:
            raise ValueError(f"kind={kind!r}: must be one of {', '.join(self.kinds)}, the kinds that {self.name} has")
        stored = pick("layer", layer, self.layers, self.n_layers)
        return FoldedLayer(stored, self.centres_writers) if self.folded else stored

    def _vectors_per_head(self, kind: str, layer: int) -> Tensor:
        vectors = self.vectors(kind, layer)
        if kind not in ("W_K", "W_V"):
            return vectors
        return (
            vectors.unflatten(0, (self.n_kv_heads, -1))
            .repeat_interleave(self.n_heads // self.n_kv_heads, 0)
            .flatten(0, 1)
        )

    def _matrix(self, kind: str, layer: int, head: int | None = None) -> Tensor:
        return self._layer(layer, kind).matrix(kind, head)

    def _table(self, side: Side) -> Tensor:
        stored = self.embedding if side == "in" else self.unembedding
        if stored is not None:
            return stored
        if side == "in":
            raise ValueError(f"W_E: {self.name} reads images, so no items have an input embedding; use W_U, side='out'")
        raise ValueError(
            f"W_U: {self.name} has no unembedding: its file has no head that gives logits of items, and its "
            "embeddings are not tied to one; load the model with such a head, or use side='in' if it reads items"
        )

    @property
    def _norm_to_fold(self) -> Norm | None:
        """The norm that is folded into what reads the last hidden states."""
        return self.final_norm if self.folded else None

    def _fold_bias(self, stored: Tensor | None, rows: Float[Tensor, "k d_model"]) -> Float[Tensor, " k"]:
        bias = rows.new_zeros(len(rows)) if stored is None else to_float32(stored)
        return bias if self._norm_to_fold is None else self._norm_to_fold.fold_bias(bias, rows.T)

    def __repr__(self) -> str:
        shared = f" over {self.n_kv_heads} of keys and values" if self.n_kv_heads < self.n_heads else ""
        return (
            f"Weights({self.name}: {self.n_layers} layers, {self.n_heads} heads{shared} of width {self.d_head}, "
            f"{self.d_mlp:,} neurons a layer, width {self.d_model}, {self.d_vocab:,} "
            f"{'classes' if self.labels else 'vocabulary items'}, norms {'folded in' if self.folded else 'not folded'})"
        )
