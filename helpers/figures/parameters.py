"""Figures of parameters: the tokens that they promote, their scores per layer, and their values per head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from helpers.figures.style import ALGORITHM_COLOURS, COLOURS, CONTROL_COLOUR, MARKERS, create_panels, styled

# Of the names on a map of tokens, as fractions of the map's size: 8-point letters on about 6 by 3 inches.
NAME_HEIGHT, LETTER_WIDTH, GAP = 0.05, 0.012, 0.01
ROUNDS = 4  # in which names are placed; more change nothing on maps of some twenty
MOST_LAYERS_WITH_NUMBERS = 8  # in maps of more layers, the cells are too low for numbers
SPOTS = (  # offset in points and alignment of a name; its ends, in widths, and its lower end, in the map's heights
    ((3, 2), "left", 0, 1, -0.01),
    ((-3, 2), "right", -1, 0, -0.01),
    ((0, -10), "center", -0.5, 0.5, -NAME_HEIGHT),
    ((0, 5), "center", -0.5, 0.5, 0.3 * NAME_HEIGHT),
)


@styled
def draw_top_items(tables: Mapping[str, pd.DataFrame], count: int = 12, quantity: str = "score") -> Figure:
    """Draw the highest scores of vectors and matrices, one panel per table: a bar per token or pair, on one scale.

    Tables have the columns token and score, or left, right and score; the highest score comes first. The quantity says
    what the scores are.
    """
    fig, axes = create_panels(tables, (2.4 * len(tables), 0.7 + 0.19 * count), sharex=True, sharey=False)
    for ax, table, colour in zip(axes, tables.values(), COLOURS * 3, strict=False):
        top = table.head(count)
        names = top["token"] if "token" in top else top["left"] + " → " + top["right"]
        ax.barh(range(len(top)), top["score"], color=colour, height=0.75)
        ax.set_yticks(range(len(top)), names)
        ax.set(ylim=(len(top) - 0.4, -0.6), xlabel=quantity)
        ax.tick_params(axis="y", length=0)
    return fig


@styled
def draw_layers_beside_control(
    tables: Mapping[str, pd.DataFrame], quantity: str, measured: str = "partners", control: str = "permuted partners"
) -> Figure:
    """Draw a measure per layer beside its control, one panel per kind; bars are 95% intervals of the difference.

    The tables are those that ``helpers.measures`` returns, with columns layer, value, control, difference, low and
    high. The quantity says what is computed, ``measured`` of what, and ``control`` what the control is.
    """
    fig, axes = create_panels(tables, (2.4 * len(tables) + 0.4, 2.4))
    solid: dict[str, Any] = {"color": COLOURS[0], "marker": "o"}
    dotted: dict[str, Any] = {"color": CONTROL_COLOUR, "linestyle": ":", "marker": "s"}
    for ax, table in zip(axes, tables.values(), strict=True):
        ends = np.abs(np.stack([table["low"], table["high"]]) - table["difference"].to_numpy())
        ax.errorbar(table["layer"], table["value"], yerr=ends, markersize=4, capsize=3, **solid)
        ax.plot(table["layer"], table["control"], markersize=4, **dotted)
        ax.set(xlabel="layer", xticks=table["layer"])
    tops = (max((t["value"] + t["high"] - t["difference"]).max(), t["control"].max()) for t in tables.values())
    axes[0].set(ylabel=quantity, ylim=(0, 1.05 * max(tops)))
    handles = [plt.Line2D([], [], label=measured, **solid), plt.Line2D([], [], label=control, **dotted)]
    title = "bars: 95% interval\nof the difference"
    fig.legend(handles=handles, title=title, loc="outside right center")
    return fig


@styled
def draw_curves(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], axis: str, quantity: str, log: str | None = None
) -> Figure:
    """Draw some curves over shared positions; a curve that is named as an algorithm has its colour.

    Args:
        x: the horizontal positions, shared by all curves.
        curves: name -> one value per position.
        axis: what x is.
        quantity: what the values are.
        log: the logarithmic axis, "x" or "y"; none if None.
    """
    fig, ax = plt.subplots(figsize=(5.2, 2.7))
    for (name, values), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        style = {"color": ALGORITHM_COLOURS.get(name, colour), "marker": marker if len(x) < 30 else None}
        ax.plot(x, values, markersize=4, label=name, **style)
    ax.set(xlabel=axis, ylabel=quantity, **({f"{log}scale": "log"} if log else {}))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


@styled
def draw_token_map(places: np.ndarray, names: Sequence[str], groups: Sequence[str]) -> Figure:
    """Draw tokens at their places in the plane (N, 2), with one colour and one marker per group of tokens."""
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    spots = _place_names(places, names)
    for group, colour, marker in zip(dict.fromkeys(groups), COLOURS, MARKERS, strict=False):
        members = [index for index, name in enumerate(groups) if name == group]
        x, y = places[members].T
        ax.scatter(x, y, s=14, color=colour, marker=marker, label=group)
        for index in members:
            offset, align = spots[index]
            point = (places[index, 0], places[index, 1])
            ax.annotate(names[index], point, offset, textcoords="offset points", fontsize=8, color=colour, ha=align)
    ax.set_axis_off()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def _place_names(places: np.ndarray, names: Sequence[str]) -> list[tuple[tuple[int, int], str]]:
    """Choose the offset (points) and the alignment of each name: the spot that hides the fewest tokens and names.

    Names are placed one by one, again and again, because a name may have to leave its spot to a later one.
    """
    spread = np.ptp(places, axis=0)
    at = (places - places.min(axis=0)) / np.where(spread > 0, spread, 1)
    widths = [GAP + LETTER_WIDTH * len(name) for name in names]
    boxes = np.array(  # (names, spots, 4): left, right, bottom, top
        [
            [(x + left * width, x + right * width, y + low, y + low + NAME_HEIGHT) for *_, left, right, low in SPOTS]
            for (x, y), width in zip(at, widths, strict=True)
        ]
    )
    chosen, rows = np.zeros(len(names), dtype=int), np.arange(len(names))
    for index in np.tile(rows, ROUNDS):
        others = rows[rows != index]
        points = at[others][:, [0, 0, 1, 1]]
        left, right, bottom, top = np.concatenate([points, boxes[others, chosen[others]]]).T
        own = boxes[index].T[..., None]  # (4, spots, 1)
        hides = (left < own[1]) & (right > own[0]) & (bottom < own[3]) & (top > own[2])
        chosen[index] = hides.sum(1).argmin()
    return [SPOTS[spot][:2] for spot in chosen]


@styled
def draw_heads(values: Tensor, controls: Tensor, quantity: str, marked: Tensor | None = None) -> Figure:
    """Draw one number per attention head (n_layers, n_heads) as a map, the last layer on top, beside controls (N,).

    The controls are the numbers of random heads; the quantity says what the number is. Heads that are ``marked``, such
    as those with a small corrected p-value, have a frame, and are filled among the dots.
    """
    limit, few = float(values.abs().max()), len(values) <= MOST_LAYERS_WITH_NUMBERS
    size = (7.2, 0.9 + (0.35 if few else 0.13) * len(values))
    fig, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=[1.7, 1])
    decimals = max(0, 1 - math.floor(math.log10(limit)))
    texts = [[f"{value:.{decimals}f}" for value in row] for row in values.flip(0).tolist()]
    numbers = {"annot": texts if few else False, "fmt": "", "cbar": False}
    sns.heatmap(values.flip(0), ax=left, cmap="RdBu", vmin=-limit, vmax=limit, **numbers)
    every = list(range(0, len(values), 1 if few else 5))[::-1]
    left.set(xlabel="head", ylabel="layer", yticks=[len(values) - 0.5 - i for i in every], yticklabels=every)
    left.tick_params(length=0)
    for layer, head in [] if marked is None else marked.nonzero().tolist():
        corner = (head + 0.06, len(values) - 1 - layer + 0.06)
        left.add_patch(plt.Rectangle(corner, 0.88, 0.88, fill=False, edgecolor=COLOURS[1], linewidth=1.8 if few else 1))
    fills = [COLOURS[0]] * values.numel() if marked is None else [COLOURS[0] if m else "none" for m in marked.flatten()]
    rows = [(values.flatten(), COLOURS[0], fills), (controls, CONTROL_COLOUR, None)]
    for row, (points, colour, fill) in enumerate(rows):
        jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(points))
        right.scatter(points, row + jitter, s=14, facecolors=fill or colour, edgecolors=[colour])
    right.set(yticks=[0, 1], yticklabels=["heads", "random"], xlabel=quantity, ylim=(1.5, -0.5))
    return fig
