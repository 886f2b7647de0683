"""Subjects, cells and grids: their names, seeds and checks."""

import math
from dataclasses import replace

import pytest

from helpers.sweep import Cell, Grid, Subject
from helpers.sweep.algorithms import ALGORITHMS, MAIN, REFERENCES
from helpers.sweep.grid import WalkSpec

DIGITS = Subject("vit-digits", "vit", "digits")


def test_a_subject_is_parsed():
    assert Subject.parse("bert:hub/name:winobias:3") == Subject("hub/name", "bert", "winobias", 3)
    assert Subject.parse("vit:vit-digits:digits", "cuda") == replace(DIGITS, device="cuda")


@pytest.mark.parametrize("text", ["vit:a", "vit:a:mnist:three", "vit:a:mnist:1:2", "::", "vit::mnist", ""])
def test_a_malformed_subject_is_refused(text):
    with pytest.raises(ValueError, match="must read adapter:model:inputs"):
        Subject.parse(text)


def test_keys_and_seeds_are_distinct_and_do_not_change():
    options = {"inputs": 3, "steps": 10, "repetitions": 3}
    cells = Grid((DIGITS, replace(DIGITS, inputs="mnist", target=3)), **options).cells()
    cells += Grid((replace(DIGITS, device="cuda"),), **options).cells()
    assert len(cells) == 3 * 3 * 3
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.repetition for cell in cells[:18]] == sorted(cell.repetition for cell in cells[:18])
    slashed = Cell(Subject("a/b", "vit", "digits", 3), 0, 1, (10.0,), ("one",), 0, 5)
    assert slashed.key == "a--b_digits-top3_0of1_eta10_one_5steps_0_walks-c33f0a"
    others = [replace(slashed, algorithms=("SiMEC",)), replace(slashed, importance="relevance")]
    assert len({cell.key for cell in [slashed, *others]}) == 3
    assert {cell.generator(WalkSpec("SiMEC", 10.0, "one")).initial_seed() for cell in others} == {129207753496190}
    assert slashed.generator(WalkSpec("SiMEC", 10.0, "one")).initial_seed() == 129207753496190
    specs = [WalkSpec(a, eta, parts) for a in MAIN for eta in (1, 10) for parts in ("one", "all")]
    seeds = {cell.generator(spec).initial_seed() for cell in cells for spec in specs}
    assert len(seeds) == len(cells) * len(specs)


INVALID = [{"inputs": 0}, {"steps": 0}, {"repetitions": 0}, {"parts": ("two",)}, {"etas": ()}, {"subjects": ()}]
INVALID += [{"etas": (1, eta)} for eta in (0, -1.0, math.nan, math.inf)]
INVALID += [{"algorithms": ()}, {"algorithms": ("simec",)}, {"algorithms": ("corrected",)}, {"importance": "size"}]
REPEATED = [
    {"algorithms": ("SiMEC", "SiMEC")},
    {"etas": (1, 1.0)},
    {"parts": ("one", "one")},
    {"subjects": (DIGITS, replace(DIGITS, target=3))},
]


@pytest.mark.parametrize("values", INVALID + REPEATED, ids=str)
def test_a_grid_with_invalid_or_repeated_values_is_refused(values):
    with pytest.raises(ValueError, match="|".join(values)):
        Grid(**{"subjects": (DIGITS,), **values})


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (replace(DIGITS, adapter="gpt"), "adapter='gpt': must be one of vit, bert, gpt2"),
        (replace(DIGITS, inputs="nowhere"), "inputs='nowhere': must be one of digits, .* or a text file"),
        (replace(DIGITS, target=0), "target=0: must be 1 or more"),
        (replace(DIGITS, parts=("half",)), "parts=.'half'.: must be of one, q1"),
        (replace(DIGITS, parts=("target-word",)), "parts='target-word': digits has none; only occupations, winobias"),
    ],
)
def test_an_unknown_subject_is_refused(subject, message):
    with pytest.raises(ValueError, match=message):
        Grid((subject,))


def test_a_subject_may_have_parts_of_its_own():
    words = Subject("bert-reviews", "bert", "occupations", 3, parts=("target-word",))
    cells = Grid((DIGITS, words), inputs=1).cells()
    assert [cell.parts for cell in cells] == [("one", "q2", "all"), ("target-word",)]


def test_references_are_walked_before_the_walks_that_need_them():
    names = list(ALGORITHMS)
    assert all(names.index(reference) < names.index(name) for name, reference in REFERENCES.items())
    cell = Grid((DIGITS,), algorithms=("corrected", "SiMEC")).cells()[0]
    assert [spec.algorithm for spec in cell.walks()][:1] == ["SiMEC"]
