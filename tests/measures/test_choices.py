"""Choices of parts, compared in closed form."""

import pytest
import torch

from helpers import measures


def test_equal_and_opposite_importances():
    up = torch.arange(8.0)
    table = measures.compare_choices({"up": up, "again": 2 * up, "down": -up})
    assert table[["first", "second"]].to_numpy().tolist() == [["up", "again"], ["up", "down"], ["again", "down"]]
    assert table["correlation"].tolist() == pytest.approx([1, -1, -1])
    assert table["one"].tolist() == [True, False, False]
    assert table["q2"].tolist() == [1, 0, 0]
    assert (table["q2_by_chance"] == 0.5).all()
