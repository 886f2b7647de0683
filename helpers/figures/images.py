"""Figures of images: grids of images, the importance of patches, and images along a walk."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from helpers.adapters import Head
from helpers.adapters.heads import CLASSES
from helpers.figures.style import ROLE_COLOURS, styled

SMALLEST_PROBABILITY = 1e-7  # lower end of the logarithmic axis of probabilities
Images = Sequence[np.ndarray | None]  # (H, W) or (C, H, W) each; None leaves its place in a grid empty


@styled
def draw_images(
    images: Images, titles: Sequence[str], signed: bool = False, columns: int | None = None, size: float = 1.15
) -> Figure:
    """Draw images in a grid, each with its title.

    Args:
        images: values in [0, 1], or of both signs when ``signed``; None leaves a place empty.
        titles: one per image.
        signed: use a diverging colour scale for each image: blue below zero, red above.
        columns: number of images per row; all images in one row if None.
        size: width of an image in inches.
    """
    if not len(images):
        raise ValueError("images: there are none; give at least one")
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.3) * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        if image is not None:
            _show_image(ax, image, signed)
            ax.set_title(title, fontsize=8)
    return fig


def _show_image(ax: Axes, image: np.ndarray, signed: bool = False) -> None:
    pixels = np.moveaxis(image, 0, -1) if np.ndim(image) == 3 else image
    limit = float(np.abs(pixels).max()) or 1.0
    ax.imshow(pixels, **({"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else {"vmin": 0, "vmax": 1}))
    ax.set(xticks=[], yticks=[])


@styled
def draw_importance(image: np.ndarray, importance: Tensor, grid: tuple[int, int]) -> Figure:
    """Draw an image with values in [0, 1] beside the importance of its patches, over which its outline is drawn.

    The importance (rows * columns,) of a patch is the largest pullback length of a unit move of it; the grid gives the
    numbers of rows and columns.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(5.2, 2.4), width_ratios=[1, 1.25])
    _show_image(left, image)
    grey = image.mean(0) if np.ndim(image) == 3 else image
    height, width = grey.shape
    values = importance.reshape(grid).numpy()
    shown = right.imshow(values, cmap="viridis", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    fig.colorbar(shown, ax=right, label="largest pullback length")
    if grey.min() < grey.max():
        middle = (float(grey.min()) + float(grey.max())) / 2
        right.contour(grey, levels=[middle], colors="white", linewidths=1.2)
    right.set(xticks=[], yticks=[], title="patch importance")
    left.set_title("image")
    return fig


@styled
def draw_walk_images(
    images: Sequence[np.ndarray],
    outputs: Tensor,
    class_names: Sequence[str],
    titles: Sequence[str],
    head: Head = CLASSES,
) -> Figure:
    """Draw some images along a walk, each above its probabilities on a logarithmic axis, or above its values.

    The bar of the predicted class is black.
    The outputs have one row per image: (len(images), k). The head says what they are, as in ``f.head``.

    Raises:
        ValueError: the outputs are not what the head computes.
    """
    size = (1.45 * len(images), 2.9)
    fig, axes = plt.subplots(2, len(images), figsize=size, height_ratios=[1.4, 1], sharey="row", squeeze=False)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        _show_image(ax, image)
        ax.set_title(title, fontsize=8)
    for ax, values in zip(axes[1], head.probabilities(outputs), strict=True):
        predicted = int(values.argmax()) if head.is_distribution else None
        colours = [ROLE_COLOURS["predicted" if k == predicted else "bar"][0] for k in range(len(class_names))]
        ax.bar(range(len(class_names)), values.tolist(), color=colours)
        ax.set_xticks(range(len(class_names)), class_names, fontsize=7)
        if head.is_logarithmic:
            ax.set(yscale="log", ylim=(SMALLEST_PROBABILITY, 1.5))
        ax.tick_params(length=0)
    axes[1, 0].set_ylabel(head.quantity)
    return fig
