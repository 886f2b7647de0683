"""What a sweep measured, as figures: means with intervals beside published figures, and walks in the mean."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from helpers.figures.style import COLOURS, styled

ALGORITHMS = {"SiMEC": COLOURS[0], "corrected": COLOURS[2], "SiMExp": COLOURS[3], "baseline": COLOURS[7]}


@styled
def draw_measured(
    measured: pd.DataFrame,
    published: pd.DataFrame | None,
    quantity: str,
    reference: float | None = None,
    scale: str = "linear",
) -> Figure:
    """Draw means with their intervals, a panel a data set and a row an algorithm and step multiplier.

    Args:
        measured: columns inputs, eta, algorithm, mean, low, high, as ``helpers.measures.tabulate`` returns.
        published: columns inputs, eta, algorithm, published; drawn as hollow diamonds where there is a row.
        quantity: what is measured.
        reference: where a grey line is drawn.
        scale: of the axis, as matplotlib names it: "linear", "log", or "symlog", which is logarithmic above 1.
    """
    data = list(dict.fromkeys(measured["inputs"]))
    rows = [(eta, name) for eta in sorted(set(measured["eta"])) for name in ALGORITHMS]
    rows = [row for row in rows if ((measured["eta"] == row[0]) & (measured["algorithm"] == row[1])).any()]
    size = (1.2 + 1.75 * len(data), 0.9 + 0.22 * len(rows))
    fig, axes = plt.subplots(1, len(data), figsize=size, squeeze=False, sharey=True, sharex=True)
    for ax, name in zip(axes[0], data, strict=True):
        _draw_panel(ax, measured[measured["inputs"] == name], rows)
        if published is not None:
            _draw_published(ax, published[published["inputs"] == name], rows)
        if reference is not None:
            ax.axvline(reference, color="0.45", linewidth=1.0, zorder=0)
        ax.set_title(name)
        ax.grid(axis="x", color="0.92", zorder=-1)
        if scale != "linear":
            ax.set_xscale(scale, **({"linthresh": 1, "linscale": 0.7} if scale == "symlog" else {}))
            _write_plainly(ax.xaxis)
    axes[0, 0].set_yticks(range(len(rows)), [f"{name}, η = {eta:g}" for eta, name in rows])
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    fig.supxlabel(quantity, fontsize=9)
    if published is not None:
        handles = [plt.Line2D([], [], color="0.3", marker="o", markersize=4), _diamond()]
        fig.legend(handles, ["measured, 95%", "published"], loc="outside upper center", ncols=2, fontsize=8)
    return fig


def _draw_panel(ax: Axes, measured: pd.DataFrame, rows: list[tuple[float, str]]) -> None:
    for place, (eta, name) in enumerate(rows):
        found = measured[(measured["eta"] == eta) & (measured["algorithm"] == name)]
        for row in found.itertuples():
            ax.plot([row.low, row.high], [place, place], color=ALGORITHMS[name], linewidth=2, solid_capstyle="butt")
            ax.plot(row.mean, place, "o", color=ALGORITHMS[name], markersize=4.5)


def _draw_published(ax: Axes, published: pd.DataFrame, rows: list[tuple[float, str]]) -> None:
    for row in published.itertuples():
        if (row.eta, row.algorithm) in rows:
            ax.add_line(_diamond([row.published], [rows.index((row.eta, row.algorithm))]))
            ax.update_datalim([(row.published, 0)])
    ax.autoscale_view(scaley=False)


def _write_plainly(axis: Axis) -> None:
    """Number a logarithmic axis 0.1, 1, 10, without powers and small ticks."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _diamond(x: list[float] | None = None, y: list[float] | None = None) -> plt.Line2D:
    return plt.Line2D(x or [], y or [], linestyle="", marker="D", markersize=5, markerfacecolor="white", color="black")


@styled
def draw_probability_along(results: pd.DataFrame) -> Figure:
    """Draw the first class's probability along walks, a panel a data set: means over inputs with 95% bands.

    Args:
        results: a row a walk, with columns inputs, input, algorithm and own_at_0, own_at_5, ... own_at_100.
    """
    data = list(dict.fromkeys(results["inputs"]))
    size = (max(4.4, 0.6 + 1.8 * len(data)), 2.3)
    fig, axes = plt.subplots(1, len(data), figsize=size, squeeze=False, sharey=True)
    along = {name: int(name.removeprefix("own_at_")) for name in results if name.startswith("own_at_")}
    of_inputs = results.groupby(["inputs", "algorithm", "input"])[list(along)].mean().rename(columns=along)
    points = of_inputs.melt(var_name="percent", value_name="probability", ignore_index=False).reset_index()
    told = {"x": "percent", "y": "probability", "hue": "algorithm", "palette": ALGORITHMS, "legend": False}
    for ax, name in zip(axes[0], data, strict=True):
        sns.lineplot(points[points["inputs"] == name], **told, ax=ax, linewidth=1.6, n_boot=200, seed=0)
        ax.set(title=name, ylim=(0, 1.03), xlabel=None, ylabel="probability of the first class")
    fig.supxlabel("steps made, % (bands: 95%, over inputs)", fontsize=9)
    handles = [plt.Line2D([], [], color=colour) for colour in ALGORITHMS.values()]
    fig.legend(handles, ALGORITHMS, loc="outside upper center", ncols=len(handles), fontsize=8)
    return fig


@styled
def draw_drifts(results: pd.DataFrame, tolerance: float) -> Figure:
    """Draw which share of walks stays within a drift, for every drift: a line an algorithm, a panel a step multiplier.

    Args:
        results: a row a walk, with columns eta, algorithm and drift (nats).
        tolerance: where a dotted line is drawn, in nats.
    """
    etas = sorted(set(results["eta"]))
    fig, axes = plt.subplots(1, len(etas), figsize=(3.1 * len(etas), 2.5), squeeze=False, sharey=True, sharex=True)
    for ax, eta in zip(axes[0], etas, strict=True):
        for algorithm, colour in ALGORITHMS.items():
            chosen = results[(results["eta"] == eta) & (results["algorithm"] == algorithm)]
            sns.ecdfplot(chosen, x="drift", ax=ax, color=colour, linewidth=1.8, label=algorithm, log_scale=True)
        ax.axvline(tolerance, color="black", linestyle=":", linewidth=1.2, zorder=3, label="tolerance")
        ax.set(title=f"η = {eta:g}", xlabel="largest drift of the walk, nats", ylabel="share of walks")
    axes[0, -1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


@styled
def draw_rooms(ratios: pd.DataFrame, published: pd.DataFrame, steps: float) -> Figure:
    """Draw how much more room one walk takes up than another, over how much farther it travels: a panel a data set.

    Args:
        ratios: a row a pair of walks, with columns inputs, travel and volume; both axes are logarithmic.
        published: columns inputs and published, a ratio of hypervolumes for each data set.
        steps: published ratio of the lengths of steps, one for all data.
    """
    data = dict(published[["inputs", "published"]].itertuples(index=False))
    size = (0.6 + 1.9 * len(data), 2.7)
    fig, axes = plt.subplots(1, len(data), figsize=size, squeeze=False, sharey=True, sharex=True)
    ends = np.array([ratios["travel"].min() / 2, 2 * steps])
    for ax, (name, ratio) in zip(axes[0], data.items(), strict=True):
        here = ratios[ratios["inputs"] == name]
        ax.plot(ends, ends, color="0.45", linewidth=1.0, zorder=0)
        ax.plot(here["travel"], here["volume"], "o", color=ALGORITHMS["SiMExp"], ms=3, alpha=0.4, mew=0)
        ax.add_line(_diamond([steps], [ratio]))
        ax.set(title=name, xscale="log", yscale="log")
        _write_plainly(ax.xaxis)
        _write_plainly(ax.yaxis)
    axes[0, 0].set_ylabel("room, times as large")
    fig.supxlabel("travel of SiMExp, times that of SiMEC", fontsize=9)
    equal, pairs, diamond = axes[0, 0].lines
    names = ["a pair of walks from one start, here", "published (one length of steps for all data)", "equal"]
    fig.legend([pairs, diamond, equal], names, loc="outside upper center", ncols=3, fontsize=8)
    return fig
