"""The figure explorer: a control moves, the picture changes; an error takes its place and goes away."""

import io

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from helpers.figures import describe
from helpers.widgets import FigureExplorer


def draw(height):
    if height < 0:
        raise ValueError("height=-1: too low")
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar([0], [height], color="blue")
    ax.set_ylim(0, 10)
    ax.set_ylabel("height")
    return fig


@pytest.fixture
def explorer():
    return FigureExplorer(draw, height=ipywidgets.IntSlider(2, min=-1, max=9))


def read_pixels(explorer):
    """Return the pixels (H, W, 4) of the picture, red, green, blue and alpha from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGBA"))


def count_blue_pixels(explorer):
    return int((read_pixels(explorer)[..., :3] == (0, 0, 255)).all(-1).sum())


def test_a_control_draws_the_figure_again(explorer):
    low = count_blue_pixels(explorer)
    explorer.controls["height"].value = 8
    assert count_blue_pixels(explorer) == pytest.approx(4 * low, rel=0.1)
    assert explorer.controls["height"].description == "height"
    assert plt.get_fignums() == [], "the notebook would keep figures that are open"


def test_the_picture_follows_the_theme_without_drawing_again(explorer):
    light, figure = read_pixels(explorer), explorer._figure
    explorer.picture.is_dark = True
    dark = read_pixels(explorer)
    assert explorer._figure is figure
    assert light.shape == dark.shape and (dark[..., 3] == 255).all(), "the picture has a background of its own"
    assert light[0, 0, :3].tolist() == [255] * 3 and dark[0, 0, :3].tolist() == [17] * 3
    assert light.min() == 0 and (dark[..., :3].sum(-1) > 600).any(), "black axes become light"
    explorer.controls["height"].value = 3
    assert read_pixels(explorer)[0, 0, 0] == 17
    explorer.controls["height"].value = 2
    explorer.picture.is_dark = False
    assert (read_pixels(explorer) == light).all()


def test_an_error_takes_the_place_of_the_picture_and_goes_away(explorer):
    explorer.controls["height"].value = -1
    assert explorer.status.value == "cannot draw this: height=-1: too low\nChange a control to draw again."
    assert explorer.status.is_error and explorer.picture.value == b""
    explorer.picture.is_dark = True
    assert explorer.picture.value == b""
    explorer.controls["height"].value = 2
    assert explorer.status.value == "" and explorer.picture.value


def test_the_picture_has_a_description(explorer):
    assert explorer.picture.alt == "Figure. height. Drawn for height = 2."
    explorer.controls["height"].value = 5
    assert explorer.picture.alt.endswith("height = 5.")
    assert FigureExplorer(lambda: describe(draw(1), "A low bar.")).picture.alt == "A low bar."


def test_any_function_that_returns_what_has_a_figure_will_do():
    assert FigureExplorer(lambda: draw(1).axes[0]).picture.value
    explorer = FigureExplorer(lambda: "no figure")
    assert "returned str, wanted a figure" in explorer.status.value
