"""Figures of a sweep: means with intervals beside the published values, and means along walks."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from helpers.figures.style import ALGORITHM_COLOURS, CONTROL_COLOUR, create_panels, styled

ALGORITHMS = (  # in the order of rows and legends
    "SiMEC",
    "released SiMEC",
    "corrected",
    "SiMExp",
    "released SiMExp",
    "baseline",
    "baseline up",
    "baseline down",
)


def _present(results: pd.DataFrame) -> list[str]:
    """List the algorithms of a table in the order of legends."""
    return [name for name in ALGORITHMS if name in set(results["algorithm"])]


@styled
def draw_algorithm_means(
    measured: pd.DataFrame,
    published: pd.DataFrame | None,
    quantity: str,
    reference: float | None = None,
    scale: str = "linear",
) -> Figure:
    """Draw means with their intervals: one panel per data set, one row per algorithm and step multiplier.

    Args:
        measured: columns inputs, eta, algorithm, mean, low, high, as ``helpers.measures.tabulate_means`` returns them.
        published: columns inputs, eta, algorithm, published; each row is drawn as a hollow diamond. None for none.
        quantity: what is measured.
        reference: where to draw a vertical grey line.
        scale: of the horizontal axis: "linear", "log", or "symlog", which is logarithmic above 1.
    """
    names = measured["inputs"].unique()
    pairs = set(zip(measured["eta"], measured["algorithm"], strict=True))
    rows = sorted(pairs, key=lambda row: (row[0], ALGORITHMS.index(row[1])))
    fig, axes = create_panels(names, (1.2 + 1.75 * len(names), 0.9 + 0.22 * len(rows)), sharex=True)
    for ax, name in zip(axes, names, strict=True):
        _draw_measured(ax, measured[measured["inputs"] == name], rows)
        if published is not None:
            _draw_published(ax, published[published["inputs"] == name], rows)
        if reference is not None:
            ax.axvline(reference, color=CONTROL_COLOUR, linewidth=1.0, zorder=0)
        ax.grid(axis="x", color="0.92", zorder=-1)
        if scale != "linear":
            ax.set_xscale(scale, **({"linthresh": 1, "linscale": 0.7} if scale == "symlog" else {}))
            _use_plain_numbers(ax.xaxis)
    axes[0].set_yticks(range(len(rows)), [f"{algorithm}, η = {eta:g}" for eta, algorithm in rows])
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    fig.supxlabel(quantity, fontsize=9)
    if published is not None:
        handles = [plt.Line2D([], [], color="0.3", marker="o", markersize=4), _create_diamond()]
        fig.legend(handles, ["measured, 95%", "published"], loc="outside upper center", ncols=2, fontsize=8)
    return fig


def _draw_measured(ax: Axes, measured: pd.DataFrame, rows: Sequence[tuple[float, str]]) -> None:
    for mean in measured.itertuples():
        row, colour = rows.index((mean.eta, mean.algorithm)), ALGORITHM_COLOURS[mean.algorithm]
        ax.plot([mean.low, mean.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        ax.plot(mean.mean, row, "o", color=colour, markersize=4.5)


def _draw_published(ax: Axes, published: pd.DataFrame, rows: Sequence[tuple[float, str]]) -> None:
    for value in published.itertuples():
        if (value.eta, value.algorithm) in rows:
            ax.add_line(_create_diamond([value.published], [rows.index((value.eta, value.algorithm))]))
            ax.update_datalim([(value.published, 0)])
    ax.autoscale_view(scaley=False)


def _use_plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis 0.1, 1, 10, without powers and without minor ticks."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _create_diamond(x: Sequence[float] = (), y: Sequence[float] = ()) -> plt.Line2D:
    return plt.Line2D(x, y, linestyle="", marker="D", markersize=5, markerfacecolor="white", color="black")


@styled
def draw_mean_probability(results: pd.DataFrame) -> Figure:
    """Draw the probability of the first predicted class along walks, one panel per data set.

    Lines are means over inputs, bands their 95% intervals by bootstrap. The results have one row per walk, with columns
    inputs, input, algorithm and own_at_0, own_at_5, ... own_at_100.
    """
    names = results["inputs"].unique()
    percents = {name: int(name.removeprefix("own_at_")) for name in results if name.startswith("own_at_")}
    means = results.groupby(["inputs", "algorithm", "input"])[list(percents)].mean().rename(columns=percents)
    points = means.melt(var_name="percent", value_name="probability", ignore_index=False).reset_index()
    columns = {"x": "percent", "y": "probability", "hue": "algorithm"}
    algorithms = _present(results)
    style = {"palette": {name: ALGORITHM_COLOURS[name] for name in algorithms}, "legend": False, "linewidth": 1.6}
    fig, axes = create_panels(names, (max(4.4, 0.6 + 1.8 * len(names)), 2.3))
    for ax, name in zip(axes, names, strict=True):
        sns.lineplot(points[points["inputs"] == name], ax=ax, n_boot=200, seed=0, **columns, **style)
        ax.set(ylim=(0, 1.03), xlabel=None, ylabel="probability of the first class")
    fig.supxlabel("steps made, % (bands: 95%, over inputs)", fontsize=9)
    handles = [plt.Line2D([], [], color=ALGORITHM_COLOURS[name]) for name in algorithms]
    fig.legend(handles, algorithms, loc="outside upper center", ncols=len(handles), fontsize=8)
    return fig


@styled
def draw_drift_distribution(results: pd.DataFrame, tolerance: float) -> Figure:
    """Draw the share of walks with at most a given drift: one line per algorithm, one panel per step multiplier.

    The results have one row per walk, with columns eta, algorithm and drift (nats). A dotted line marks the tolerance
    (nats).
    """
    etas = sorted(set(results["eta"]))
    fig, axes = create_panels(map("η = {:g}".format, etas), (3.1 * len(etas), 2.5), sharex=True)
    for ax, eta in zip(axes, etas, strict=True):
        for name in _present(results):
            walks = results[(results["eta"] == eta) & (results["algorithm"] == name)]
            style = {"color": ALGORITHM_COLOURS[name], "linewidth": 1.8, "label": name}
            sns.ecdfplot(walks, x="drift", ax=ax, log_scale=True, **style)
        ax.axvline(tolerance, color="black", linestyle=":", linewidth=1.2, zorder=3, label="tolerance")
        ax.set(xlabel="largest drift of the walk, nats", ylabel="share of walks")
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


@styled
def draw_volume_over_travel(ratios: pd.DataFrame, published: pd.DataFrame, steps: float) -> Figure:
    """Draw the ratio of two walks' volumes over the ratio of their travels: one panel per data set, both axes log.

    Args:
        ratios: one row per pair of walks (SiMExp to SiMEC), with columns inputs, travel and volume.
        published: columns inputs and published, one ratio of hypervolumes per data set.
        steps: the published ratio of step lengths, one for all data sets.
    """
    volumes = dict(published[["inputs", "published"]].itertuples(index=False))
    fig, axes = create_panels(volumes, (0.6 + 1.9 * len(volumes), 2.7), sharex=True)
    ends = np.array([ratios["travel"].min() / 2, 2 * steps])
    for ax, (name, volume) in zip(axes, volumes.items(), strict=True):
        pairs = ratios[ratios["inputs"] == name]
        ax.plot(ends, ends, color=CONTROL_COLOUR, linewidth=1.0, zorder=0)
        ax.plot(pairs["travel"], pairs["volume"], "o", color=ALGORITHM_COLOURS["SiMExp"], ms=3, alpha=0.4, mew=0)
        ax.add_line(_create_diamond([steps], [volume]))
        ax.set(xscale="log", yscale="log")
        _use_plain_numbers(ax.xaxis)
        _use_plain_numbers(ax.yaxis)
    axes[0].set_ylabel("volume, times that of SiMEC")
    fig.supxlabel("travel of SiMExp, times that of SiMEC", fontsize=9)
    equal, measured, diamond = axes[0].lines
    labels = ["a pair of walks from one start, here", "published (one step length for all data)", "equal"]
    fig.legend([measured, diamond, equal], labels, loc="outside upper center", ncols=3, fontsize=8)
    return fig
