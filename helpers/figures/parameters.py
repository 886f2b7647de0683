"""Parameters read as words, as figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from helpers.figures.style import COLOURS, MARKERS, styled


@styled
def draw_readings(tables: Mapping[str, pd.DataFrame], count: int = 12, quantity: str = "score") -> Figure:
    """Draw what vectors and matrices read as, a panel each: bars for the scores, named by their items.

    Args:
        tables: title -> columns token and score, or left, right and score; the highest first.
        count: rows drawn of each.
        quantity: what the scores are; all panels have one scale.
    """
    size = (2.4 * len(tables), 0.7 + 0.19 * count)
    fig, axes = plt.subplots(1, len(tables), figsize=size, squeeze=False, sharex=True)
    for ax, (title, table), colour in zip(axes[0], tables.items(), COLOURS * 3, strict=False):
        shown = table.head(count)
        names = shown["token"] if "token" in shown else shown["left"] + " → " + shown["right"]
        ax.barh(range(len(shown)), shown["score"], color=colour, height=0.75)
        ax.set_yticks(range(len(shown)), names)
        ax.set(ylim=(len(shown) - 0.4, -0.6), title=title, xlabel=quantity)
        ax.tick_params(axis="y", length=0)
    return fig


@styled
def draw_coherence(layers: Sequence[Tensor], controls: Mapping[str, Tensor], quantity: str = "coherence") -> Figure:
    """Draw the distribution of a score over each layer's vectors, in grey those of controls.

    Args:
        layers: (N,) each, lowest layer first.
        controls: name -> (N,).
        quantity: what the score is.
    """
    fig, axes = plt.subplots(1, len(layers), figsize=(2.1 * len(layers) + 0.4, 2.3), sharex=True, sharey=True)
    for number, (ax, scores) in enumerate(zip(np.atleast_1d(axes), layers, strict=True)):
        sns.kdeplot(x=scores.numpy(), ax=ax, fill=True, color=COLOURS[0], linewidth=1, label="the layer's", cut=0)
        for (name, control), style in zip(controls.items(), ("-", ":"), strict=False):
            sns.kdeplot(x=control.numpy(), ax=ax, color="0.35", linestyle=style, linewidth=1.2, label=name, cut=0)
        ax.set(title=f"layer {number}", xlabel="", yticks=[], ylabel="vectors" if number == 0 else "")
    fig.supxlabel(quantity, fontsize=9)
    np.atleast_1d(axes)[-1].legend(loc="upper right", fontsize=8)
    return fig


@styled
def draw_beside_control(tables: Mapping[str, pd.DataFrame], quantity: str, control: str = "shuffled") -> Figure:
    """Draw a measure layer by layer beside its control, a panel a kind; bars are 95% intervals of the difference.

    Args:
        tables: name -> columns layer, value, control, low and high, as ``helpers.measures`` returns them.
        quantity: what is measured.
        control: what it stands beside.
    """
    fig, axes = plt.subplots(1, len(tables), figsize=(2.4 * len(tables) + 0.4, 2.4), sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        ends = np.abs(np.stack([table["low"], table["high"]]) - table["difference"].to_numpy())
        ax.errorbar(table["layer"], table["value"], yerr=ends, color=COLOURS[0], marker="o", markersize=4, capsize=3)
        ax.plot(table["layer"], table["control"], color="0.45", linestyle=":", marker="s", markersize=4)
        ax.set(title=name, xlabel="layer", xticks=table["layer"])
    largest = max((table["value"] + table["high"] - table["difference"]).max() for table in tables.values())
    axes[0, 0].set(ylabel=quantity, ylim=(0, 1.05 * largest))
    handles = [
        plt.Line2D([], [], color=COLOURS[0], marker="o", label="as they are"),
        plt.Line2D([], [], color="0.45", linestyle=":", marker="s", label=control),
    ]
    fig.legend(handles=handles, loc="outside right center")
    return fig


@styled
def draw_curves(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], axis: str, quantity: str, log: str = "x"
) -> Figure:
    """Draw a few curves, one axis logarithmic.

    Args:
        x: where they are taken.
        curves: name -> a value each.
        axis: what x is.
        quantity: what the values are.
        log: the logarithmic axis, "x" or "y".
    """
    fig, ax = plt.subplots(figsize=(5.2, 2.7))
    for (name, values), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        ax.plot(x, values, color=colour, marker=marker if len(x) < 30 else None, markersize=4, label=name)
    ax.set(xlabel=axis, ylabel=quantity, **{f"{log}scale": "log"})
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


@styled
def draw_token_map(places: np.ndarray, names: Sequence[str], groups: Sequence[str]) -> Figure:
    """Draw tokens in the plane, each at its place and with its group's colour and marker.

    Args:
        places: (N, 2).
        names: of the tokens.
        groups: what each belongs to.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    span = np.ptp(places, axis=0)
    for group, colour, marker in zip(dict.fromkeys(groups), COLOURS, MARKERS, strict=False):
        mine = [i for i, each in enumerate(groups) if each == group]
        ax.scatter(*places[mine].T, s=14, color=colour, marker=marker, label=group)
        for i in mine:
            across, up = ((places - places[i]) / span).T
            beside = abs(up) < 0.045
            place = {"xytext": (3, 2)}
            if (beside & (across > 0) & (across < 0.14)).any():  # the name at the right would hide a neighbour
                crowded = (beside & (across < 0) & (across > -0.28)).any()
                place = {"xytext": (0, -9), "ha": "center"} if crowded else {"xytext": (-3, 2), "ha": "right"}
            ax.annotate(names[i], places[i], textcoords="offset points", fontsize=8, color=colour, **place)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


@styled
def draw_heads(values: Tensor, controls: Tensor, quantity: str) -> Figure:
    """Draw one number a head as a map, layers upward, and beside it the same number of control heads.

    Args:
        values: (n_layers, n_heads).
        controls: (N,).
        quantity: what the number is.
    """
    limit = float(values.abs().max())
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 0.9 + 0.35 * len(values)), width_ratios=[1.7, 1])
    decimals = max(0, 1 - math.floor(math.log10(limit)))
    shown = [[f"{value:.{decimals}f}" for value in row] for row in values.flip(0).tolist()]
    sns.heatmap(values.flip(0), ax=left, cmap="RdBu", vmin=-limit, vmax=limit, annot=shown, fmt="", cbar=False)
    left.set(xlabel="head", ylabel="layer", yticklabels=range(len(values) - 1, -1, -1))
    left.tick_params(length=0)
    for place, (points, colour) in enumerate([(values.flatten(), COLOURS[0]), (controls, "0.45")]):
        jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(points))
        right.scatter(points, place + jitter, s=14, color=colour)
    right.set(yticks=[0, 1], yticklabels=["heads", "random"], xlabel=quantity, ylim=(1.5, -0.5))
    return fig
