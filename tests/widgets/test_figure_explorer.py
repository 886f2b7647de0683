"""The figure explorer: a control moves, the picture changes; an error is shown and goes away."""

import io

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from helpers.widgets import FigureExplorer


def draw(height):
    if height < 0:
        raise ValueError("height=-1: too low")
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar([0], [height], color="blue")
    ax.set_ylim(0, 10)
    plt.close(fig)
    return fig


def read_pixels(explorer):
    """Return the pixels (H, W, 4) of the picture, red, green, blue and alpha from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGBA"))


def count_blue_pixels(explorer):
    return int((read_pixels(explorer)[..., :3] == (0, 0, 255)).all(-1).sum())


def test_a_control_draws_the_figure_again():
    explorer = FigureExplorer(draw, height=ipywidgets.IntSlider(2, min=-1, max=9))
    low = count_blue_pixels(explorer)
    explorer.controls["height"].value = 8
    assert count_blue_pixels(explorer) == pytest.approx(4 * low, rel=0.1)
    assert explorer.controls["height"].description == "height"


def test_the_picture_has_its_own_background_in_either_theme():
    explorer = FigureExplorer(draw, height=ipywidgets.IntSlider(2, min=-1, max=9))
    pixels = read_pixels(explorer)
    assert (pixels[..., 3] == 255).all(), "a transparent picture would put black text on a dark theme"
    assert (pixels[0, 0, :3] == 255).all()


def test_an_error_is_shown_and_goes_away():
    slider = ipywidgets.IntSlider(2, min=-1, max=9)
    explorer = FigureExplorer(draw, height=slider)
    good = explorer.picture.value
    slider.value = -1
    assert "too low" in explorer.status.value
    assert explorer.picture.value == good
    slider.value = 2
    assert explorer.status.value == ""
