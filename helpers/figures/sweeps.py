"""Figures of a sweep: means with intervals, measured beside published, and courses along walks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
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
LINE_STYLES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")  # of the quantities in a figure of courses


def _family(algorithm: str) -> str:
    """Return the algorithm of which a walk is a variant: "released SiMEC" of "released SiMEC, random signs"."""
    return algorithm.split(",")[0]


def _present(results: pd.DataFrame) -> list[str]:
    """List the algorithms of a table in the order of legends, each before its variants."""
    return sorted(results["algorithm"].unique(), key=lambda name: (ALGORITHMS.index(_family(name)), "," in name))


@styled
def draw_algorithm_means(
    measured: pd.DataFrame, quantity: str, reference: float | None = None, scale: str = "linear"
) -> Figure:
    """Draw means with their intervals: one panel per data set, one row per algorithm and step multiplier.

    Args:
        measured: columns inputs, eta, algorithm, mean, low, high, as ``helpers.measures.tabulate_means`` returns them.
        quantity: what is measured.
        reference: where to draw a vertical grey line.
        scale: of the horizontal axis: "linear", "log", or "symlog", which is logarithmic above 1.
    """
    data_sets = measured["inputs"].unique()
    names, etas = _present(measured), sorted(measured["eta"].unique())
    rows = [(eta, name) for eta in etas for name in names]
    fig, axes = create_panels(data_sets, (1.2 + 1.75 * len(data_sets), 0.9 + 0.22 * len(rows)), sharex=True)
    for ax, data_set in zip(axes, data_sets, strict=True):
        for mean in measured[measured["inputs"] == data_set].itertuples():
            row, colour = rows.index((mean.eta, mean.algorithm)), ALGORITHM_COLOURS[_family(mean.algorithm)]
            ax.plot([mean.low, mean.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            ax.plot(mean.mean, row, "o", color=colour, markersize=4.5)
        if reference is not None:
            ax.axvline(reference, color=CONTROL_COLOUR, linewidth=1.0, zorder=0)
        ax.grid(axis="x", color="0.92", zorder=-1)
        _set_scale(ax, "x", scale)
    labels = [name if len(etas) == 1 else f"{name}, η = {eta:g}" for eta, name in rows]
    axes[0].set_yticks(range(len(rows)), labels)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    fig.supxlabel(f"{quantity} (lines: 95%, over inputs)", fontsize=9)
    return fig


def _set_scale(ax: Axes, name: str, scale: str) -> None:
    """Set the scale of the "x" or "y" axis; a logarithmic one reads 0.1, 1, 10, without powers and minor ticks."""
    if scale == "linear":
        return
    options = {"linthresh": 1, "linscale": 0.7} if scale == "symlog" else {}
    getattr(ax, f"set_{name}scale")(scale, **options)
    axis = getattr(ax, f"{name}axis")
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@styled
def draw_beside_published(cells: pd.DataFrame, quantity: str, scale: str = "symlog") -> Figure:
    """Draw measured means over published ones, with the line where both are equal: one panel per data set.

    Args:
        cells: columns inputs, algorithm, published, mean, low, high, as ``helpers.measures.compare_with_published``
            returns them; the algorithms are named as walks are, so that two rules for one published figure differ.
        quantity: what is measured.
        scale: of both axes: "linear", "log", or "symlog", which is logarithmic above 1.
    """
    data_sets, names = cells["inputs"].unique(), _present(cells)
    ends = min(0.0, float(cells["published"].min())), float(cells[["published", "high"]].max().max())
    size = 0.7 + 2.3 * len(data_sets), 2.9
    fig, axes = create_panels(data_sets, size, sharex=True)
    for ax, data_set in zip(axes, data_sets, strict=True):
        ax.plot(ends, ends, color=CONTROL_COLOUR, linewidth=1.0, zorder=0)
        for name in names:
            some = cells[(cells["inputs"] == data_set) & (cells["algorithm"] == name)]
            style = {"color": ALGORITHM_COLOURS[_family(name)], "markersize": 4.5, "elinewidth": 1}
            marker = "o" if name.startswith("released") else "^"
            spread = [some["mean"] - some["low"], some["high"] - some["mean"]]
            ax.errorbar(some["published"], some["mean"], spread, fmt=marker, label=name, **style)
        _set_scale(ax, "x", scale)
        _set_scale(ax, "y", scale)
    axes[0].set_ylabel(f"measured {quantity}")
    fig.supxlabel(f"published {quantity} (lines: 95%, over inputs; grey: equal)", fontsize=9)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names), fontsize=8)
    return fig


@styled
def draw_course(results: pd.DataFrame, quantities: Mapping[str, str], label: str, scale: str = "linear") -> Figure:
    """Draw how quantities change along walks: one panel per data set, one colour per algorithm, one style per quantity.

    Lines are means over inputs, bands their 95% intervals by bootstrap.

    Args:
        results: one row per walk, with columns inputs, input, algorithm and, for a quantity q, q_at_0 to q_at_100.
        quantities: the names of the columns, without "_at_0", and how the legend names them.
        label: of the vertical axis.
        scale: of the vertical axis: "linear" or "log".
    """
    data_sets, names = results["inputs"].unique(), _present(results)
    fig, axes = create_panels(data_sets, (max(4.4, 0.6 + 2.1 * len(data_sets)), 2.5))
    palette = {name: ALGORITHM_COLOURS[_family(name)] for name in names}
    styles = dict(zip(quantities, LINE_STYLES, strict=False))
    for ax, data_set in zip(axes, data_sets, strict=True):
        some = results[results["inputs"] == data_set]
        for quantity, style in styles.items():
            columns = {"x": "percent", "y": quantity, "hue": "algorithm", "palette": palette, "linestyle": style}
            points = _melt(some, quantity)
            sns.lineplot(points, ax=ax, n_boot=200, seed=0, legend=False, linewidth=1.6, **columns)
        ax.set(xlabel=None, ylabel=label)
        _set_scale(ax, "y", scale)
    fig.supxlabel("steps made, % (bands: 95%, over inputs)", fontsize=9)
    handles = {name: plt.Line2D([], [], color=colour) for name, colour in palette.items()}
    if len(styles) > 1:
        handles |= {quantities[q]: plt.Line2D([], [], color="0.3", linestyle=s) for q, s in styles.items()}
    fig.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, fontsize=8)
    return fig


def _melt(results: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return one row per algorithm, input and place of the course of a quantity."""
    prefix = f"{quantity}_at_"
    percents = {name: int(name.removeprefix(prefix)) for name in results if name.startswith(prefix)}
    means = results.groupby(["algorithm", "input"])[list(percents)].mean().rename(columns=percents)
    return means.melt(var_name="percent", value_name=quantity, ignore_index=False).reset_index()


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
            style = {"color": ALGORITHM_COLOURS[_family(name)], "linewidth": 1.8, "label": name}
            sns.ecdfplot(walks, x="drift", ax=ax, log_scale=True, **style)
        ax.axvline(tolerance, color="black", linestyle=":", linewidth=1.2, zorder=3, label="tolerance")
        ax.set(xlabel="largest drift of the walk, nats", ylabel="share of walks")
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig
