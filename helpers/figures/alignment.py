"""Figures of two models: the alignment of their layers, and classifiers stitched from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from helpers.alignment import LayerAlignment
from helpers.figures.style import COLOURS, create_panels, styled
from helpers.stitching import StitchingTable

MOST_LAYERS_WITH_NUMBERS = 6  # in maps of more layers, the cells are too small for their scores
DONOR_COLOUR, CHANCE_COLOUR = COLOURS[2], "0.3"


@styled
def draw_alignments(rows: Mapping[str, Sequence[LayerAlignment]]) -> Figure:
    """Draw alignments as heat maps: one row per method, one column per kind of parameter; matched layers are framed.

    The shades of each map run from its lowest score to its highest. If some scores are negative, they run from red
    over white at zero to blue. The numbers are scores in percent. The kinds have the same order in every row.
    """
    columns = max(len(row) for row in rows.values())
    size = (0.7 + 1.5 * columns, 0.4 + 1.55 * len(rows))
    fig, grid = plt.subplots(len(rows), columns, figsize=size, squeeze=False, sharex=True)
    for axes, (name, row) in zip(grid, rows.items(), strict=True):
        for ax, alignment in zip(axes, row, strict=True):
            _draw_scores(ax, alignment)
            ax.set(title=alignment.kind if ax in grid[0] else "", xlabel="layer of B" if ax in grid[-1] else "")
        axes[0].set_ylabel(f"{name}\nlayer of A")
        plt.setp(axes[1:], yticks=[])
    return fig


def _draw_scores(ax: Axes, alignment: LayerAlignment) -> None:
    scores = alignment.scores.numpy()
    limit = abs(scores).max()
    shades: dict[str, Any] = {"cmap": "RdBu", "vmin": -limit, "vmax": limit} if scores.min() < 0 else {"cmap": "Blues"}
    digits = 0 if limit > 0.1 else 1
    texts = [[f"{100 * score:z.{digits}f}".replace("-", "\N{MINUS SIGN}") for score in row] for row in scores]
    numbers = texts if max(scores.shape) <= MOST_LAYERS_WITH_NUMBERS else False
    sns.heatmap(scores, ax=ax, annot=numbers, fmt="", annot_kws={"fontsize": 7}, square=True, cbar=False, **shades)
    for a, b in alignment.matching:
        frame = plt.Rectangle((b + 0.04, a + 0.04), 0.92, 0.92, fill=False, edgecolor=COLOURS[1], linewidth=1.8)
        ax.add_patch(frame)
    ax.tick_params(length=0, labelrotation=0)


@styled
def draw_stitching(table: StitchingTable) -> Figure:
    """Draw accuracy with 95% intervals over the number of layers kept, one panel per number of transplanted layers.

    Grey points are random kernels, grey crosses are kernels of shuffled words; horizontal lines are the accuracy of
    the donor and of chance.
    """
    layers, transplants = range(table.accuracy.shape[0]), range(table.accuracy.shape[1])
    random, shuffled = table.measure_accuracy(table.random_log_odds), table.measure_accuracy(table.shuffled_log_odds)
    lines = {"donor": float(table.measure_accuracy(table.donor_log_odds)), "chance": table.chance}
    fig, axes = create_panels(map("transplant {}".format, transplants), (0.6 + 1.75 * len(transplants), 2.7))
    for transplant, ax in zip(transplants, axes, strict=True):
        curve = table.accuracy[:, transplant].numpy()
        ends = np.array([table.interval(share) for share in curve]).T
        ax.errorbar(layers, curve, abs(ends - curve), color=COLOURS[0], marker="o", markersize=4, capsize=2, zorder=3)
        _draw_controls(ax, random[:, :, transplant].numpy(), *lines.values())
        ax.plot(layers, shuffled[:, :, transplant].T, "x", color="0.5", markersize=4, zorder=1)
        ax.set(xlabel="layers kept", xticks=layers)
    axes[0].set_ylabel("accuracy")
    _name_lines(axes[-1], lines)
    return fig


@styled
def draw_stitched_predictions(stitched: Tensor, random: Tensor, donor: float, quantity: str) -> Figure:
    """Draw the predictions of stitched classifiers for one text over the number of layers kept.

    Grey points are stitched classifiers with random kernels.

    Args:
        stitched: log-odds, (keeps,).
        random: log-odds with random kernels, (seeds, keeps).
        donor: log-odds of the donor.
        quantity: label of the axis: the log-odds of what.
    """
    fig, ax = plt.subplots(figsize=(4.8, 2.8))
    ax.plot(range(len(stitched)), stitched, color=COLOURS[0], marker="o", markersize=4, zorder=3)
    _draw_controls(ax, random.numpy(), donor, 0)
    ax.set(xlabel="layers kept", xticks=range(len(stitched)), ylabel=quantity)
    _name_lines(ax, {"donor": donor, "undecided": 0})
    return fig


def _draw_controls(ax: Axes, random: np.ndarray, donor: float, chance: float) -> None:
    """Draw random controls (seeds, keeps) as points, slightly apart, and horizontal lines for donor and chance."""
    for keep, values in enumerate(random.T):
        ax.plot(keep + np.linspace(-0.15, 0.15, len(values)), values, ".", color="0.65", markersize=4, zorder=1)
    ax.axhline(donor, color=DONOR_COLOUR, linestyle="--", linewidth=1.2, zorder=0)
    ax.axhline(chance, color=CHANCE_COLOUR, linestyle=":", linewidth=1.2, zorder=0)


def _name_lines(ax: Axes, heights: Mapping[str, float]) -> None:
    """Write the names of the horizontal lines at their right ends."""
    for (name, height), colour in zip(heights.items(), (DONOR_COLOUR, CHANCE_COLOUR), strict=True):
        ax.text(1.02, height, name, color=colour, fontsize=8, va="center", transform=ax.get_yaxis_transform())
