"""The figure of rank and kernel, layer by layer."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.figures.style import COLOURS, DASHES, MARKERS, get_axes, styled
from helpers.measures import LayerRanks

ORDINALS = ("largest", "second", "third", "fourth", "fifth")  # the singular values that are drawn


@styled
def draw_ranks_by_layer(ranks: LayerRanks, ax: Axes | None = None) -> Figure:
    """Draw the five largest singular values of each layer's metric; the ticks give each layer's rank and kernel.

    Args:
        ranks: from ``rank_by_layer``.
        ax: where to draw; a new figure if None.
    """
    fig, ax = get_axes(ax, (1.6 + 0.75 * len(ranks.layers), 3.2))
    for i in range(min(len(ORDINALS), max(ranks.ranks))):
        drawn = [k for k, rank in enumerate(ranks.ranks) if i < rank]
        values = [float(ranks.singular_values[k, i]) for k in drawn]
        ax.semilogy(drawn, values, ls=DASHES[i], marker=MARKERS[i], ms=4, color=COLOURS[i], label=ORDINALS[i])
    lines = zip(ranks.layers, ranks.ranks, ranks.kernels, strict=True)
    ticks = [f"{layer}\n{rank}\n{kernel:,}" for layer, rank, kernel in lines]
    ax.set_xticks(range(len(ticks)), ticks)
    ax.annotate("layer\nrank\nkernel", (0, 0), (-6, -7), "axes fraction", "offset points", ha="right", va="top")
    ax.set_ylabel(f"singular value ({ranks.unit} per unit)")
    ax.legend(title=f"singular value, of {max(ranks.ranks)}", loc="upper left", bbox_to_anchor=(1, 1))
    return fig
