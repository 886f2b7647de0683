"""Walks, metrics and images as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from helpers.equivalence import ExplorationPath
from helpers.figures.style import COLOURS, DASHES, MARKERS, axes_of, styled
from helpers.geometry import PullbackMetric
from helpers.geometry.differentiation import SmoothMap


@styled
def draw_plane(
    f: SmoothMap,
    walks: Mapping[str, Tensor] | None = None,
    metrics: Sequence[PullbackMetric] = (),
    span: float = 2.0,
    boundary: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a function of two variables: level curves, walks over them, and the metric as ellipses.

    Args:
        f: maps a point with 2 entries to (k,).
        walks: the points (T+1, ...) of walks, by name.
        metrics: each drawn as an ellipse whose half-axes point along the eigenvectors and are as long as the outputs
            move along them (scaled to fit); an eigenvalue of zero makes it a segment.
        span: the plane is shown from -span to span.
        boundary: a level of the first output to draw as a dashed line.
        ax: where to draw.
    """
    fig, ax = axes_of(ax, (4.2, 4.0))
    ticks = np.linspace(-span, span, 101)
    shape = next((points.shape[1:] for points in (walks or {}).values()), (2,))
    plane = torch.tensor([(x, y) for y in ticks for x in ticks], dtype=torch.float64).reshape(-1, *shape)
    heights = torch.stack([f(point)[0] for point in plane]).detach().reshape(101, 101)
    ax.contour(ticks, ticks, heights, levels=15, colors="0.75", linewidths=0.8, linestyles="solid")
    if boundary is not None:
        ax.contour(ticks, ticks, heights, levels=[boundary], colors="black", linewidths=1.2, linestyles="dashed")
    for colour, (name, points) in zip(COLOURS, (walks or {}).items(), strict=False):
        x, y = points.flatten(1).T
        ax.plot(x, y, "-", color=colour, lw=1.6, label=name)
        ax.plot(x[0], y[0], "o", color="black", ms=5, zorder=4)
        ax.plot(x[-1], y[-1], "s", color=colour, ms=6, mec="white", zorder=4)
    _ellipses(ax, metrics)
    ax.set(xlabel="x", ylabel="y", aspect="equal", xlim=(-span, span), ylim=(-span, span))
    ax.locator_params(nbins=5)
    if walks:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
    return fig


def _ellipses(ax: Axes, metrics: Sequence[PullbackMetric]) -> None:
    longest = max((float(m.singular_values[0]) for m in metrics), default=1.0)
    for metric in metrics:
        x, y = metric.base_point.flatten().tolist()
        axis = metric.right[0]
        lengths = torch.zeros(2, dtype=torch.float64)
        lengths[: len(metric.singular_values)] = metric.singular_values
        width, height = (0.7 * lengths / longest).tolist()
        angle = float(torch.rad2deg(torch.atan2(axis[1], axis[0])))
        ax.add_patch(
            Ellipse((x, y), width, height, angle=angle, facecolor="none", edgecolor=COLOURS[3], lw=1.6, zorder=3)
        )
        ax.plot(x, y, ".", color=COLOURS[3], ms=3, zorder=3)


@styled
def draw_drift(
    paths: Mapping[str, ExplorationPath],
    unit: str = "nats",
    tolerance: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw how far each walk's outputs moved from their first values, over the distance travelled."""
    fig, ax = axes_of(ax, (4.8, 3.0))
    for colour, (name, path) in zip(COLOURS, paths.items(), strict=False):
        travelled = np.concatenate([[0], path.step_sizes.cumsum(0)])
        ax.semilogy(travelled[1:], path.drift[1:].clamp(min=1e-17), color=colour, label=name)
    if tolerance is not None:
        ax.axhline(tolerance, color="black", ls=":", lw=1)
        ax.annotate("tolerance", (0.99, tolerance), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    ax.set(xlabel="distance travelled", ylabel=f"largest output change ({unit})")
    ax.legend(ncols=2, loc="center", bbox_to_anchor=(0.5, 0.68))
    return fig


@styled
def draw_spectrum(metric: PullbackMetric, ax: Axes | None = None) -> Figure:
    """Draw the eigenvalues that can differ from zero, and say how many more are exactly zero."""
    fig, ax = axes_of(ax, (4.2, 2.8))
    values = metric.eigenvalues.clamp(min=1e-20).numpy()
    ranks = np.arange(1, len(values) + 1)
    seen = ranks <= metric.rank
    ax.semilogy(ranks[seen], values[seen], "o", color=COLOURS[0], label=f"not zero: {metric.rank}")
    ax.semilogy(ranks[~seen], values[~seen], "x", color=COLOURS[3], label=f"zero: {metric.nullity}")
    ax.set(xlabel="rank", ylabel="eigenvalue", xticks=ranks, title=f"{len(values)} of {metric.n} eigenvalues")
    ax.legend(loc="lower left")
    return fig


@styled
def draw_images(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    signed: bool = False,
    columns: int | None = None,
    size: float = 1.15,
) -> Figure:
    """Draw images in a grid, each with its title.

    Args:
        images: (H, W) or (C, H, W); in [0, 1], or of either sign when ``signed`` (then blue is below zero, red above).
        titles: one each.
        signed: use a diverging scale, its own for each image.
        columns: images in a row; all of them by default.
        size: inches per image.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.3) * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        show_image(ax, image, signed)
        ax.set_title(title, fontsize=8)
    return fig


def show_image(ax: Axes, image: np.ndarray, signed: bool = False) -> None:
    """Show one image (H, W) or (C, H, W) on axes without ticks."""
    image = np.asarray(image)
    shown = image.transpose(1, 2, 0) if image.ndim == 3 else image
    limit = float(np.abs(shown).max()) or 1.0
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else {"cmap": "gray", "vmin": 0, "vmax": 1}
    ax.imshow(shown, **scale)
    ax.set(xticks=[], yticks=[])


@styled
def draw_importance(image: np.ndarray, importance: Tensor, grid: tuple[int, int]) -> Figure:
    """Draw an image beside the importance of its patches: how far the outputs move for a unit move of each patch."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(5.2, 2.4), width_ratios=[1, 1.25])
    show_image(left, image)
    left.set_title("image")
    sns.heatmap(
        importance.reshape(grid).numpy(),
        ax=right,
        cmap="viridis",
        square=True,
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"label": "largest pullback length"},
    )
    right.set_title("patch importance")
    return fig


@styled
def draw_probabilities(paths: Mapping[str, ExplorationPath], class_names: Sequence[str], most: int = 6) -> Figure:
    """Draw the class probabilities along walks, side by side; classes that never matter are left out.

    Args:
        paths: walks by name, all from one start.
        class_names: one name an output.
        most: how many classes to draw: those that become largest anywhere.
    """
    peaks = torch.stack([path.outputs.exp().amax(0) for path in paths.values()]).amax(0)
    shown = sorted(peaks.argsort(descending=True)[:most].tolist())
    fig, axes = plt.subplots(1, len(paths), figsize=(2.7 * len(paths), 2.6), sharey=True, squeeze=False)
    for ax, (name, path) in zip(axes[0], paths.items(), strict=True):
        for k in shown:
            ax.plot(path.outputs[:, k].exp(), ls=DASHES[k % 5], color=COLOURS[k % 10], label=class_names[k], lw=1.6)
        ax.set(title=name, xlabel="step", ylim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("probability")
    title = "class" if len(shown) == len(peaks) else f"class\n({len(shown)} of {len(peaks)})"
    fig.legend(*axes[0, 0].get_legend_handles_labels(), title=title, loc="outside right center")
    return fig


@styled
def draw_projection(paths: Mapping[str, ExplorationPath], class_names: Sequence[str]) -> Figure:
    """Draw walks in the plane of their two largest singular directions: marker is the class, colour the step.

    Source: the projection figure of arXiv 2410.06019.
    """
    origin = next(iter(paths.values())).points[0]
    moved = {name: (path.points - origin).flatten(1).double() for name, path in paths.items()}
    _, _, directions = torch.linalg.svd(torch.cat(list(moved.values())), full_matrices=False)
    fig, axes = plt.subplots(1, len(paths), figsize=(3.2 * len(paths), 3.0), sharex=True, sharey=True, squeeze=False)
    start = {"ls": "", "marker": "o", "mfc": "none", "mec": "black", "ms": 11, "mew": 1.5}  # a ring: no class's marker
    met = sorted({int(k) for path in paths.values() for k in path.classes})
    for ax, (name, path) in zip(axes[0], paths.items(), strict=True):
        places = (moved[name] @ directions[:2].T).numpy()
        for k in met:
            here = (path.classes == k).numpy()
            dots = ax.scatter(
                *places[here].T,
                c=np.arange(len(places))[here],
                s=14,
                marker=MARKERS[k % 10],
                cmap="viridis",
                vmin=0,
                vmax=len(places) - 1,
                linewidths=0,
                label=class_names[k],
            )
        ax.plot(*places[0], **start)
        ax.set(title=name, xlabel="1st singular direction")
    axes[0, 0].set_ylabel("2nd singular direction")
    fig.colorbar(dots, ax=axes[0, -1], label="step")
    handles = [plt.Line2D([], [], ls="", marker=MARKERS[k % 10], color="0.4", label=class_names[k]) for k in met]
    handles.append(plt.Line2D([], [], **start, label="start"))
    fig.legend(handles=handles, title="predicted", loc="outside right center")
    return fig


@styled
def draw_walk(
    images: Sequence[np.ndarray], outputs: Tensor, class_names: Sequence[str], titles: Sequence[str]
) -> Figure:
    """Draw a few images along a walk above the class probabilities at each: the still twin of the class walker.

    Args:
        images: at some points of the walk.
        outputs: the class log-probabilities there, (len(images), k).
        class_names: one name an output.
        titles: one an image.
    """
    fig, axes = plt.subplots(
        2, len(images), figsize=(1.45 * len(images), 2.9), height_ratios=[1.4, 1], sharey="row", squeeze=False
    )
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        show_image(ax, image)
        ax.set_title(title, fontsize=8)
    for ax, here in zip(axes[1], outputs, strict=True):
        ax.bar(range(len(class_names)), here.exp(), color=COLOURS[0])
        ax.set(ylim=(0, 1), xticks=range(len(class_names)))
        ax.set_xticklabels(class_names, fontsize=7)
        ax.tick_params(length=0)
    axes[1, 0].set_ylabel("probability")
    return fig
