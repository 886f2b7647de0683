"""Figures of a sweep: one mean per row and panel in its algorithm's colour, published values as diamonds."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from helpers.figures import (
    draw_algorithm_means,
    draw_drift_distribution,
    draw_mean_probability,
    draw_volume_over_travel,
)
from helpers.figures.style import ALGORITHM_COLOURS

ALGORITHMS = ["SiMEC", "corrected", "SiMExp", "baseline"]


def diamonds(ax):
    return [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "D"]


@pytest.fixture
def measured():
    """Means of two data sets, one algorithm per row, out of order."""
    return pd.DataFrame(
        [(name, 1.0, algorithm, i + 1.0, i + 0.5, i + 2.0) for name in ("mnist", "reviews")
         for i, algorithm in enumerate(("SiMExp", "SiMEC"))],
        columns=["inputs", "eta", "algorithm", "mean", "low", "high"],
    )  # fmt: skip


@pytest.fixture
def published():
    return pd.DataFrame(
        [
            ("mnist", 1.0, "SiMExp", 1.31),
            ("mnist", 10.0, "SiMExp", 11.9),
            ("mnist", 1.0, "baseline", 5.0),
            ("reviews", 1.0, "SiMEC", 0.0),
        ],
        columns=["inputs", "eta", "algorithm", "published"],
    )


def test_means_have_intervals_and_published_values_beside_them(measured, published, legend_texts):
    fig = draw_algorithm_means(measured, published, "swapped pairs", reference=1.5)
    left, right = fig.axes
    assert [left.get_title(), right.get_title()] == ["mnist", "reviews"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["SiMEC, η = 1", "SiMExp, η = 1"]
    for row, (algorithm, mean, ends) in enumerate([("SiMEC", 2.0, [1.5, 3.0]), ("SiMExp", 1.0, [0.5, 2.0])]):
        lines = [line for line in left.lines if set(line.get_ydata()) == {row} and line.get_marker() != "D"]
        interval, point = sorted(lines, key=lambda line: line.get_marker() == "o")
        assert list(interval.get_xdata()) == ends
        assert list(point.get_xdata()) == [mean]
        assert same_color(point.get_color(), ALGORITHM_COLOURS[algorithm])
        assert same_color(interval.get_color(), ALGORITHM_COLOURS[algorithm])
    assert diamonds(left) == [(1.31, 1)], "nothing was measured with the multiplier 10 or by the baseline"
    assert diamonds(right) == [(0, 0)]
    assert [list(line.get_xdata()) for line in left.lines].count([1.5, 1.5]) == 1
    assert legend_texts(fig) == ["measured, 95%", "published"]
    assert fig.get_supxlabel() == "swapped pairs"


@pytest.mark.parametrize("scale", ["linear", "log", "symlog"])
def test_means_without_published_values_have_no_legend(measured, scale):
    fig = draw_algorithm_means(measured, None, "distance", scale=scale)
    assert not fig.legends
    for ax in fig.axes:
        assert ax.get_xscale() == scale
        assert diamonds(ax) == []


def test_a_logarithmic_axis_has_plain_numbers(measured):
    ax = draw_algorithm_means(measured, None, "distance", scale="log").axes[0]
    assert [ax.xaxis.get_major_formatter()(value) for value in (0.1, 1, 10)] == ["0.1", "1", "10"]
    assert len(ax.xaxis.get_minorticklocs()) == 0


def test_probabilities_are_means_over_inputs_with_bands(check_readable, legend_texts):
    rows = [
        (name, number, algorithm, 1.0, 1.0 - 0.1 * number)
        for name in ("mnist", "reviews") for algorithm in ALGORITHMS for number in (1, 2, 3)
    ]  # fmt: skip
    results = pd.DataFrame(rows, columns=["inputs", "input", "algorithm", "own_at_0", "own_at_100"])
    fig = draw_mean_probability(results)
    assert [ax.get_title() for ax in fig.axes] == ["mnist", "reviews"]
    for ax in fig.axes:
        assert len(ax.collections) == 4, "one band per algorithm"
        curves = {tuple(line.get_color()): line for line in ax.lines}
        assert set(curves) == {ALGORITHM_COLOURS[name] for name in ALGORITHMS}
        for line in curves.values():
            assert list(line.get_xdata()) == [0, 100]
            assert list(line.get_ydata()) == pytest.approx([1.0, 0.8])
        assert ax.get_ylim() == (0, 1.03)
    assert fig.axes[0].get_ylabel() == "probability of the first class"
    assert "steps made, %" in fig.get_supxlabel()
    assert legend_texts(fig) == ALGORITHMS
    handles = fig.legends[0].legend_handles
    assert [tuple(line.get_color()) for line in handles] == [ALGORITHM_COLOURS[name] for name in ALGORITHMS]
    check_readable(fig)


def test_drift_distributions_are_shares_of_walks(legend_texts):
    rows = [(eta, name, drift) for eta in (1.0, 10.0) for name in ALGORITHMS for drift in (1e-5, 1e-3, 1e-1, 10.0)]
    fig = draw_drift_distribution(pd.DataFrame(rows, columns=["eta", "algorithm", "drift"]), tolerance=1e-4)
    assert [ax.get_title() for ax in fig.axes] == ["η = 1", "η = 10"]
    for ax in fig.axes:
        curves = {line.get_label(): line for line in ax.lines}
        assert set(curves) == {*ALGORITHMS, "tolerance"}
        for name in ALGORITHMS:
            x, y = curves[name].get_data()
            assert x[1:] == pytest.approx([1e-5, 1e-3, 1e-1, 10.0])
            assert y[1:] == pytest.approx([0.25, 0.5, 0.75, 1.0])
            assert same_color(curves[name].get_color(), ALGORITHM_COLOURS[name])
        assert list(curves["tolerance"].get_xdata()) == [1e-4, 1e-4]
        assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "largest drift of the walk, nats")
    assert legend_texts(fig.axes[-1]) == [*ALGORITHMS, "tolerance"]


def test_volumes_are_drawn_over_travels_beside_the_published_ratio(legend_texts):
    ratios = pd.DataFrame(
        {"inputs": ["mnist", "mnist", "reviews"], "travel": [2.0, 4.0, 3.0], "volume": [9.0, 1.0, 5.0]}
    )
    published = pd.DataFrame({"inputs": ["mnist", "reviews"], "published": [99.0, 8.8]})
    fig = draw_volume_over_travel(ratios, published, steps=40.0)
    left, right = fig.axes
    assert (left.get_title(), right.get_title()) == ("mnist", "reviews")
    equal, pairs, _ = left.lines
    assert np.array_equal(equal.get_xdata(), equal.get_ydata())
    assert pairs.get_xydata().tolist() == [[2, 9], [4, 1]]
    assert same_color(pairs.get_color(), ALGORITHM_COLOURS["SiMExp"])
    assert (diamonds(left), diamonds(right)) == ([(40, 99)], [(40, 8.8)])
    assert (left.get_xscale(), left.get_yscale()) == ("log", "log")
    assert left.get_ylabel() == "volume, times that of SiMEC"
    assert fig.get_supxlabel() == "travel of SiMExp, times that of SiMEC"
    assert len(legend_texts(fig)) == 3
