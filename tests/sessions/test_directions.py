"""Straight moves along visible directions and along null directions."""

import json

import numpy as np
import pytest
import torch

from helpers.sessions import Directions, ImageInput, SentenceInput

TEXT = "The story is slow, but the two leads are a delight."


@pytest.fixture(scope="module")
def directions(vit, digits):
    start = ImageInput(vit.in_pixels(), digits.images[17], {"an 8": digits.images[14]})
    return Directions(start, ("an 8",))


def test_they_have_length_one_and_their_eigenvalue(directions):
    named = {d.name: d for d in directions.directions}
    assert list(named) == ["visible 1", "visible 2", "visible 3", "null 1", "null 2", "null 3", "null, towards an 8"]
    for direction in named.values():
        assert float(direction.vector.norm()) == pytest.approx(1, abs=1e-5)
        length = float(directions.metric.norm(direction.vector))
        assert length**2 == pytest.approx(direction.eigenvalue, abs=1e-5, rel=1e-4)
    values = [d.eigenvalue for d in directions.directions]
    assert values[:3] == sorted(values[:3], reverse=True) and min(values[:3]) > 10 and values[3:] == [0] * 4


def test_the_first_visible_one_flips_the_prediction_and_no_null_one_does(directions):
    start = np.argmax(directions.pull(0, 0)["outputs"])
    flips = {}
    for index, direction in enumerate(directions.directions):
        frames = [directions.pull(index, sign * directions.length) for sign in (1, -1)]
        flips[direction.name] = any(np.argmax(frame["outputs"]) != start for frame in frames)
    assert flips["visible 1"]
    assert not any(flip for name, flip in flips.items() if name.startswith("null"))


def test_half_a_null_move_changes_a_quarter_and_half_a_visible_one_half(directions):
    for index, factor in ((0, 2), (3, 4), (6, 4)):
        ratio = directions.pull(index, 0.1)["drift"] / directions.pull(index, 0.05)["drift"]
        assert ratio == pytest.approx(factor, rel=0.2), directions.directions[index].name


def test_the_prediction_becomes_less_probable_along_a_visible_direction(directions):
    start = directions.pull(0, 0)["outputs"]
    best = int(np.argmax(start))
    for index in range(3):
        assert directions.pull(index, 0.02)["outputs"][best] <= start[best]


def test_the_way_to_a_target_leads_there(directions):
    goal = directions.input.adapter.encode(directions.input.targets["an 8"]) - directions.input.point
    assert float(torch.cosine_similarity(directions.directions[6].vector.flatten(), goal.flatten(), dim=0)) > 0.9


def test_all_is_plain_and_small(directions):
    layout = directions.describe()
    assert json.loads(json.dumps(layout)) == layout
    assert len(json.dumps(directions.pull(3, 1.0))) < 5000
    assert layout["directions"][0]["picture"].startswith("data:image/png;base64,")
    assert layout["start"]["length"] == 0
    with pytest.raises(ValueError, match="index=7: must be between 0 and 6"):
        directions.pull(7, 0.1)
    with pytest.raises(ValueError, match="length=nan: must be a finite number"):
        directions.pull(0, float("nan"))


def test_of_a_sentence_the_words_along_a_direction_are_named(bert):
    start = SentenceInput(bert, TEXT)
    place = start.tokens.index("delight")
    way = start.find_target("joke", start.point, [place]) - start.point
    described = start.describe_direction(way / way.norm())
    assert (described["place"], described["token"], described["ahead"][0]) == (place, "delight", "joke")
    assert start.describe_direction(-way)["behind"][0] == "joke"
    directions = Directions(start)
    assert [d.name for d in directions.directions] == ["visible 1", "null 1", "null 2", "null 3"]
    assert directions.directions[0].vector[0].norm() == 0, "[CLS] may not move"
    flipped = directions.pull(0, directions.length)
    assert np.argmax(flipped["outputs"]) != np.argmax(directions.pull(1, directions.length)["outputs"])
