"""Rank and kernel, layer by layer: how many directions of each hidden state still reach the outputs.

Source: the theory of arXiv 2410.06019 is about every representation manifold M_i; the comparison of layers is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters import Adapter
from helpers.geometry import PullbackMetric


@dataclass(frozen=True, eq=False, repr=False)
class LayerRanks:
    """The pullback metric of a model's outputs at the state of each layer, for one input.

    Attributes:
        layers: numbers of the layers; the last one of a model is the output of its last block.
        sizes: number of coordinates of the state at each layer.
        ranks: rank of the metric at each layer; the kernel has all other dimensions.
        singular_values: those of the metric's factor at each layer, (layers, r), in ``unit`` per unit of the state.
        part_norms: per layer, the largest length of a unit move of each part; 0 for a part that no output depends on.
        held: what the outputs are.
        unit: of the outputs.
    """

    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    singular_values: Float[Tensor, "layers r"]
    part_norms: tuple[Float[Tensor, " parts"], ...]
    held: str
    unit: str

    @property
    def kernels(self) -> tuple[int, ...]:
        """Dimension of the metric's kernel at each layer."""
        return tuple(size - rank for size, rank in zip(self.sizes, self.ranks, strict=True))

    @property
    def table(self) -> pd.DataFrame:
        """One row per layer: coordinates, rank, dimension of the kernel, extreme singular values, parts that matter."""
        return pd.DataFrame(
            {
                "coordinates": self.sizes,
                "rank": self.ranks,
                "kernel": self.kernels,
                "largest singular value": self.singular_values[:, 0].tolist(),
                "smallest non-zero": [
                    float(values[rank - 1]) for values, rank in zip(self.singular_values, self.ranks, strict=True)
                ],
                "parts that matter": [int((norms > 0).sum()) for norms in self.part_norms],
            },
            index=pd.Index(self.layers, name="layer"),
        )

    def __repr__(self) -> str:
        layers = f"layers {self.layers[0]} to {self.layers[-1]}"
        return f"LayerRanks({layers}; ranks {self.ranks}, kernels {self.kernels}; of {self.held})"


def rank_by_layer(
    adapter: Adapter,
    raw: Any,
    target: int | str | Sequence[int | str] | None = None,
    layers: Sequence[int] | None = None,
) -> LayerRanks:
    """Compute the rank and the kernel of the pullback metric at the state of each layer, for one input.

    All parts of each state may move. The same outputs are compared at all layers.

    Args:
        adapter: the model.
        raw: the image or the text itself, as ``adapter.encode`` takes it.
        target: the classes to distinguish, as in ``adapter.output_map``.
        layers: which layers; all of them if None.

    Raises:
        ValueError: a point in place of an input, no layer, or as in ``adapter.output_map``.
    """
    if isinstance(raw, torch.Tensor) and raw.ndim == 2 and raw.shape[1] == adapter.d_model:
        raise ValueError("raw: is a point; give the image or the text itself")
    target = adapter.output_map(adapter.encode(raw), target=target).target or "all"
    chosen = list(range(adapter.n_layers + 1) if layers is None else layers)
    if not chosen:
        raise ValueError("layers: is empty; name at least one layer, or leave it out for all")
    metrics = []
    for layer in chosen:
        point = adapter.encode(raw, layer=layer)
        f = adapter.output_map(point, range(len(point)), target, layer, raw)
        metrics.append(PullbackMetric.at(f, point))
    return LayerRanks(
        layers=tuple(chosen),
        sizes=tuple(metric.n for metric in metrics),
        ranks=tuple(metric.rank for metric in metrics),
        singular_values=torch.stack([metric.singular_values for metric in metrics]).cpu(),
        part_norms=tuple(metric.part_norms().cpu() for metric in metrics),
        held=f.held,
        unit=f.head.unit,
    )
