"""A figure on a dark page: what stands out on white stands out there, pictures stay, and nothing is left behind."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba

from helpers.figures.dark import darken, on_dark_page
from helpers.figures.style import THEME_COLOURS
from tests.widgets.test_theme import contrast

CHANNEL = st.floats(0, 1)


@given(st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_what_stands_out_on_white_stands_out_on_the_dark_page(colour):
    ground = to_hex(darken("white"))
    assert ground == "#111111"
    wanted = min(contrast(to_hex(colour), "#ffffff"), 4.5)
    assert contrast(to_hex(darken(colour)), ground) >= wanted or wanted < 3


def test_an_algorithm_has_the_colour_of_the_widgets_and_opacity_stays():
    for light, dark in THEME_COLOURS.values():
        assert to_hex(darken(light)) == dark
    assert darken((0, 0, 0, 0.2))[3] == 0.2
    assert darken("none")[3] == 0


@pytest.fixture
def figure():
    fig, (left, right) = plt.subplots(1, 2, figsize=(3, 2))
    left.plot([0, 1], "ko-", label="line")
    left.scatter([0, 1], [1, 0], c=["red", "black"])
    left.annotate("there", (0, 0), (1, 1), arrowprops={"color": "black"}, bbox={"facecolor": "white"})
    left.legend()
    right.imshow(np.eye(3))
    right.text(0, 0, "1", color="black")
    right.set_title("picture")
    plt.close(fig)
    return fig


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def test_lines_and_texts_change_and_pictures_stay(figure):
    before = pixels(figure)
    left, right = figure.axes
    with on_dark_page(figure):
        assert to_hex(figure.get_facecolor()) == to_hex(left.get_facecolor()) == "#111111"
        light = to_hex(darken("black"))
        assert to_hex(left.lines[0].get_color()) == to_hex(left.lines[0].get_markerfacecolor()) == light
        assert to_hex(left.collections[0].get_facecolor()[1]) == light
        assert to_hex(left.texts[0].get_color()) == to_hex(left.texts[0].arrow_patch.get_facecolor()) == light
        assert to_hex(left.texts[0].get_bbox_patch().get_facecolor()) == "#111111"
        assert to_hex(left.get_legend().get_texts()[0].get_color()) == to_hex(right.title.get_color()) == light
        assert to_hex(left.xaxis.get_ticklines()[0].get_color()) == light
        assert to_rgba(right.texts[0].get_color()) == to_rgba("black"), "it was chosen to stand out over the picture"
        assert (pixels(figure) != before).any()
    assert (pixels(figure) == before).all()
    with pytest.raises(ZeroDivisionError), on_dark_page(figure):
        _ = 1 / 0
    assert (pixels(figure) == before).all()
