"""The figure of rank and kernel, layer by layer."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.figures.style import COLOURS, DASHES, MARKERS, get_axes, styled
from helpers.measures import LayerRanks

MOST_LINES = 5  # singular values drawn as lines, from the largest; as many as there are line styles


@styled
def draw_ranks_by_layer(ranks: LayerRanks, ax: Axes | None = None) -> Figure:
    """Draw the non-zero singular values of each layer's metric; the ticks name each layer's rank and kernel.

    Args:
        ranks: from ``rank_by_layer``.
        ax: where to draw; a new figure if None.
    """
    fig, ax = get_axes(ax, (1.6 + 0.75 * len(ranks.layers), 3.2))
    for i in range(min(MOST_LINES, max(ranks.ranks))):
        drawn = [k for k, rank in enumerate(ranks.ranks) if i < rank]
        values = [float(ranks.singular_values[k, i]) for k in drawn]
        ax.semilogy(drawn, values, ls=DASHES[i], marker=MARKERS[i], ms=4, color=COLOURS[i], label=f"number {i + 1}")
    kernels = [size - rank for size, rank in zip(ranks.sizes, ranks.ranks, strict=True)]
    ticks = [
        f"{layer}\n{rank}\n{kernel:,}" for layer, rank, kernel in zip(ranks.layers, ranks.ranks, kernels, strict=True)
    ]
    ax.set_xticks(range(len(ranks.layers)), ticks)
    ax.set(xlabel="layer, rank and dimension of the kernel", ylabel="singular value (nats per unit)")
    ax.legend(title="singular value", loc="upper left", bbox_to_anchor=(1, 1))
    return fig
