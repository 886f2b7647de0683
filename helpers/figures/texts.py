"""What a model makes of a text's tokens, as figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from helpers.figures.style import COLOURS, MARKERS, axes_of, styled


@styled
def draw_tokens(tokens: Sequence[str], scores: Mapping[str, Tensor]) -> Figure:
    """Draw a text once a score, its tokens on a ground that is the darker the higher they score.

    Args:
        tokens: the text's.
        scores: name -> (tokens,), of any scale; each is divided by its largest.
    """
    widths = np.array([max(len(token), 2) + 1.5 for token in tokens])
    edges = np.concatenate([[0], widths.cumsum()])
    size = (min(9.5, 1.4 + 0.085 * edges[-1]), 0.2 + 0.36 * len(scores))
    fig, ax = plt.subplots(figsize=size)
    for row, values in enumerate(scores.values()):
        shares = (values / values.max()).tolist()
        for token, left, width, share in zip(tokens, edges[:-1], widths, shares, strict=True):
            colour = plt.get_cmap("Blues")(0.75 * max(share, 0.0))
            ax.add_patch(plt.Rectangle((left, -row - 0.42), width - 0.3, 0.84, color=colour, linewidth=0))
            ink = "white" if share > 0.75 else "black"
            ax.text(left + width / 2 - 0.15, -row, token, ha="center", va="center", color=ink, fontsize=8)
    ax.set(xlim=(0, edges[-1]), ylim=(0.5 - len(scores), 0.5), xticks=[])
    ax.set_yticks(range(0, -len(scores), -1), scores)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


@styled
def draw_deletion(curves: Mapping[str, Tensor], ax: Axes | None = None) -> Figure:
    """Draw the first verdict's probability as tokens are masked, one line a way to order them, (tokens + 1,) each."""
    fig, ax = axes_of(ax, (4.4, 2.8))
    for (name, curve), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        share = np.linspace(0, 100, len(curve))
        ax.plot(share, curve.tolist(), color=colour, marker=marker, markersize=4, label=name)
    ax.set(xlabel="tokens masked, %", ylabel="probability of the first verdict", ylim=(-0.03, 1.03))
    ax.legend()
    return fig


@styled
def draw_agreement(predicted: Tensor, verified: Tensor, names: Sequence[str], quantity: str) -> Figure:
    """Draw verified changes over predicted ones, one point a word, the largest verified ones named."""
    fig, ax = plt.subplots(figsize=(4.6, 3.2))
    ax.scatter(predicted, verified, s=12, color=COLOURS[0], alpha=0.6, linewidth=0)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    order = verified.argsort().tolist()
    for index in [order[0], order[len(order) // 20], order[-1], order[-len(order) // 20]]:
        right = float(predicted[index]) > float(predicted.median())
        ax.annotate(
            names[index],
            (float(predicted[index]), float(verified[index])),
            xytext=(-5 if right else 5, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=8,
        )
    ax.set(xlabel=f"predicted {quantity}", ylabel=f"verified {quantity}")
    return fig


@styled
def draw_swap_map(tokens: Sequence[str], words: Sequence[str], panels: Mapping[str, Tensor], quantity: str) -> Figure:
    """Draw changes of swapping words (columns) in at tokens (rows), one panel a way to know them, on one scale.

    Args:
        tokens: at the positions, P of them.
        words: W of them.
        panels: name -> (P, W), signed.
        quantity: what the colours stand for.
    """
    limit = max(float(values.abs().max()) for values in panels.values())
    size = (1.2 + len(panels) * (0.3 + 0.24 * len(words)), 1.1 + 0.22 * len(tokens))
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (name, values) in zip(axes[0], panels.items(), strict=True):
        drawn = ax.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        ax.set_xticks(range(len(words)), words, rotation=90)
        ax.set_yticks(range(len(tokens)), tokens)
        ax.tick_params(length=0)
        ax.set_title(name)
    fig.colorbar(drawn, ax=axes, label=quantity)
    return fig


@styled
def draw_bars(values: pd.Series, quantity: str, axis: str = "", controls: Collection[str] = ()) -> Figure:
    """Draw one horizontal bar a name: those above zero blue, those below orange, controls grey.

    Args:
        values: a number a name.
        quantity: what the numbers are.
        axis: what the names are.
        controls: names of those bars that are controls.
    """
    fig, ax = plt.subplots(figsize=(4.6, 0.6 + 0.17 * len(values)))
    signs = {name: COLOURS[0] if value > 0 else COLOURS[1] for name, value in values.items()}
    colours = ["0.6" if name in controls else colour for name, colour in signs.items()]
    ax.barh(values.index, values, color=colours, height=0.75)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set(xlabel=quantity, ylabel=axis, ylim=(-0.6, len(values) - 0.4))
    ax.tick_params(axis="y", length=0, labelsize=8)
    return fig
