"""Figures of a Transformer: rank and kernel layer by layer, and what reads from and writes to its residual stream."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.figures.style import COLOURS, DASHES, MARKERS, get_axes, styled
from helpers.measures import LayerRanks

STREAM = (  # what is beside the residual stream, from top to bottom, and whether it reads from it or writes to it
    ("embedding $W_E$: one row per word", "writes"),
    ("head: queries and keys, $W_Q$ and $W_K$\nsay which word attends to which", "reads"),
    ("head: $W_V$ reads the word attended to", "reads"),
    ("head: $W_O$ writes what is made of it", "writes"),
    ("neuron: its key, a column of $W_{in}$,\nsays when it is active", "reads"),
    ("neuron: its value, a row of $W_{out}$,\nis added when it is active", "writes"),
    ("unembedding $W_U = E^T$:\none score per word, $x E^T$", "is scored"),
)
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
    box = {"boxstyle": "round", "fc": "white", "ec": COLOURS[0]}
    boxes = [
        ax.text(2 * i, 0, text, ha="center", va="center", bbox=box)
        for i, text in enumerate([names[0] + first, *blocks, names[1]])
    ]
    lines = zip(ranks.layers, ranks.sizes, ranks.ranks, ranks.kernels, strict=True)
    for i, (layer, size, rank, kernel) in enumerate(lines):
        ends = {"patchA": boxes[i].get_bbox_patch(), "patchB": boxes[i + 1].get_bbox_patch()}
        ax.annotate("", (2 * i + 2, 0), (2 * i, 0), arrowprops={"arrowstyle": "->", "shrinkA": 3, "shrinkB": 3} | ends)
        ax.text(2 * i + 1, -0.35, f"layer {layer}\n{size:,}\n{rank}\n{kernel:,}", ha="center", va="top")
    ax.text(0, -0.35, "state\nnumbers\nrank\nkernel", ha="center", va="top", color="grey")
    arrow = {"arrowstyle": "->", "color": COLOURS[1]}
    ax.annotate("the point x is taken here", (1, 0.05), (1, 0.75), arrowprops=arrow, ha="center", color=COLOURS[1])
    ax.set(xlim=(-0.9, 2 * count + 0.9), ylim=(-1.5, 1))
    ax.axis("off")
    return fig


@styled
def draw_residual_stream() -> Figure:
    """Draw what reads from the residual stream of a GPT-2, through E', and what writes to it, to be read by E."""
    fig, ax = get_axes(None, (4.3, 4.6))
    looks = {"reads": ("->", COLOURS[0], "$E'$"), "writes": ("<-", COLOURS[3], "$E$")}
    looks["is scored"] = "->", "0.3", "$E$"
    ax.annotate("", (0, -len(STREAM) + 0.4), (0, 0.6), arrowprops={"arrowstyle": "-|>", "lw": 5, "color": "0.7"})
    ax.text(0, 0.75, "state $x$,\na row", ha="center")
    for i, (text, action) in enumerate(STREAM):
        style, colour, letter = looks[action]
        ax.annotate("", (1.3, -i), (0.06, -i), arrowprops={"arrowstyle": style, "lw": 1.5, "color": colour})
        ax.text(0.68, 0.12 - i, letter, ha="center", color=colour, size=12)
        ax.text(1.4, -i, text, va="center", bbox={"boxstyle": "round", "fc": "white", "ec": colour})
    for first, last, text in ((0.62, 3.38, "one layer:\nattention"), (3.62, 5.38, "feed-\nforward")):
        ax.plot([-0.2, -0.3, -0.3, -0.2], [-first, -first, -last, -last], color="0.5", lw=1)
        ax.text(-0.4, -(first + last) / 2, text, ha="right", va="center", color="0.3")
    for place, action, text in ((0, "reads", "reads, through $E'$"), (1, "writes", "written, read by $E$")):
        ax.text(0.3 + 2.6 * place, -len(STREAM), text, color=looks[action][1])
    ax.set(xlim=(-1.2, 4.6), ylim=(-len(STREAM) - 0.2, 1.3))
    ax.axis("off")
    return fig
