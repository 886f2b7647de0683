"""A cell's four walks: the same whoever makes them, and what is measured of them is what they did."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits

from helpers.geometry import PullbackMetric
from helpers.resources import MODELS
from helpers.sweep import Cell, Grid, Subject, measure_cell
from helpers.sweep.cells import choose_inputs, choose_parts, fingerprint, load_subject, measure_walks, walk_cell
from helpers.sweep.grid import ALGORITHMS, Walk

DIGITS = Subject("vit-digits", "vit", "digits")
CELL = Cell(DIGITS, 3, 20, (10,), ("q2", "one"), 0, 40)


@pytest.fixture(scope="module")
def table():
    return measure_cell(CELL)


def test_a_row_a_walk_and_each_did_what_it_should(table):
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


def test_one_part_moves_less_than_half_of_them(table):
    travel = table.pivot(index="algorithm", columns="parts", values="travel")
    assert (travel["one"] < travel["q2"]).all()


def test_the_same_cell_gives_the_same_numbers_again_and_another_repetition_others(table):
    again = measure_cell(CELL)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    other = measure_cell(replace(CELL, repetition=1))
    assert (other["drift"] != table["drift"]).all()


def test_what_is_measured_does_not_depend_on_the_threads_that_are_allowed():
    cell = Cell(DIGITS, 3, 20, (10,), ("all",), 0, 40)
    walks, found = walk_cell(cell), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(measure_walks(cell, walks))
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_a_text_does_not_depend_on_what_its_worker_read_before():
    cell = Cell(Subject("bert-sentiment", "bert", "reviews"), 0, 20, (1,), ("one",), 0, 3)
    load_subject.cache_clear()
    found = measure_cell(cell)
    load_subject.cache_clear()
    load_subject(replace(cell.subject, inputs="occupations"), 5)
    measure_cell(replace(cell, index=7))
    pd.testing.assert_frame_equal(measure_cell(cell), found, check_exact=True)


def test_a_sentence_a_masked_word_and_a_next_word_are_walked_from_too():
    masked = Subject("bert-reviews", "bert", "occupations", target=3)
    for subject in (Subject("bert-sentiment", "bert", "reviews"), masked, Subject("gpt2-reviews", "gpt2", "reviews")):
        rows = measure_cell(Cell(subject, 0, 20, (1,), ("one",), 0, 5)).set_index("algorithm")
        assert rows.loc["corrected", "drift"] <= 1e-4
        assert (rows["value_distance"] >= 0).all()
        assert (rows["decoded_at_start"] < 1e-6).all(), "an unwalked sentence is read back as it was"


def test_inputs_of_your_own_are_read_from_a_folder_or_a_file(tmp_path):
    (tmp_path / "texts.txt").write_text("a warm film\n\nno film at all\n")
    assert list(choose_inputs(str(tmp_path / "texts.txt"), 2).values()) == ["a warm film", "no film at all"]
    photos = make_photos(tmp_path, "b.png", "a.png")
    for name in ("notes.txt", "paper.pdf"):
        (tmp_path / "photos" / name).write_text("not an image")
    _, images = load_subject(photos, 2)
    assert [Path(image.filename).name for image in images] == ["a.png", "b.png"]
    rows = measure_cell(Cell(photos, 1, 2, (1,), ("one",), 0, 2))
    assert (rows["steps"] == 2).all()
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty.txt.*no image and no sentence"):
        choose_inputs(str(tmp_path / "empty.txt"), 1)
    with pytest.raises(ValueError, match=r"photos': has 2, wanted 20 \(--inputs 2\)"):
        choose_inputs(photos.inputs, 20)


def make_photos(folder, *names):
    """Some red pictures in a folder, as a subject."""
    (folder / "photos").mkdir()
    for name in names:
        Image.new("RGB", (40, 30), "red").save(folder / "photos" / name)
    return Subject("vit-cifar10", "vit", str(folder / "photos"), 3)


def test_only_chosen_inputs_are_read_and_no_data_set_stays_with_them(tmp_path):
    photos = make_photos(tmp_path, "a.png", "c.png")
    (tmp_path / "photos" / "b.png").write_text("not an image")
    assert len(load_subject(photos, 1)[1]) == 1
    with pytest.raises(ValueError, match=r"photos': .*b\.png cannot be read"):
        load_subject(photos, 3)
    assert choose_inputs("digits", 2)["number 1 of 364"].base is None


def test_a_text_that_cannot_be_encoded_is_named(tmp_path):
    (tmp_path / "texts.txt").write_text("a [MASK] film\n\na film without one\n")
    with pytest.raises(ValueError, match=r"number 2 of 2, 'a film without one', cannot be read .*0 \[MASK\]"):
        load_subject(Subject("bert-reviews", "bert", str(tmp_path / "texts.txt")), 2)


def test_the_fingerprint_changes_with_a_weight_or_a_picture_even_if_both_were_read_before(tmp_path):
    shutil.copytree(MODELS / "vit-cifar10", tmp_path / "model")
    subject = replace(make_photos(tmp_path, "a.png", "b.png"), model=str(tmp_path / "model"))
    load_subject(subject, 2)
    found = [fingerprint(subject, 2), fingerprint(subject, 2), fingerprint(subject, 1)]
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "photos" / "b.png")
    found.append(fingerprint(subject, 2))
    (weights,) = (tmp_path / "model").glob("*.safetensors")
    tensors = load_file(weights)
    next(iter(tensors.values())).view(-1)[0] += 1e-3
    save_file(tensors, weights, metadata={"format": "pt"})
    found.append(fingerprint(subject, 2))
    assert found[0] == found[1]
    assert len(set(found)) == 4
    assert all(len(bytes.fromhex(each)) == 6 for each in found)


@pytest.mark.parametrize("text", ["vit:a", "vit:a:mnist:three", "vit:a:mnist:1:2", "::", "vit::mnist", ""])
def test_a_subject_in_words_is_named_when_wrong(text):
    assert Subject.parse("bert:hub/name:winobias:3") == Subject("hub/name", "bert", "winobias", 3)
    with pytest.raises(ValueError, match="must read adapter:model:inputs"):
        Subject.parse(text)


def test_parts_are_the_most_sensitive_ones():
    adapter, images = load_subject(DIGITS, 20)
    f = adapter.output_map(adapter.encode(images[3]))
    norms = PullbackMetric.at(f, f.start).part_norms()
    (one,) = choose_parts(f, "one")
    half = choose_parts(f, "q2")
    assert norms[one] == norms.max()
    assert len(half) == 25
    assert norms[half].min() >= norms[[i for i in range(49) if i not in half]].max()
    assert choose_parts(f, "all") == list(range(49))


def test_keys_and_seeds_differ_and_stay():
    cells = Grid((DIGITS, replace(DIGITS, inputs="mnist", target=3)), inputs=3, steps=10).cells()
    cells += Grid((replace(DIGITS, device="cuda"),), inputs=3, steps=10).cells()
    assert len(cells) == 3 * 3 * 3
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.repetition for cell in cells[:18]] == sorted(cell.repetition for cell in cells[:18])
    slashed = Cell(Subject("a/b", "vit", "digits", 3), 0, 1, (10.0,), ("one",), 0, 5)
    assert slashed.key == "a--b_digits-top3_0of1_eta10_one_5steps_0"
    walks = [Walk(a, eta, parts) for a in ALGORITHMS for eta in (1, 10) for parts in ("one", "all")]
    seeds = {cell.generator(walk).initial_seed() for cell in cells for walk in walks}
    assert len(seeds) == len(cells) * len(walks)


WRONG = [{"inputs": 0}, {"steps": 0}, {"parts": ("two",)}, {"etas": ()}, {"subjects": ()}]
WRONG += [{"etas": (1, eta)} for eta in (0, -1.0, math.nan, math.inf)]
TWICE = [{"etas": (1, 1.0)}, {"parts": ("one", "one")}, {"subjects": (DIGITS, replace(DIGITS, target=3))}]


@pytest.mark.parametrize("wrong", WRONG + TWICE, ids=str)
def test_a_grid_whose_cells_cannot_be_made_or_told_apart_is_named(wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        Grid(**{"subjects": (DIGITS,), **wrong})
    with pytest.raises(ValueError, match="adapters are"):
        Grid((Subject("vit-digits", "gpt", "digits"),))
    with pytest.raises(ValueError, match="target=0"):
        Grid((replace(DIGITS, target=0),))
