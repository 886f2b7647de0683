"""Two models' layers side by side, and classifiers stitched from both, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from helpers.alignment import LayerAlignment
from helpers.figures.style import COLOURS, styled
from helpers.stitching import StitchingTable

WRITTEN = 6  # layers up to which scores are written into their cells


@styled
def draw_alignments(rows: Mapping[str, Sequence[LayerAlignment]]) -> Figure:
    """Draw alignments as heat maps, a row a way to compare and a column a kind; matched layers have a frame.

    The shades of every map run from its own lowest score to its own highest; where some are below zero, from red
    over white at zero to blue.

    Args:
        rows: name of the way to compare -> one alignment a kind, in the same order of kinds.
    """
    columns = max(len(row) for row in rows.values())
    fig, axes = plt.subplots(
        len(rows), columns, figsize=(0.7 + 1.5 * columns, 0.4 + 1.55 * len(rows)), squeeze=False, sharex=True
    )
    for number, (line, (name, row)) in enumerate(zip(axes, rows.items(), strict=True)):
        for ax, alignment in zip(line, row, strict=True):
            _draw_scores(ax, alignment)
            ax.set_title(alignment.kind if number == 0 else "")
        line[0].set_ylabel(f"{name}\nlayer of A")
        for ax in line[1:]:
            ax.set_yticks([])
    for ax in axes[-1]:
        ax.set_xlabel("layer of B")
    return fig


def _draw_scores(ax: Axes, alignment: LayerAlignment) -> None:
    scores = alignment.scores.numpy()
    limit, signed, digits = abs(scores).max(), scores.min() < 0, 2 if np.ptp(scores) > 0.05 else 3
    shades = {"cmap": "RdBu", "vmin": -limit, "vmax": limit} if signed else {"cmap": "Blues"}
    dark = abs(scores) > 0.6 * limit if signed else scores > (scores.min() + scores.max()) / 2
    ax.imshow(scores, **shades)
    for (a, b), score in np.ndenumerate(scores):
        if max(scores.shape) <= WRITTEN:
            text = f"{score:z.{digits}f}".replace("0.", ".").replace("-", "\N{MINUS SIGN}")
            ink = "white" if dark[a, b] else "black"
            ax.text(b, a, text, ha="center", va="center", color=ink, fontsize=7)
    for a, b in alignment.matching:
        frame = plt.Rectangle((b - 0.46, a - 0.46), 0.92, 0.92, fill=False, edgecolor=COLOURS[1], linewidth=1.8)
        ax.add_patch(frame)
    ax.set_xticks(range(scores.shape[1]))
    ax.set_yticks(range(scores.shape[0]))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


@styled
def draw_stitching(table: StitchingTable) -> Figure:
    """Draw accuracy over the base's kept layers, a panel a number of transplanted layers, with 95% intervals.

    Grey points are random kernels, one each, grey crosses kernels of shuffled words; lines across are the donor and
    chance.
    """
    keeps, panels = range(table.accuracy.shape[0]), range(table.accuracy.shape[1])
    fig, axes = plt.subplots(1, len(panels), figsize=(0.6 + 1.75 * len(panels), 2.7), sharey=True, squeeze=False)
    for transplant, ax in zip(panels, axes[0], strict=True):
        curve = table.accuracy[:, transplant].numpy()
        ends = np.array([table.interval(share) for share in curve]).T
        ax.errorbar(keeps, curve, abs(ends - curve), color=COLOURS[0], marker="o", markersize=4, capsize=2, zorder=3)
        _draw_twins(ax, table.random[:, :, transplant].numpy(), table.donor, table.chance)
        for curve in table.shuffled[:, :, transplant].numpy():
            ax.plot(keeps, curve, "x", color="0.5", markersize=4, zorder=1)
        ax.set(title=f"transplant {transplant}", xlabel="layers kept", xticks=keeps)
    axes[0][0].set_ylabel("accuracy")
    _label(axes[0][-1], {"donor": table.donor, "chance": table.chance})
    return fig


@styled
def draw_verdicts(stitched: Tensor, random: Tensor, donor: float, quantity: str) -> Figure:
    """Draw what stitched classifiers say of one text, over the layers kept; grey points are their random twins.

    Args:
        stitched: log-odds, (keeps,).
        random: those with random kernels, (seeds, keeps).
        donor: log-odds by the donor.
        quantity: what they are the log-odds of.
    """
    fig, ax = plt.subplots(figsize=(4.8, 2.8))
    ax.plot(range(len(stitched)), stitched, color=COLOURS[0], marker="o", markersize=4, zorder=3)
    _draw_twins(ax, random.numpy(), donor, 0)
    ax.set(xlabel="layers kept", xticks=range(len(stitched)), ylabel=quantity)
    _label(ax, {"donor": donor, "undecided": 0})
    return fig


def _draw_twins(ax: Axes, random: np.ndarray, donor: float, chance: float) -> None:
    """Draw random kernels (seeds, keeps) as points, slightly apart, and lines for donor and chance."""
    for keep, values in enumerate(random.T):
        ax.plot(keep + np.linspace(-0.15, 0.15, len(values)), values, ".", color="0.65", markersize=4, zorder=1)
    ax.axhline(donor, color=COLOURS[2], linestyle="--", linewidth=1.2, zorder=0)
    ax.axhline(chance, color="0.3", linestyle=":", linewidth=1.2, zorder=0)


def _label(ax: Axes, heights: Mapping[str, float]) -> None:
    """Name lines across, at the right of an axes."""
    for (name, height), colour in zip(heights.items(), (COLOURS[2], "0.3"), strict=True):
        ax.text(1.02, height, name, color=colour, fontsize=8, va="center", transform=ax.get_yaxis_transform())
