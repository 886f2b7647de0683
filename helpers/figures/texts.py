"""Figures of texts: scores of tokens, and predicted and verified effects of substitutions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from helpers.figures.style import COLOURS, CONTROL_COLOUR, create_panels, styled
from helpers.measures import mean_interval


@styled
def draw_tokens(tokens: Sequence[str], scores: Mapping[str, Tensor]) -> Figure:
    """Draw a text once per score (tokens,); the higher the score of a token, the darker its background.

    The scores may have any scale; each is divided by its largest value.
    """
    widths = np.array([max(len(token), 2) + 1.5 for token in tokens])
    edges = np.concatenate([[0], widths.cumsum()])
    size = (min(9.5, 1.4 + 0.085 * edges[-1]), 0.2 + 0.36 * len(scores))
    fig, ax = plt.subplots(figsize=size)
    for row, values in enumerate(scores.values()):
        shares = (values / (float(values.max()) or 1.0)).tolist()
        for token, left, width, share in zip(tokens, edges[:-1], widths, shares, strict=True):
            colour = plt.get_cmap("Blues")(0.75 * max(share, 0.0))
            ax.add_patch(plt.Rectangle((left, -row - 0.42), width - 0.3, 0.84, color=colour, linewidth=0))
            text_colour = "white" if share > 0.75 else "black"
            ax.text(left + width / 2 - 0.15, -row, token, ha="center", va="center", color=text_colour, fontsize=8)
    ax.set(xlim=(0, edges[-1]), ylim=(0.5 - len(scores), 0.5), xticks=[])
    ax.set_yticks(range(0, -len(scores), -1), scores)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


@styled
def draw_predicted_against_verified(predicted: Tensor, verified: Tensor, names: Sequence[str], quantity: str) -> Figure:
    """Draw verified changes over predicted changes, one point per word.

    Verified changes (N,) are those that the model itself computes. Four words are named: those with the smallest and
    the largest verified change, and those at its 5% and 95% ranks. On the dashed line both changes are equal. The
    quantity says what changes, with its unit.
    """
    fig, ax = plt.subplots(figsize=(4.6, 3.2))
    ax.scatter(predicted, verified, s=12, color=COLOURS[0], alpha=0.6, linewidth=0)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    ends = [float(min(predicted.min(), verified.min())), float(max(predicted.max(), verified.max()))]
    ax.plot(ends, ends, color="0.5", linestyle="--", linewidth=1, zorder=0, label="prediction exact")
    ax.legend(loc="best", fontsize=8)
    order = verified.argsort().tolist()
    for index in [order[0], order[len(order) // 20], order[-1], order[-len(order) // 20]]:
        point = float(predicted[index]), float(verified[index])
        offset, align = ((-5, 0), "right") if point[0] > predicted.median() else ((5, 0), "left")
        ax.annotate(names[index], point, offset, textcoords="offset points", ha=align, va="center", fontsize=8)
    ax.set(xlabel=f"predicted {quantity}", ylabel=f"verified {quantity}")
    return fig


@styled
def draw_substitution_map(
    tokens: Sequence[str], words: Sequence[str], panels: Mapping[str, Tensor], quantity: str
) -> Figure:
    """Draw the effects of substituting words (columns) for tokens (rows), one panel per method, on one colour scale.

    The effects of each method have the shape (tokens, words) and may have both signs.
    """
    limit = max(float(values.abs().max()) for values in panels.values())
    size = (1.2 + len(panels) * (0.3 + 0.24 * len(words)), 1.1 + 0.22 * len(tokens))
    fig, axes = create_panels(panels, size)
    for ax, values in zip(axes, panels.values(), strict=True):
        image = ax.imshow(values.numpy(), cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        ax.set_xticks(range(len(words)), words, rotation=90)
        ax.set_yticks(range(len(tokens)), tokens)
        ax.tick_params(length=0)
    fig.colorbar(image, ax=axes, label=quantity)
    return fig


@styled
def draw_bars(values: pd.Series, quantity: str, axis: str = "", controls: Collection[str] = ()) -> Figure:
    """Draw one horizontal bar per name: blue above zero, orange below zero, grey if the name is that of a control.

    The quantity says what the numbers are, the axis what the names are.
    """
    fig, ax = plt.subplots(figsize=(4.6, 0.6 + 0.17 * len(values)))
    colours = ["0.6" if name in controls else COLOURS[0] if value > 0 else COLOURS[1] for name, value in values.items()]
    ax.barh(values.index, values, color=colours, height=0.75)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set(xlabel=quantity, ylabel=axis, ylim=(-0.6, len(values) - 0.4))
    ax.tick_params(axis="y", length=0, labelsize=8)
    return fig


@styled
def draw_dots(
    groups: Mapping[str, Sequence[float]], quantity: str, reference: tuple[str, float] | None = None
) -> Figure:
    """Draw the values of each group as dots on a line, with their mean as a bar and its 95% bootstrap interval.

    The quantity says what the numbers are. The reference, a name and a value, is drawn as a dashed line.
    """
    if empty := [name for name, values in groups.items() if not len(values)]:
        raise ValueError(f"groups: {empty} have no values")
    fig, ax = plt.subplots(figsize=(5.2, 0.9 + 0.19 * len(groups)))
    for row, values in enumerate(groups.values()):
        mean, low, high = mean_interval(values)
        ax.plot(values, [row] * len(values), "o", color=COLOURS[0], ms=3.5, alpha=0.5, mew=0)
        ax.plot([low, high], [row, row], color="black", linewidth=1)
        ax.plot(mean, row, "|", color="black", ms=9, mew=2)
    if reference is not None:
        ax.axvline(reference[1], color=CONTROL_COLOUR, linestyle="--", linewidth=1, label=reference[0])
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    ax.set_yticks(range(len(groups)), list(groups), fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=quantity, ylim=(len(groups) - 0.3, -0.7))
    return fig
