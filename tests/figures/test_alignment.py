"""Figures of two models: scores in their cells, frames at matched layers, controls beside stitched classifiers."""

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import Rectangle

from helpers.alignment import LayerAlignment
from helpers.figures import draw_alignments, draw_stitched_predictions, draw_stitching
from helpers.stitching import StitchingTable

SIGNED = torch.tensor([[0.9, -0.25], [0.1, 0.5]], dtype=torch.float64)
POSITIVE = torch.tensor([[0.1, 0.2], [0.9, 0.3]], dtype=torch.float64)


def frames(ax):
    boxes = [patch.get_bbox() for patch in ax.patches if isinstance(patch, Rectangle)]
    return {(int((box.y0 + box.y1) / 2), int((box.x0 + box.x1) / 2)) for box in boxes}


def test_alignments_stand_in_rows_of_methods_and_columns_of_kinds():
    rows = {
        name: [LayerAlignment(kind, scores, "") for kind, scores in (("W_in", SIGNED), ("W_out", POSITIVE))]
        for name in ("over words", "over coordinates")
    }
    axes = draw_alignments(rows).axes
    assert [ax.get_title() for ax in axes] == ["W_in", "W_out", "", ""]
    assert [axes[0].get_ylabel(), axes[2].get_ylabel()] == [
        "over words\nlayer of A",
        "over coordinates\nlayer of A",
    ]
    assert [ax.get_xlabel() for ax in axes] == ["", "", "layer of B", "layer of B"]
    for ax, scores in zip(axes, (SIGNED, POSITIVE, SIGNED, POSITIVE), strict=True):
        assert np.array_equal(np.reshape(ax.collections[0].get_array(), (2, 2)), scores)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["0", "1"]
    assert [label.get_text() for label in axes[2].get_xticklabels()] == ["0", "1"]
    assert list(axes[1].get_yticks()) == []


def test_scores_are_written_into_cells_and_matched_layers_are_framed():
    signed, positive = draw_alignments(
        {"": [LayerAlignment("W_in", SIGNED, ""), LayerAlignment("W_out", POSITIVE, "")]}
    ).axes
    assert [text.get_text() for text in signed.texts] == ["90", "\N{MINUS SIGN}25", "10", "50"]
    assert [text.get_position() for text in signed.texts] == [(0.5, 0.5), (1.5, 0.5), (0.5, 1.5), (1.5, 1.5)]
    brightness = [sum(to_rgb(text.get_color())) for text in signed.texts]
    assert brightness[0] == brightness[3] == 3, "white on dark cells"
    assert max(brightness[1:3]) < 1
    assert frames(signed) == {(0, 0), (1, 1)}
    assert frames(positive) == {(0, 1), (1, 0)}
    assert signed.collections[0].get_clim() == (-0.9, 0.9)
    assert positive.collections[0].get_clim() == (0.1, 0.9)


def test_frames_stand_in_the_row_of_a_and_the_column_of_b():
    (ax,) = draw_alignments({"": [LayerAlignment("W_in", torch.eye(3).roll(1, dims=1), "")]}).axes
    assert frames(ax) == {(0, 1), (1, 2), (2, 0)}


def test_a_map_of_many_layers_has_no_numbers():
    (ax,) = draw_alignments({"": [LayerAlignment("W_in", torch.eye(7), "")]}).axes
    assert not ax.texts
    assert len(frames(ax)) == 7


@pytest.fixture
def table():
    labels = torch.arange(200) % 2
    right = torch.where(labels == 1, 1.0, -1.0)

    def with_accuracy(shares):
        """Log-odds of the right sign for a share of the texts, the first ones."""
        return torch.where(torch.arange(200) < (200 * shares).round().unsqueeze(-1), right, -right)

    controls = torch.full((4, 3, 2), 0.5)
    stitched, donor = torch.linspace(0.5, 0.9, 6).reshape(3, 2), torch.tensor(0.85)
    return StitchingTable(*map(with_accuracy, (stitched, controls, controls[:1] + 0.1, donor)), labels)


def test_stitching_has_a_panel_per_number_of_transplanted_layers(table):
    axes = draw_stitching(table).axes
    assert [ax.get_title() for ax in axes] == ["transplant 0", "transplant 1"]
    for transplant, ax in enumerate(axes):
        (curve, _, (intervals,)) = ax.containers[0]
        assert list(curve.get_ydata()) == pytest.approx(table.accuracy[:, transplant].tolist())
        ends = [(float(low), float(high)) for (_, low), (_, high) in intervals.get_segments()]
        expected = [table.interval(value) for value in table.accuracy[:, transplant].tolist()]
        assert np.array(ends) == pytest.approx(np.array(expected))
        points = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "."])
        crosses = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "x"])
        assert points == pytest.approx(np.full(12, 0.5)), "one point per random kernel and number of layers kept"
        assert crosses == pytest.approx(np.full(3, 0.6))
        assert ax.get_xlabel() == "layers kept"
    assert axes[0].get_ylabel() == "accuracy"
    lines = [line.get_ydata()[0] for line in axes[1].lines if list(line.get_xdata()) == [0, 1]]
    assert lines == [0.85, 0.5]
    assert [(text.get_text(), text.get_position()[1]) for text in axes[1].texts] == [("donor", 0.85), ("chance", 0.5)]


def test_stitched_predictions_stand_beside_random_kernels_and_the_donor(check_readable):
    random = torch.arange(6.0).reshape(2, 3)
    fig = draw_stitched_predictions(torch.tensor([1.0, -2.0, 3.0]), random, 2.5, "log-odds of praise, nats")
    (ax,) = fig.axes
    assert list(ax.lines[0].get_ydata()) == [1, -2, 3]
    points = [line for line in ax.lines if line.get_marker() == "."]
    assert [list(line.get_ydata()) for line in points] == random.T.tolist()
    for keep, line in enumerate(points):
        assert np.abs(line.get_xdata() - keep).max() < 0.5
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layers kept", "log-odds of praise, nats")
    assert [(text.get_text(), text.get_position()[1]) for text in ax.texts] == [("donor", 2.5), ("undecided", 0)]
    donor = next(line for line in ax.lines if line.get_linestyle() == "--")
    assert same_color(donor.get_color(), ax.texts[0].get_color())
    assert to_rgb(ax.lines[0].get_color()) != to_rgb(points[0].get_color())
    check_readable(fig)
