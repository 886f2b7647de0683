"""Figures of rank and kernel, layer by layer."""

from __future__ import annotations

from itertools import pairwise

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


@styled
def draw_layer_chain(ranks: LayerRanks, names: tuple[str, str] = ("image", "class\nprobabilities")) -> Figure:
    """Draw a Transformer as a chain of maps, with the rank and the kernel of the metric at each state between them.

    Args:
        ranks: from ``rank_by_layer``; its first layer is marked as the place where the point is taken.
        names: of the model's input and of its output.
    """
    count = len(ranks.layers)
    fig, ax = get_axes(None, (1.9 + 1.15 * count, 2.5))
    first = "\nembedded" if ranks.layers[0] == 0 else f"\nto block {ranks.layers[0]}"
    blocks = [f"block {b}" if b == a + 1 else f"blocks\n{a + 1} to {b}" for a, b in pairwise(ranks.layers)]
    boxes = [names[0] + first, *blocks, names[1]]
    for i, text in enumerate(boxes):
        ax.text(2 * i, 0, text, ha="center", va="center", bbox={"boxstyle": "round", "fc": "white", "ec": COLOURS[0]})
    lines = zip(ranks.layers, ranks.sizes, ranks.ranks, ranks.kernels, strict=True)
    for i, (layer, size, rank, kernel) in enumerate(lines):
        ax.annotate("", (2 * i + 1.45, 0), (2 * i + 0.55, 0), arrowprops={"arrowstyle": "->"})
        ax.text(2 * i + 1, -0.35, f"layer {layer}\n{size:,}\n{rank}\n{kernel:,}", ha="center", va="top")
    ax.text(0, -0.35, "state\nnumbers\nrank\nkernel", ha="center", va="top", color="grey")
    arrow = {"arrowstyle": "->", "color": COLOURS[1]}
    ax.annotate("the point x is taken here", (1, 0.05), (1, 0.75), arrowprops=arrow, ha="center", color=COLOURS[1])
    ax.set(xlim=(-0.9, 2 * count + 0.9), ylim=(-1.5, 1))
    ax.axis("off")
    return fig
