"""Figures of a sweep: one mean per row and panel in its algorithm's colour, published values as diamonds."""

import pandas as pd
import pytest
from matplotlib.colors import same_color

from helpers.figures import (
    draw_algorithm_means,
    draw_beside_published,
    draw_course,
    draw_drift_distribution,
)
from helpers.figures.style import ALGORITHM_COLOURS

ALGORITHMS = ["SiMEC", "corrected", "SiMExp", "baseline"]


@pytest.fixture
def measured():
    """Means of two data sets, one algorithm per row, out of order."""
    return pd.DataFrame(
        [(name, 1.0, algorithm, i + 1.0, i + 0.5, i + 2.0) for name in ("mnist", "reviews")
         for i, algorithm in enumerate(("SiMExp", "SiMEC"))],
        columns=["inputs", "eta", "algorithm", "mean", "low", "high"],
    )  # fmt: skip


def test_means_have_intervals_in_the_colour_of_their_algorithm(measured):
    fig = draw_algorithm_means(measured, "swapped pairs", reference=1.5)
    left, right = fig.axes
    assert [left.get_title(), right.get_title()] == ["mnist", "reviews"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["SiMEC", "SiMExp"]
    for row, (algorithm, mean, ends) in enumerate([("SiMEC", 2.0, [1.5, 3.0]), ("SiMExp", 1.0, [0.5, 2.0])]):
        lines = [line for line in left.lines if set(line.get_ydata()) == {row}]
        interval, point = sorted(lines, key=lambda line: line.get_marker() == "o")
        assert list(interval.get_xdata()) == ends
        assert list(point.get_xdata()) == [mean]
        assert same_color(point.get_color(), ALGORITHM_COLOURS[algorithm])
        assert same_color(interval.get_color(), ALGORITHM_COLOURS[algorithm])
    assert [list(line.get_xdata()) for line in left.lines].count([1.5, 1.5]) == 1
    assert fig.get_supxlabel().startswith("swapped pairs")


def test_a_variant_has_the_colour_of_its_algorithm_and_a_row_behind_it(measured):
    variant = measured.assign(algorithm=measured["algorithm"].replace("SiMExp", "SiMEC, random signs"))
    other = measured.assign(eta=10.0)
    fig = draw_algorithm_means(pd.concat([variant, other]), "swapped pairs")
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names[:3] == ["SiMEC, η = 1", "SiMEC, random signs, η = 1", "SiMExp, η = 1"]
    (point,) = [line for line in fig.axes[0].lines if list(line.get_ydata()) == [1]]
    assert same_color(point.get_color(), ALGORITHM_COLOURS["SiMEC"])


@pytest.mark.parametrize("scale", ["linear", "log", "symlog"])
def test_scales_of_means(measured, scale):
    fig = draw_algorithm_means(measured, "distance", scale=scale)
    assert all(ax.get_xscale() == scale for ax in fig.axes)


def test_a_logarithmic_axis_has_plain_numbers(measured):
    ax = draw_algorithm_means(measured, "distance", scale="log").axes[0]
    assert [ax.xaxis.get_major_formatter()(value) for value in (0.1, 1, 10)] == ["0.1", "1", "10"]
    assert len(ax.xaxis.get_minorticklocs()) == 0


def test_measured_means_are_drawn_over_published_ones(legend_texts):
    rows = [("mnist", "released SiMExp", 2.0, 3.0, 1.0, 4.0), ("mnist", "SiMExp", 2.0, 300.0, 200.0, 400.0)]
    cells = pd.DataFrame(rows, columns=["inputs", "algorithm", "published", "mean", "low", "high"])
    fig = draw_beside_published(cells, "swapped pairs")
    (ax,) = fig.axes
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [0, 400], "where both are equal"
    points = {line.get_label(): line for line in ax.lines[1:] if line.get_label()[0] != "_"}
    drawn = {container.get_label(): container.lines[0].get_xydata().tolist() for container in ax.containers}
    assert drawn == {"SiMExp": [[2, 300]], "released SiMExp": [[2, 3]]}, points
    spreads = [bars.get_segments()[0][:, 1].tolist() for container in ax.containers for bars in container.lines[2]]
    assert spreads == [[200, 400], [1, 4]]
    assert legend_texts(fig) == ["SiMExp", "released SiMExp"]
    assert ax.get_ylabel() == "measured swapped pairs"


def test_courses_are_means_over_inputs_with_bands(check_readable, legend_texts):
    rows = [
        (name, number, algorithm, 1.0, 1.0 - 0.1 * number, 1.0, 0.9)
        for name in ("mnist", "reviews") for algorithm in ALGORITHMS for number in (1, 2, 3)
    ]  # fmt: skip
    columns = ["own_at_0", "own_at_100", "top_at_0", "top_at_100"]
    results = pd.DataFrame(rows, columns=["inputs", "input", "algorithm", *columns])
    fig = draw_course(results, {"own": "the first class", "top": "the present one"}, "probability")
    assert [ax.get_title() for ax in fig.axes] == ["mnist", "reviews"]
    for ax in fig.axes:
        assert len(ax.collections) == 8, "one band per algorithm and quantity"
        curves = {(tuple(line.get_color()), line.get_linestyle()): line for line in ax.lines}
        assert set(curves) == {(ALGORITHM_COLOURS[name], style) for name in ALGORITHMS for style in ("-", "--")}
        for (_, style), line in curves.items():
            assert list(line.get_xdata()) == [0, 100]
            assert list(line.get_ydata()) == pytest.approx([1.0, 0.8 if style == "-" else 0.9])
    assert fig.axes[0].get_ylabel() == "probability"
    assert "steps made, %" in fig.get_supxlabel()
    assert legend_texts(fig) == [*ALGORITHMS, "the first class", "the present one"]
    check_readable(fig)


def test_a_course_of_one_quantity_may_have_a_logarithmic_axis(legend_texts):
    rows = [("mnist", number, "SiMEC", 1.0, 0.01) for number in (1, 2)]
    results = pd.DataFrame(rows, columns=["inputs", "input", "algorithm", "delta_at_0", "delta_at_100"])
    fig = draw_course(results, {"delta": "length"}, "length of a step", scale="log")
    assert fig.axes[0].get_yscale() == "log"
    assert legend_texts(fig) == ["SiMEC"], "one quantity needs no name"


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
