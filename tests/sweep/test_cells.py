"""A cell's four walks: the same wherever they are made, and what is measured of them is what they did."""

import pandas as pd
import pytest
import torch

from helpers.geometry import PullbackMetric
from helpers.sweep import Cell, Grid, Subject, measure_cell
from helpers.sweep.cells import choose_parts, load_subject

DIGITS = Subject("vit-digits", "vit", "digits")


@pytest.fixture(scope="module")
def table():
    return measure_cell(Cell(DIGITS, 3, 20, 10, "q2", 0, 40))


def test_a_row_a_walk_and_each_did_what_it_should(table):
    rows = table.set_index("algorithm")
    assert list(rows.index) == ["SiMEC", "SiMExp", "corrected", "baseline"]
    assert (rows["steps"] == 40).all()
    assert rows.loc["corrected", "drift"] <= 1e-4 < rows.loc["SiMEC", "drift"] < rows.loc["SiMExp", "drift"]
    assert rows.loc["corrected", "ranking_changes"] == 0
    assert rows.loc["SiMExp", "ranking_changes"] > rows.loc["SiMEC", "ranking_changes"]
    assert rows.loc["baseline", "travel"] == pytest.approx(rows.loc["SiMExp", "travel"], rel=0.05)
    assert (rows["volume"] > 0).all()


def test_the_same_cell_gives_the_same_numbers_again_and_another_repetition_others(table):
    again = measure_cell(Cell(DIGITS, 3, 20, 10, "q2", 0, 40))
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    other = measure_cell(Cell(DIGITS, 3, 20, 10, "q2", 1, 40))
    assert (other["drift"] != table["drift"]).all()


def test_a_sentence_and_a_masked_word_are_walked_from_too():
    for subject in (Subject("bert-sentiment", "bert", "reviews"), Subject("bert-reviews", "bert", "occupations")):
        rows = measure_cell(Cell(subject, 0, 20, 1, "one", 0, 5)).set_index("algorithm")
        assert rows.loc["corrected", "drift"] <= 1e-4
        assert (rows["value_distance"] >= 0).all()


def test_parts_are_the_most_sensitive_ones():
    adapter, images = load_subject(DIGITS)
    f = adapter.output_map(adapter.encode(images[3]))
    norms = PullbackMetric.at(f, f.start).part_norms()
    (one,) = choose_parts(f, "one")
    half = choose_parts(f, "q2")
    assert norms[one] == norms.max()
    assert len(half) == 25
    assert norms[half].min() >= norms[[i for i in range(49) if i not in half]].max()
    assert choose_parts(f, "all") == list(range(49))


def test_keys_and_seeds_differ_and_stay():
    cells = Grid((DIGITS,), inputs=3, steps=10).cells()
    assert len(cells) == 3 * 2 * 3 * 3
    assert len({cell.key for cell in cells}) == len({cell.seed for cell in cells}) == len(cells)
    assert Cell(Subject("a/b", "vit", "digits"), 0, 1, 10.0, "one", 0, 5).key == "a--b_0of1_eta10_one_5steps_0"
    assert torch.Generator().manual_seed(cells[0].seed).initial_seed() == cells[0].seed


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"steps": 0}, {"parts": ("two",)}, {"etas": ()}, {"subjects": ()}])
def test_a_grid_that_makes_no_cells_is_named(wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        Grid(**{"subjects": (DIGITS,), **wrong})
    with pytest.raises(ValueError, match="adapters are"):
        Grid((Subject("vit-digits", "gpt", "digits"),))
