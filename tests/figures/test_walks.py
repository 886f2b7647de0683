"""Figures of walks: what is on the axes, one artist per walk, point or metric."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color
from matplotlib.patches import Ellipse

from helpers import PullbackMetric, WalkSettings, simec, simexp
from helpers.adapters import ToyAdapter
from helpers.adapters.heads import LABELS, VALUES
from helpers.adapters.toy import paraboloid
from helpers.figures import (
    draw_drift,
    draw_plane,
    draw_probabilities,
    draw_projection,
    draw_spectrum,
)
from helpers.figures.style import ALGORITHM_COLOURS, ROLE_COLOURS

START = torch.tensor([1.0, 0.5], dtype=torch.float64)


@pytest.fixture(scope="module")
def paths():
    """Walks of 6 steps between three classes."""
    toy = ToyAdapter.load("three-hills")
    x = toy.encode((0.3, 0.2))
    return {
        name: walk(toy.output_map(x), x, steps=6, settings=WalkSettings(eta=0.5))
        for name, walk in {"SiMExp": simexp, "SiMExp again": simexp}.items()
    }


def test_the_plane_shows_level_curves_walks_and_their_ends(legend_texts):
    walks = {"naive": torch.stack([START, 2 * START]), "corrected": torch.stack([START, -START, 0 * START])}
    fig = draw_plane(paraboloid, walks, span=3.0)
    (ax,) = fig.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    assert ax.get_xlim() == ax.get_ylim() == (-3, 3)
    assert legend_texts(ax) == ["naive", "corrected"]
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    for name, points in walks.items():
        assert np.array_equal(lines[name].get_xydata(), points)
        assert same_color(lines[name].get_color(), ALGORITHM_COLOURS[name])
    ends = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "s"]
    starts = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert ends == [(2, 1), (0, 0)]
    assert starts == [(1, 0.5)] * 2
    contours, start_level = ax.collections
    assert list(start_level.levels) == [1.25], "both walks start on it"
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        assert np.square(path.vertices).sum(1) == pytest.approx(level, abs=2e-3)


def test_the_plane_shows_a_boundary_as_one_dashed_level():
    (ax,) = draw_plane(paraboloid, boundary=1.0).axes
    assert list(ax.collections[1].levels) == [1.0]
    assert ax.get_legend() is None


def test_the_plane_shows_metrics_as_ellipses_along_their_eigenvectors():
    bases = [START, 2 * START]
    metrics = [PullbackMetric.at(paraboloid, base) for base in bases]
    (ax,) = draw_plane(paraboloid, metrics=metrics).axes
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert [tuple(ellipse.center) for ellipse in ellipses] == [tuple(base.tolist()) for base in bases]
    assert [ellipse.width for ellipse in ellipses] == pytest.approx([0.35, 0.7]), "as the gradients' lengths"
    assert [ellipse.height for ellipse in ellipses] == [0, 0], "the rank is 1"
    for ellipse in ellipses:
        assert np.tan(np.deg2rad(ellipse.angle)) == pytest.approx(0.5)


def test_figures_draw_into_given_axes(paths):
    fig, axes = plt.subplots(1, 3)
    metric = PullbackMetric.at(paraboloid, START)
    assert draw_plane(paraboloid, metrics=[metric], ax=axes[0]) is fig
    assert draw_drift(paths, ax=axes[1]) is fig
    assert draw_spectrum(metric, ax=axes[2]) is fig
    assert all(ax.has_data() for ax in axes)


def test_drift_is_drawn_over_the_distance_travelled(paths, legend_texts):
    path = simec(paraboloid, START, steps=5, settings=WalkSettings(eta=0.2))
    (ax,) = draw_drift({"SiMEC": path, **paths}, unit="volts", tolerance=1e-3).axes
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance travelled", "largest output change (volts)")
    assert legend_texts(ax) == ["SiMEC", *paths]
    first = ax.lines[0]
    assert first.get_xdata() == pytest.approx(0.2 * np.arange(1, 6))
    assert first.get_ydata() == pytest.approx(0.04 * np.arange(1, 6)), "Pythagoras: each step adds its square"
    assert [line.get_linestyle() for line in ax.lines[1:3]] == ["-", "--"]
    assert all(same_color(line.get_color(), ALGORITHM_COLOURS["SiMExp"]) for line in ax.lines[1:3])
    assert list(ax.lines[3].get_ydata()) == [1e-3, 1e-3]
    assert [text.get_text() for text in ax.texts] == ["tolerance"]


def test_a_drift_of_zero_is_drawn_at_the_lower_end():
    path = simec(lambda point: point[:1], START, steps=3, settings=WalkSettings(eta=0.2))
    (ax,) = draw_drift({"SiMEC": path}).axes
    assert list(ax.lines[0].get_ydata()) == [1e-17] * 3


def test_the_spectrum_counts_eigenvalues_that_are_zero(legend_texts):
    matrix = torch.diag(torch.tensor([3.0, 2.0, 0.0, 0.0], dtype=torch.float64))[:3]
    (ax,) = draw_spectrum(PullbackMetric.at(lambda x: matrix @ x, torch.ones(4, dtype=torch.float64))).axes
    positive, zero = ax.lines
    assert (list(positive.get_xdata()), list(zero.get_xdata())) == ([1, 2], [3])
    assert list(positive.get_ydata()) == pytest.approx([9, 4])
    assert legend_texts(ax) == ["not zero: 2", "zero: 2"]
    assert [line.get_color() for line in ax.lines] == [ROLE_COLOURS[role][0] for role in ("visible", "null")]
    assert ax.get_title() == "3 of 4 eigenvalues"
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("index", "eigenvalue", "log")


def test_probabilities_are_drawn_per_class_and_panel(paths, legend_texts):
    names = ["red", "green", "blue"]
    fig = draw_probabilities(paths, names)
    assert [ax.get_title() for ax in fig.axes] == list(paths)
    for ax, path in zip(fig.axes, paths.values(), strict=True):
        assert [line.get_label() for line in ax.lines] == names
        drawn = np.stack([line.get_ydata() for line in ax.lines], 1)
        assert drawn == pytest.approx(path.outputs.exp().numpy())
        assert ax.get_xlabel() == "step"
        assert len({(line.get_color(), str(line.get_linestyle())) for line in ax.lines}) == 3
    assert fig.axes[0].get_ylabel() == "probability"
    assert legend_texts(fig) == names


def test_a_level_outside_the_plane_is_left_out():
    far = torch.stack([4 * START, 5 * START])
    (ax,) = draw_plane(paraboloid, {"naive": far}, span=2.0).axes
    assert len(ax.collections) == 1


def test_only_the_most_probable_classes_are_drawn_and_the_legend_says_so(paths, legend_texts):
    fig = draw_probabilities(paths, ["red", "green", "blue"], most=1)
    peaks = torch.cat([path.outputs for path in paths.values()]).amax(0)
    assert legend_texts(fig) == [["red", "green", "blue"][int(peaks.argmax())]]
    assert fig.legends[0].get_title().get_text() == "class\n(1 of 3)"


def test_the_projection_shows_each_point_with_the_marker_of_its_class(paths, legend_texts):
    fig = draw_projection(paths, ["red", "green", "blue"])
    panels = fig.axes[: len(paths)]
    assert [ax.get_title() for ax in panels] == list(paths)
    for ax, path in zip(panels, paths.values(), strict=True):
        offsets = np.concatenate([points.get_offsets() for points in ax.collections])
        steps = np.concatenate([points.get_array() for points in ax.collections]).astype(int)
        assert sorted(steps) == list(range(7)), "one marker per point"
        assert len(ax.collections) == len(set(path.classes.tolist()))
        distances = (path.points - path.points[0]).flatten(1).norm(dim=1).numpy()
        assert np.linalg.norm(offsets, axis=1) == pytest.approx(distances[steps]), "a plane keeps all distances"
        ring = ax.lines[0]
        assert tuple(ring.get_xydata()[0]) == (0, 0)
    predicted = sorted({k for path in paths.values() for k in path.classes.tolist()})
    assert legend_texts(fig) == [*(["red", "green", "blue"][k] for k in predicted), "start"]
    assert fig.axes[-1].get_ylabel() == "step"
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == ("1st singular direction", "2nd singular direction")


def test_labels_and_values_are_drawn_as_what_they_are():
    start, names = torch.tensor([1.0, 0.5], dtype=torch.float64), ["x", "y"]
    walks = {"SiMExp": simexp(lambda point: -point.exp(), start, steps=3, settings=WalkSettings(eta=0.1))}
    outputs = walks["SiMExp"].outputs.numpy()
    for head, drawn, quantity in ((LABELS, np.exp(outputs), "probability"), (VALUES, outputs, "value")):
        (ax,) = draw_probabilities(walks, names, head=head).axes
        assert np.stack([line.get_ydata() for line in ax.lines], 1) == pytest.approx(drawn)
        assert ax.get_ylabel() == quantity
    assert draw_projection(walks, names, LABELS).axes
    for draw in (draw_probabilities, draw_projection):
        with pytest.raises(ValueError, match="must be log-probabilities of one distribution"):
            draw(walks, names)
    with pytest.raises(ValueError, match="hold values of a regression"):
        draw_projection(walks, names, VALUES)
