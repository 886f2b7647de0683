"""Figures of parameters: one bar per item, one curve per layer and control, one cell per head."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import same_color

from helpers.figures import (
    draw_curves,
    draw_heads,
    draw_layers_beside_control,
    draw_token_map,
    draw_top_items,
)
from helpers.figures.style import ALGORITHM_COLOURS, COLOURS, CONTROL_COLOUR, MARKERS


def test_top_items_are_bars_with_the_highest_on_top():
    tokens = pd.DataFrame({"token": ["good", "bad", "odd"], "score": [3.0, 2.0, 1.0]})
    pairs = pd.DataFrame({"left": ["very", "not"], "right": ["good", "bad"], "score": [0.5, 0.4]})
    left, right = draw_top_items({"a neuron": tokens, "a head": pairs}, count=2, quantity="cosine").axes
    assert [left.get_title(), right.get_title()] == ["a neuron", "a head"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["good", "bad"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["very → good", "not → bad"]
    assert [bar.get_width() for bar in left.patches] == [3, 2]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert left.get_xlabel() == right.get_xlabel() == "cosine"
    assert left.get_xlim() == right.get_xlim(), "one scale for all panels"


def test_layers_beside_their_control_have_intervals_of_the_difference(legend_texts):
    table = pd.DataFrame(
        {"layer": [0, 1], "value": [0.5, 0.6], "control": [0.1, 0.2], "difference": [0.4, 0.4], "low": [0.3, 0.35]}
    ).assign(high=[0.55, 0.5])
    fig = draw_layers_beside_control(
        {"keys": table, "values": table}, "Jaccard similarity", "neurons", control="random"
    )
    assert [ax.get_title() for ax in fig.axes] == ["keys", "values"]
    for ax in fig.axes:
        (curve, _, (bars,)) = ax.containers[0]
        assert list(curve.get_ydata()) == [0.5, 0.6]
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert ends == pytest.approx(np.array([[0.4, 0.65], [0.55, 0.7]]))
        control = next(line for line in ax.lines if line.get_linestyle() == ":")
        assert list(control.get_ydata()) == [0.1, 0.2]
        assert same_color(control.get_color(), CONTROL_COLOUR)
        assert list(ax.get_xticks()) == [0, 1]
    assert fig.axes[0].get_ylabel() == "Jaccard similarity"
    assert fig.axes[0].get_ylim() == pytest.approx((0, 1.05 * 0.7)), "the highest bar fits"
    assert legend_texts(fig) == ["neurons", "random"]


@pytest.mark.parametrize(
    ("log", "scales"), [("x", ("log", "linear")), ("y", ("linear", "log")), (None, ("linear",) * 2)]
)
def test_curves_are_drawn_over_shared_positions(log, scales, legend_texts):
    curves = {"one": [1.0, 2.0, 3.0], "two": [3.0, 2.0, 1.0]}
    fig = draw_curves([1, 10, 100], curves, "rank", "cosine", log=log)
    (ax,) = fig.axes
    assert (ax.get_xscale(), ax.get_yscale()) == scales
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rank", "cosine")
    assert [list(line.get_ydata()) for line in ax.lines] == list(curves.values())
    assert [line.get_marker() for line in ax.lines] == list(MARKERS[:2])
    assert len({line.get_color() for line in ax.lines}) == 2
    assert legend_texts(fig) == ["one", "two"]


def test_long_curves_have_no_markers():
    (ax,) = draw_curves(range(1, 41), {"one": range(1, 41)}, "rank", "cosine", log="y").axes
    assert ax.lines[0].get_marker() == "None"


def test_a_token_map_names_every_token_in_the_colour_of_its_group(legend_texts):
    places = np.array([[0.0, 0.0], [1.0, 1.0], [0.1, 0.0], [0.5, 0.7]])
    fig = draw_token_map(places, ["good", "bad", "fine", "odd"], ["praise", "blame", "praise", "praise"])
    (ax,) = fig.axes
    assert legend_texts(fig) == ["praise", "blame"]
    assert [np.asarray(points.get_offsets()).tolist() for points in ax.collections] == [
        places[[0, 2, 3]].tolist(),
        places[[1]].tolist(),
    ]
    texts = {text.get_text(): text for text in ax.texts}
    assert set(texts) == {"good", "bad", "fine", "odd"}
    assert tuple(texts["odd"].xy) == (0.5, 0.7)
    assert same_color(texts["fine"].get_color(), COLOURS[0])
    assert same_color(texts["bad"].get_color(), COLOURS[1])


@pytest.mark.parametrize(
    ("neighbours", "align"),
    [([], "left"), ([(0.55, 0.5)], "right"), ([(0.55, 0.5), (0.4, 0.5)], "center"), ([(0.4, 0.5)], "left")],
)
def test_a_name_hides_no_neighbour(neighbours, align):
    places = np.array([(0.5, 0.5), (0.0, 0.0), (1.0, 1.0), *neighbours])
    (ax,) = draw_token_map(places, ["outstanding"] * len(places), ["all"] * len(places)).axes
    assert ax.texts[0].get_horizontalalignment() == align


def test_names_do_not_overlap():
    places = np.array([(0.5, 0.5), (0.52, 0.51), (0.48, 0.47), (0.0, 0.0), (1.0, 1.0)])
    fig = draw_token_map(places, ["outstanding", "fabulous", "wonderful", "a", "b"], ["all"] * 5)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert not [1 for i, one in enumerate(boxes) for other in boxes[:i] if one.overlaps(other)]


def test_heads_are_a_map_with_the_last_layer_on_top_beside_their_controls():
    values = torch.tensor([[0.5, -1.0], [2.0, 0.25], [0.0, 1.5]])
    left, right = draw_heads(values, torch.tensor([0.1, 0.2]), "agreement").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["2", "1", "0"]
    assert np.array_equal(np.reshape(left.collections[0].get_array(), (3, 2)), values.flip(0))
    assert left.collections[0].get_clim() == (-2, 2)
    assert [text.get_text() for text in left.texts] == ["0.0", "1.5", "2.0", "0.2", "0.5", "-1.0"]
    assert (left.get_xlabel(), left.get_ylabel()) == ("head", "layer")
    heads, controls = (points.get_offsets() for points in right.collections)
    assert heads[:, 0].tolist() == values.flatten().tolist()
    assert controls[:, 0].tolist() == pytest.approx([0.1, 0.2])
    assert [label.get_text() for label in right.get_yticklabels()] == ["heads", "random"]
    assert right.get_xlabel() == "agreement"


def test_marked_heads_have_frames_and_filled_dots_and_many_layers_have_no_numbers():
    marked = torch.zeros(12, 3, dtype=torch.bool)
    marked[11, 2] = True
    left, right = draw_heads(torch.linspace(-1, 1, 36).reshape(12, 3), torch.zeros(4), "copying", marked).axes
    (frame,) = left.patches
    assert (int(frame.get_x()), int(frame.get_y())) == (2, 0), "the last layer is on top"
    assert not left.texts and [label.get_text() for label in left.get_yticklabels()] == ["10", "5", "0"]
    assert [colour[3] > 0 for colour in right.collections[0].get_facecolors()] == marked.flatten().tolist()


def test_a_curve_that_is_named_as_an_algorithm_has_its_colour():
    fig = draw_curves([1, 2], {"SiMExp": [1, 2], "noise": [2, 3]}, "step", "distance")
    first, second = fig.axes[0].lines
    assert same_color(first.get_color(), ALGORITHM_COLOURS["SiMExp"])
    assert same_color(second.get_color(), COLOURS[1])
