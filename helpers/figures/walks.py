"""Figures of walks: in the plane, their drift, their predictions, and their principal directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from helpers.adapters import Head
from helpers.adapters.heads import CLASSES
from helpers.equivalence import ExplorationPath
from helpers.figures.style import COLOURS, DASHES, MARKERS, ROLE_COLOURS, create_panels, get_axes, style_walks, styled
from helpers.geometry import PullbackMetric
from helpers.geometry.differentiation import SmoothMap

GRID_POINTS = 101  # per side of the grid on which level curves are computed
ELLIPSE_LENGTH = 0.7  # length of the longest ellipse's longer axis, in units of the plane
SMALLEST_DRIFT = 1e-17  # drifts of zero are drawn here, below the rounding error of float64
START_RING: dict[str, Any] = {"ls": "", "marker": "o", "mfc": "none", "mec": "black", "ms": 11, "mew": 1.5}


@styled
def draw_plane(
    f: SmoothMap,
    walks: Mapping[str, Tensor] | None = None,
    metrics: Sequence[PullbackMetric] = (),
    span: float = 2.0,
    boundary: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a function of two variables: its level curves, walks over them, and pullback metrics as ellipses.

    Args:
        f: maps a point with 2 entries to (k,); the level curves are those of the first output.
        walks: name of a walk -> its points (T+1, ...); the names choose the colours, see ``style_walks``.
        metrics: each drawn as an ellipse around its base point. The axes of the ellipse point along the eigenvectors,
            and their lengths are proportional to the singular values; an eigenvalue of zero makes it a segment.
        span: the plane is shown from -span to span.
        boundary: a level of the first output to draw as a dashed line. The level of each start is dotted.
        ax: where to draw; a new figure if None.
    """
    fig, ax = get_axes(ax, (4.2, 4.0))
    walks = walks or {}
    shape = next((points.shape[1:] for points in walks.values()), torch.Size([2]))
    marked: dict[float | None, str] = {float(f(points[0])[0]): "dotted" for points in walks.values()}
    _draw_level_curves(ax, f, shape, span, marked | {boundary: "dashed"})
    for name, style in style_walks(walks).items():
        x, y = walks[name].flatten(1).T
        ax.plot(x, y, lw=1.6, label=name, **style)
        ax.plot(x[0], y[0], "o", color="black", ms=5, zorder=4)
        ax.plot(x[-1], y[-1], "s", color=style["color"], ms=6, mec="white", zorder=4)
    _draw_ellipses(ax, metrics)
    ax.set(xlabel="x", ylabel="y", aspect="equal", xlim=(-span, span), ylim=(-span, span))
    ax.locator_params(nbins=5)
    if walks:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
    return fig


def _draw_level_curves(
    ax: Axes, f: SmoothMap, shape: torch.Size, span: float, marked: Mapping[float | None, str]
) -> None:
    ticks = np.linspace(-span, span, GRID_POINTS)
    plane = torch.tensor([(x, y) for y in ticks for x in ticks], dtype=torch.float64).reshape(-1, *shape)
    heights = torch.stack([f(point)[0] for point in plane]).detach().reshape(GRID_POINTS, GRID_POINTS)
    ax.contour(ticks, ticks, heights, levels=15, colors="0.75", linewidths=0.8, linestyles="solid")
    for level, style in marked.items():
        if level is not None and heights.min() < level < heights.max():  # else there is no such curve
            ax.contour(ticks, ticks, heights, levels=[level], colors="black", linewidths=1.2, linestyles=style)


def _draw_ellipses(ax: Axes, metrics: Sequence[PullbackMetric]) -> None:
    longest = max((float(metric.singular_values[0]) for metric in metrics), default=1.0)
    for metric in metrics:
        x, y = metric.base_point.flatten().tolist()
        axis = metric.right[0]
        values = [*metric.singular_values.tolist(), 0.0]  # one output has one value: its ellipse is a segment
        width, height = (ELLIPSE_LENGTH * value / longest for value in values[:2])
        angle = float(torch.rad2deg(torch.atan2(axis[1], axis[0])))
        style = {"facecolor": "none", "edgecolor": COLOURS[3], "linewidth": 1.6}
        ax.add_patch(Ellipse((x, y), width, height, angle=angle, zorder=3, **style))
        ax.plot(x, y, ".", color=COLOURS[3], ms=3, zorder=3)


@styled
def draw_drift(
    paths: Mapping[str, ExplorationPath],
    unit: str = "nats",
    tolerance: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the drift of each walk, the largest change of any output from its first value, over the distance travelled.

    The names of the walks choose their colours, see ``style_walks``. The unit is that of the outputs; a dotted line
    marks the tolerance. Without axes to draw into, a new figure is made.
    """
    fig, ax = get_axes(ax, (4.8, 3.0))
    for name, style in style_walks(paths).items():
        drift = paths[name].drift[1:].clamp(min=SMALLEST_DRIFT)
        ax.semilogy(paths[name].step_sizes.cumsum(0), drift, label=name, **style)
    if tolerance is not None:
        ax.axhline(tolerance, color="black", ls=":", lw=1)
        ax.annotate("tolerance", (0.99, tolerance), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    ax.set(xlabel="distance travelled", ylabel=f"largest output change ({unit})")
    ax.legend(ncols=2, loc="center", bbox_to_anchor=(0.5, 0.68))
    return fig


@styled
def draw_spectrum(metric: PullbackMetric, ax: Axes | None = None) -> Figure:
    """Draw the eigenvalues of a pullback metric that can differ from zero; the legend counts those that are zero."""
    fig, ax = get_axes(ax, (4.2, 2.8))
    values = metric.eigenvalues.clamp(min=1e-20).numpy()  # a logarithmic axis cannot show zero
    index = np.arange(1, len(values) + 1)
    positive = index <= metric.rank
    visible, null = (ROLE_COLOURS[role][0] for role in ("visible", "null"))
    ax.semilogy(index[positive], values[positive], "o", color=visible, label=f"not zero: {metric.rank}")
    ax.semilogy(index[~positive], values[~positive], "x", color=null, label=f"zero: {metric.nullity}")
    ax.set(xlabel="index", ylabel="eigenvalue", xticks=index, title=f"{len(values)} of {metric.n} eigenvalues")
    ax.legend(loc="lower left")
    return fig


@styled
def draw_probabilities(
    paths: Mapping[str, ExplorationPath],
    class_names: Sequence[str],
    most: int = 6,
    head: Head = CLASSES,
) -> Figure:
    """Draw the probabilities of classes or labels along walks from one start, or the values of a regression.

    Each walk has a panel. Only the ``most`` outputs that are largest at any point of any walk are drawn.

    Args:
        paths: name of a walk -> the walk.
        class_names: one per output.
        most: number of outputs that are drawn.
        head: what the outputs are, as in ``f.head``.

    Raises:
        ValueError: the outputs are not what the head computes.
    """
    drawn = {name: head.probabilities(path.outputs) for name, path in paths.items()}
    peaks = torch.stack([values.amax(0) for values in drawn.values()]).amax(0)
    classes = sorted(peaks.argsort(descending=True)[:most].tolist())
    fig, axes = create_panels(paths, (2.7 * len(paths), 2.6))
    for ax, values in zip(axes, drawn.values(), strict=True):
        for k in classes:
            ax.plot(values[:, k], ls=DASHES[k % 5], color=COLOURS[k % 10], label=class_names[k], lw=1.6)
        ax.set(xlabel="step", **({"ylim": (-0.02, 1.02)} if head.is_logarithmic else {}))
    axes[0].set_ylabel(head.quantity)
    title = "class" if len(classes) == len(peaks) else f"class\n({len(classes)} of {len(peaks)})"
    fig.legend(*axes[0].get_legend_handles_labels(), title=title, loc="outside right center")
    return fig


@styled
def draw_projection(paths: Mapping[str, ExplorationPath], class_names: Sequence[str], head: Head = CLASSES) -> Figure:
    """Draw walks from one start projected onto their first two singular directions, one panel per walk.

    The marker shows the predicted class or the most probable label, the colour the step; a ring marks the start. The
    head says what the outputs are, as in ``f.head``.

    Raises:
        ValueError: the outputs are not what the head computes, or values of a regression, which predict no class.

    Source: the projection figure of arXiv 2410.06019.
    """
    classes = {name: head.most_probable(path.outputs) for name, path in paths.items()}
    origin = next(iter(paths.values())).points[0]
    moves = {name: (path.points - origin).flatten(1).double() for name, path in paths.items()}
    _, _, directions = torch.linalg.svd(torch.cat(list(moves.values())), full_matrices=False)
    predicted = sorted({int(k) for each in classes.values() for k in each})
    fig, axes = create_panels(paths, (3.2 * len(paths), 3.0), sharex=True)
    for ax, name in zip(axes, paths, strict=True):
        _draw_projected_points(ax, (moves[name] @ directions[:2].T).numpy(), classes[name].numpy())
        ax.set_xlabel("1st singular direction")
    axes[0].set_ylabel("2nd singular direction")
    fig.colorbar(axes[-1].collections[-1], ax=axes[-1], label="step")
    handles = [plt.Line2D([], [], ls="", marker=MARKERS[k % 10], color="0.4", label=class_names[k]) for k in predicted]
    handles.append(plt.Line2D([], [], label="start", **START_RING))
    fig.legend(handles=handles, title="predicted", loc="outside right center")
    return fig


def _draw_projected_points(ax: Axes, points: np.ndarray, classes: np.ndarray) -> None:
    """Draw points (T+1, 2) with a marker for their class (T+1,) and a colour for their step."""
    steps = np.arange(len(points))
    for k in np.unique(classes):
        x, y = points[classes == k].T
        colours: dict[str, Any] = {"c": steps[classes == k], "cmap": "viridis", "vmin": 0, "vmax": len(points) - 1}
        ax.scatter(x, y, s=14, marker=MARKERS[k % 10], linewidths=0, **colours)
    ax.plot(*points[0], **START_RING)
