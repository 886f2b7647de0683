"""The figure explorer: a control moves, the picture changes; an error is shown and goes away."""

import io

import ipywidgets
import matplotlib.pyplot as plt
from PIL import Image

from helpers.widgets import FigureExplorer


def draw(height):
    if height < 0:
        raise ValueError("height=-1: too low")
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar([0], [height])
    ax.set_ylim(0, 10)
    plt.close(fig)
    return fig


def test_a_control_draws_the_figure_again():
    explorer = FigureExplorer(draw, height=ipywidgets.IntSlider(2, min=-1, max=9))
    first = explorer.picture.value
    explorer.controls["height"].value = 8
    assert explorer.picture.value != first
    assert Image.open(io.BytesIO(first)).size[0] > 50
    assert explorer.controls["height"].description == "height"


def test_an_error_is_shown_and_goes_away():
    slider = ipywidgets.IntSlider(2, min=-1, max=9)
    explorer = FigureExplorer(draw, height=slider)
    good = explorer.picture.value
    slider.value = -1
    assert "too low" in explorer.status.value
    assert explorer.picture.value == good
    slider.value = 2
    assert explorer.status.value == ""
