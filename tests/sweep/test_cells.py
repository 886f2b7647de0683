"""The walks of a cell are the same whoever makes them, and the measures describe what the walks did."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

from helpers import WalkSettings, simec, simexp
from helpers.geometry import PullbackMetric
from helpers.sweep import Cell, Subject, measure_cell
from helpers.sweep.cells import choose_parts, measure_walks, walk_cell
from helpers.sweep.grid import ALGORITHMS, WalkSpec
from helpers.sweep.inputs import load_subject

DIGITS = Subject("vit-digits", "vit", "digits")
CELL = Cell(DIGITS, 3, 20, (10,), ("q2", "one"), 0, 40)


@pytest.fixture(scope="module")
def table():
    return measure_cell(CELL)


def test_there_is_one_row_per_walk_and_each_algorithm_does_what_it_should(table):
    assert list(table["algorithm"]) == [*ALGORITHMS, *ALGORITHMS]
    rows = table[table["parts"] == "q2"].set_index("algorithm")
    assert (rows["steps"] == 40).all()
    assert rows.loc["corrected", "drift"] <= 1e-4 < rows.loc["SiMEC", "drift"] < rows.loc["SiMExp", "drift"]
    assert rows.loc["corrected", "ranking_changes"] == 0
    assert rows.loc["SiMExp", "ranking_changes"] > rows.loc["SiMEC", "ranking_changes"]
    assert rows.loc["baseline", "travel"] == pytest.approx(rows.loc["SiMExp", "travel"], rel=0.05)
    assert (rows["volume"] > 0).all()
    assert rows.loc["SiMEC", "volume"] == rows.loc["SiMEC", "simec_volume"]
    along = rows.filter(like="own_at_")
    assert list(along) == [f"own_at_{percent}" for percent in range(0, 101, 5)]
    assert along.loc["corrected"].std() < 1e-4
    assert along.loc["SiMExp"].std() > along.loc["SiMEC"].std() > along.loc["corrected"].std()
    assert (rows["decoded_at_start"] < 1e-3).all()


@pytest.mark.parametrize(("algorithm", "walk"), [("SiMEC", simec), ("SiMExp", simexp)])
def test_a_walk_of_a_cell_is_the_walk_of_its_algorithm_alone_within_the_bounds(algorithm, walk):
    cell = Cell(DIGITS, 3, 20, (100,), ("one",), 0, 5)
    spec = WalkSpec(algorithm, 100, "one")
    f, path = walk_cell(cell)[spec]
    adapter, _ = load_subject(DIGITS, 20)
    bounds = adapter.bounds(f.point)
    alone = walk(f, f.start, 5, bounds, WalkSettings(eta=100), cell.generator(spec))
    assert torch.allclose(path.points, alone.points, atol=1e-5)
    assert (path.points == bounds.lower).any(), "steps this long reach the bounds"
    assert bounds.contains(path.points)


def test_corrected_steps_are_as_long_as_the_mean_step_of_simec_or_as_the_curve_allows(table):
    steps = (table["travel"] / table["steps"]).groupby([table["parts"], table["algorithm"]]).mean().unstack()
    ratio = steps["corrected"].div(steps["SiMEC"])
    assert (ratio <= 1 + 1e-3).all()
    assert ratio["one"] > 0.7 and ratio["q2"] > 0.2, "long steps are shortened where their curve would leave the class"
    assert steps.loc["q2", "SiMExp"] < 0.6 * steps.loc["q2", "SiMEC"], "the reference makes a difference"


def test_one_part_moves_less_than_half_of_them(table):
    travel = table.pivot(index="algorithm", columns="parts", values="travel")
    assert (travel["one"] < travel["q2"]).all()


def test_the_same_cell_gives_the_same_numbers_and_another_repetition_gives_others(table):
    pd.testing.assert_frame_equal(measure_cell(CELL), table, check_exact=True)
    other = measure_cell(replace(CELL, repetition=1))
    assert (other["displacement"] != table["displacement"]).all()


def test_measures_do_not_depend_on_the_number_of_threads():
    cell = Cell(DIGITS, 3, 20, (10,), ("all",), 0, 40)
    walks, tables = walk_cell(cell), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            tables.append(measure_walks(cell, walks))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_cell_does_not_depend_on_the_texts_that_its_worker_encoded_before():
    cell = Cell(Subject("bert-sentiment", "bert", "reviews"), 0, 20, (1,), ("one",), 0, 3)
    load_subject.cache_clear()
    first = measure_cell(cell)
    load_subject.cache_clear()
    load_subject(replace(cell.subject, inputs="occupations"), 5)
    measure_cell(replace(cell, index=7))
    pd.testing.assert_frame_equal(measure_cell(cell), first, check_exact=True)


@pytest.mark.parametrize(
    "subject",
    [
        Subject("bert-sentiment", "bert", "reviews"),
        Subject("bert-reviews", "bert", "occupations", target=3),
        Subject("gpt2-reviews", "gpt2", "reviews"),
    ],
    ids=["sentence", "masked word", "next word"],
)
def test_texts_are_walked_too(subject):
    rows = measure_cell(Cell(subject, 0, 20, (1,), ("one",), 0, 5)).set_index("algorithm")
    assert rows.loc["corrected", "drift"] <= 1e-4
    assert (rows["value_distance"] >= 0).all()
    assert (rows["decoded_at_start"] < 1e-6).all(), "a sentence that has not moved is decoded as it was"


def test_the_parts_with_the_largest_norms_are_chosen():
    adapter, images = load_subject(DIGITS, 20)
    f = adapter.output_map(adapter.encode(images[3]))
    norms = PullbackMetric.at(f, f.start).part_norms()
    (one,) = choose_parts(f, "one")
    half = choose_parts(f, "q2")
    assert norms[one] == norms.max()
    assert len(half) == 25
    assert norms[half].min() >= norms[[i for i in range(49) if i not in half]].max()
    assert choose_parts(f, "all") == list(range(49))
