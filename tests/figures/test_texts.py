"""Figures of texts: one cell per token and score, one point per word, one bar per name."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import same_color

from helpers.figures import draw_bars, draw_dots, draw_predicted_against_verified, draw_substitution_map, draw_tokens
from helpers.figures.style import COLOURS


def test_tokens_are_the_darker_the_higher_they_score():
    scores = {"metric": torch.tensor([1.0, 4.0, 2.0]), "chance": torch.tensor([0.5, 0.1, -0.2])}
    (ax,) = draw_tokens(["a", "delightful", "film"], scores).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["metric", "chance"]
    assert [text.get_text() for text in ax.texts] == ["a", "delightful", "film"] * 2
    red = np.array([cell.get_facecolor()[0] for cell in ax.patches]).reshape(2, 3)
    for shades, values in zip(red, scores.values(), strict=True):
        assert np.array_equal(np.argsort(shades), np.argsort(-values.numpy())), "less red is darker blue"
    assert [text.get_color() for text in ax.texts[:3]] == ["black", "white", "black"]
    for text, cell in zip(ax.texts, ax.patches, strict=True):
        assert cell.get_bbox().contains(*text.get_position())


def test_scores_that_are_all_zero_leave_every_token_light():
    (ax,) = draw_tokens(["a", "film"], {"share": torch.zeros(2)}).axes
    assert all(min(cell.get_facecolor()[:3]) > 0.9 for cell in ax.patches)


def test_verified_changes_are_drawn_over_predicted_ones_and_the_extreme_ones_named():
    predicted, verified = torch.arange(40.0), torch.linspace(-1, 1, 40)
    names = [f"word {i}" for i in range(40)]
    (ax,) = draw_predicted_against_verified(predicted, verified, names, "log-odds, nats").axes
    assert np.array_equal(ax.collections[0].get_offsets(), torch.stack([predicted, verified], 1))
    exact = next(line for line in ax.lines if line.get_label() == "prediction exact")
    assert list(exact.get_xdata()) == list(exact.get_ydata()) == [-1, 39], "y = x over all values"
    assert [text.get_text() for text in ax.texts] == ["word 0", "word 2", "word 39", "word 38"]
    for text in ax.texts:
        index = names.index(text.get_text())
        assert text.xy == pytest.approx((float(predicted[index]), float(verified[index])))
        assert text.get_horizontalalignment() == ("right" if index > 20 else "left"), "names stay inside the axes"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted log-odds, nats", "verified log-odds, nats")


def test_substitution_maps_share_one_signed_scale():
    panels = {"predicted": torch.tensor([[1.0, -2.0]]), "verified": torch.tensor([[0.5, -4.0]])}
    fig = draw_substitution_map(["film"], ["movie", "mess"], panels, "change, nats")
    left, right, bar = fig.axes
    assert [left.get_title(), right.get_title()] == ["predicted", "verified"]
    for ax, values in zip((left, right), panels.values(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), values)
        assert ax.images[0].get_clim() == (-4, 4)
        assert [label.get_text() for label in ax.get_xticklabels()] == ["movie", "mess"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["film"], "the right panel shares them"
    assert bar.get_ylabel() == "change, nats"


def test_bars_show_signs_and_controls_by_their_colour():
    values = pd.Series({"nurse": -1.5, "captain": 0.2, "shuffled": 0.5})
    (ax,) = draw_bars(values, "log-odds, nats", "occupation", controls={"shuffled": 0}).axes
    assert [bar.get_width() for bar in ax.patches] == [-1.5, 0.2, 0.5]
    for bar, colour in zip(ax.patches, (COLOURS[1], COLOURS[0], "0.6"), strict=True):
        assert same_color(bar.get_facecolor(), colour)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["nurse", "captain", "shuffled"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("log-odds, nats", "occupation")
    assert list(ax.lines[0].get_xdata()) == [0, 0]


def test_dots_stand_on_the_line_of_their_group_with_mean_and_interval():
    groups = {"nurse": [-1.0, 0.0, 1.0, 4.0], "captain": [2.0, 2.0]}
    (ax,) = draw_dots(groups, "log-odds, nats", ("a person", 0.5)).axes
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == list(groups.values())
    assert [set(line.get_ydata()) for line in dots] == [{0}, {1}]
    means = [line for line in ax.lines if line.get_marker() == "|"]
    assert [float(line.get_xdata()[0]) for line in means] == [1.0, 2.0]
    low, high = ax.lines[1].get_xdata()
    assert -1 <= low < 1 < high <= 4
    assert [label.get_text() for label in ax.get_yticklabels()] == list(groups)
    assert list(ax.lines[-1].get_xdata()) == [0.5, 0.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a person"]
    assert ax.get_xlabel() == "log-odds, nats"


def test_a_group_without_values_is_named():
    with pytest.raises(ValueError, match=r"groups: \['none'\] have no values"):
        draw_dots({"some": [1.0, 2.0], "none": []}, "score")
