"""Figures of images: one image per axes, its values and its scale."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from helpers.adapters.heads import LABELS, VALUES
from helpers.figures import draw_images, draw_importance, draw_walk_images
from helpers.figures.style import ROLE_COLOURS


def test_images_fill_a_grid_row_by_row():
    images = [np.full((4, 4), value) for value in (0.0, 0.5, 1.0)]
    fig = draw_images(images, ["a", "b", "c"], columns=2, size=1.0)
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c", ""]
    for ax, image in zip(fig.axes, images, strict=False):
        (drawn,) = ax.images
        assert np.array_equal(drawn.get_array(), image)
        assert drawn.get_clim() == (0, 1), "all on one scale"
        assert drawn.get_cmap().name == "gray"
    assert not fig.axes[3].images
    assert tuple(fig.get_size_inches()) == pytest.approx((2.0, 2.6))


def test_a_place_of_the_grid_can_stay_empty():
    first, empty, last = draw_images([np.eye(2), None, np.eye(2)], ["a", "b", "c"]).axes
    assert (len(first.images), len(empty.images), len(last.images)) == (1, 0, 1)
    assert (first.get_title(), empty.get_title(), last.get_title()) == ("a", "", "c")


def test_signed_images_have_zero_in_the_middle_of_a_scale_of_their_own():
    fig = draw_images([np.array([[-2.0, 1.0]]), np.array([[0.5, 0.0]]), np.zeros((1, 2))], "abc", signed=True)
    assert [ax.images[0].get_clim() for ax in fig.axes] == [(-2, 2), (-0.5, 0.5), (-1, 1)]
    assert {ax.images[0].get_cmap().name for ax in fig.axes} == {"RdBu_r"}


def test_colour_images_are_shown_with_channels_last():
    image = np.random.default_rng(0).random((3, 2, 5))
    (ax,) = draw_images([image], ["colour"]).axes
    assert np.array_equal(ax.images[0].get_array(), image.transpose(1, 2, 0))


def test_importance_is_a_map_of_patches_beside_the_image():
    image, importance = np.eye(4), torch.arange(6.0)
    left, right, bar = draw_importance(image, importance, (2, 3)).axes
    assert np.array_equal(left.images[0].get_array(), image)
    assert np.array_equal(np.ravel(right.images[0].get_array()), importance)
    assert right.images[0].get_extent() == [-0.5, 3.5, 3.5, -0.5], "the map covers the image"
    (outline,) = right.collections
    assert list(outline.levels) == [0.5]
    assert (left.get_title(), right.get_title()) == ("image", "patch importance")
    assert bar.get_ylabel() == "largest pullback length"
    assert len(right.get_xticks()) == len(right.get_yticks()) == 0


def test_the_importance_of_a_blank_image_has_no_outline():
    _, right, _ = draw_importance(np.zeros((4, 4)), torch.arange(4.0), (2, 2)).axes
    assert not right.collections


def test_images_along_a_walk_stand_above_their_probabilities():
    outputs = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]).log()
    fig = draw_walk_images([np.zeros((2, 2))] * 3, outputs, ["cat", "dog"], ["start", "step 1", "step 2"])
    above, below = fig.axes[:3], fig.axes[3:]
    assert [ax.get_title() for ax in above] == ["start", "step 1", "step 2"]
    assert all(len(ax.images) == 1 for ax in above)
    for ax, probabilities in zip(below, outputs.exp(), strict=True):
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(probabilities.tolist())
        colours = [to_hex(bar.get_facecolor()) == ROLE_COLOURS["predicted"][0] for bar in ax.patches]
        assert colours.index(True) == int(probabilities.argmax()) and sum(colours) == 1
        assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]
        assert (ax.get_yscale(), ax.get_ylim()[1]) == ("log", 1.5), "a sure prediction hides nothing"
    assert below[0].get_ylabel() == "probability"


def test_images_along_a_walk_stand_above_their_labels_or_values():
    labels = torch.tensor([[0.9, 0.8]]).log()
    (_, below) = draw_walk_images([np.zeros((2, 2))], labels, ["cat", "dog"], ["start"], LABELS).axes
    assert [bar.get_height() for bar in below.patches] == pytest.approx([0.9, 0.8])
    assert {to_hex(bar.get_facecolor()) for bar in below.patches} == {ROLE_COLOURS["bar"][0]}, "none is predicted alone"
    values = torch.tensor([[-0.17, 4.0]])
    (_, below) = draw_walk_images([np.zeros((2, 2))], values, ["cat", "dog"], ["start"], VALUES).axes
    assert [bar.get_height() for bar in below.patches] == pytest.approx([-0.17, 4.0])
    assert below.get_ylim()[1] > 4
    assert below.get_ylabel() == "value"
    with pytest.raises(ValueError, match="must be log-probabilities of one distribution"):
        draw_walk_images([np.zeros((2, 2))], values, ["cat", "dog"], ["start"])


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="images: there are none"):
        draw_images([], [])
