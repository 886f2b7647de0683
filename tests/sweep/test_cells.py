"""The walks of a cell are the same whoever makes them, and the measures describe what the walks did."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

from helpers import WalkSettings, simec, simexp
from helpers.adapters import attention_relevance
from helpers.geometry import PullbackMetric
from helpers.measures import ranking_changes
from helpers.sweep import MAIN, Cell, Subject, importance_of_parts, measure_cell, tabulate_choices
from helpers.sweep.algorithms import DIFFERENCES
from helpers.sweep.cells import choose_parts, measure_walks, walk_cell
from helpers.sweep.grid import IMPORTANCES, WalkSpec
from helpers.sweep.inputs import load_subject

pytestmark = pytest.mark.xdist_group("sweep")  # one worker computes the table

DIGITS = Subject("vit-digits", "vit", "digits")
CELL = Cell(DIGITS, 3, 20, (10,), ("q2", "one"), 0, 40)


@pytest.fixture(scope="module")
def table():
    return measure_cell(CELL)


def test_there_is_one_row_per_walk_and_each_algorithm_does_what_it_should(table):
    assert list(table["algorithm"]) == [*MAIN, *MAIN]
    rows = table[table["parts"] == "q2"].set_index("algorithm")
    assert (rows["steps"] == 40).all()
    assert rows.loc["corrected", "drift"] <= 1e-4 < rows.loc["SiMEC", "drift"] < rows.loc["SiMExp", "drift"]
    assert rows.loc["corrected", "ranking_changes"] == 0
    assert rows.loc["SiMExp", "ranking_changes"] > rows.loc["SiMEC", "ranking_changes"]
    assert rows.loc["corrected", "curve_drift"] <= 1e-3
    assert rows.loc["released SiMEC", "drift"] < rows.loc["SiMEC", "drift"]
    assert rows.loc["released SiMExp", "drift"] < rows.loc["SiMExp", "drift"], "its steps are shorter"
    for name in ("baseline up", "baseline down"):
        assert rows.loc[name, "travel"] == pytest.approx(rows.loc["released SiMExp", "travel"], rel=0.05)
    assert rows.loc["baseline up", "own_mean"] > rows.loc["baseline down", "own_mean"]
    for name in ("SiMEC", "released SiMEC"):
        assert rows.loc[name, "log_volume_ratio"] == pytest.approx(0, abs=1e-9)
    assert (rows["log_volume"].notna() & (rows["volume_dimension"] >= 1)).all()
    for quantity in ("own", "top", "delta", "difference"):
        assert list(rows.filter(regex=f"^{quantity}_at_")) == [f"{quantity}_at_{p}" for p in range(0, 101, 5)]
    along = rows.filter(regex="^own_at_")
    assert along.loc["corrected"].std() < 1e-4
    assert along.loc["SiMExp"].std() > along.loc["SiMEC"].std() > along.loc["corrected"].std()
    assert (rows["decoded_at_start"] < 1e-3).all()
    assert (rows["top_mean"] >= rows["own_mean"]).all() and rows.loc["SiMExp", "read_first_change"] > 0
    assert (rows["distance"] >= 0).all() and (rows["difference"] > 0).all()


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
    short = replace(CELL, etas=(1,), parts=("q2",), steps=20, algorithms=("SiMEC", "SiMExp", "corrected"))
    travel = measure_cell(short).set_index("algorithm")["travel"]
    assert travel["corrected"] == pytest.approx(travel["SiMEC"], rel=0.05), "the reference is SiMEC"
    assert travel["corrected"] != pytest.approx(travel["SiMExp"], rel=0.2), "and not SiMExp"


def test_one_part_moves_less_than_half_of_them(table):
    travel = table.pivot(index="algorithm", columns="parts", values="travel")
    assert (travel["one"] < travel["q2"]).all()


def test_the_same_cell_gives_the_same_numbers_and_another_repetition_gives_others():
    cell = replace(CELL, parts=("one",), steps=10)
    table, again, other = (measure_cell(each) for each in (cell, cell, replace(cell, repetition=1)))
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    assert (other["displacement"] != table["displacement"]).all()


def test_measures_do_not_depend_on_the_number_of_threads():
    cell = Cell(DIGITS, 3, 20, (10,), ("all",), 0, 10)
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
    assert (rows["distance"] >= 0).all()
    assert (rows["decoded_at_start"] < 1e-6).all(), "a sentence that has not moved is decoded as it was"


def test_the_parts_with_the_largest_norms_are_chosen():
    adapter, images = load_subject(DIGITS, 20)
    f = adapter.output_map(adapter.encode(images[3]))
    norms = PullbackMetric.at(f, f.start).part_norms()
    (one,) = choose_parts(f, "one")
    half = choose_parts(f, "q2")
    assert norms[one] == norms.max()
    assert [len(choose_parts(f, quarter)) for quarter in ("q1", "q2", "q3")] == [12, 24, 36]
    assert norms[half].min() >= norms[[i for i in range(49) if i not in half]].max()
    assert choose_parts(f, "all") == list(range(49))
    assert len(choose_parts(adapter.output_map(f.point, [4, 9]), "q1")) == 1, "at least one"


def test_parts_can_be_chosen_by_attention():
    adapter, images = load_subject(DIGITS, 20)
    f = adapter.output_map(adapter.encode(images[3]), [8, 9, 24, 31])
    relevance = attention_relevance(adapter, f.point)
    assert torch.equal(importance_of_parts(adapter, f, "relevance"), relevance[[8, 9, 24, 31]])
    rollout = importance_of_parts(adapter, f, "rollout")
    assert choose_parts(f, "one", rollout) == [[8, 9, 24, 31][int(rollout.argmax())]]
    cell = replace(CELL, parts=("one",), algorithms=("SiMEC",), steps=1)
    chosen = [walk_cell(replace(cell, importance=name))[WalkSpec("SiMEC", 10, "one")][0].parts for name in IMPORTANCES]
    whole = adapter.output_map(f.point)
    assert chosen == [tuple(choose_parts(whole, "one", importance_of_parts(adapter, whole, n))) for n in IMPORTANCES]
    assert len(set(chosen)) > 1


def test_how_far_choices_agree_has_a_row_per_input_and_pair():
    table = tabulate_choices(DIGITS, 4)
    assert list(table["input"]) == sorted(3 * [0, 1, 2, 3])
    assert table["correlation"].between(-1, 1).all()
    assert table.groupby("first").size()["metric"] == 8


def test_a_target_word_moves_alone_and_the_rest_of_the_words_has_no_rank():
    subject = Subject("bert-reviews", "bert", "occupations", target=5)
    cell = Cell(subject, 0, 20, (10,), ("target-word",), 0, 30, ("released SiMEC", "released SiMExp"))
    walks = walk_cell(cell)
    f, path = walks[WalkSpec("released SiMExp", 10, "target-word")]
    assert len(f.parts) <= 2 and len(f.target) == 5
    assert torch.allclose(path.outputs.exp().sum(1), torch.ones(31)), "log-probabilities, though it walked on logits"
    row = measure_walks(cell, walks).iloc[1]
    assert row["ranking_changes"] == int(ranking_changes(path.outputs[:, :5]).sum())


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_each_difference_from_the_released_rule_makes_another_walk(difference):
    names = ("released SiMExp", f"released SiMExp, {difference}")
    walks = walk_cell(Cell(DIGITS, 3, 20, (200,), ("one",), 0, 6, names))
    points = [walks[WalkSpec(name, 200, "one")][1].points for name in names]
    assert not torch.allclose(*points, atol=1e-6)
