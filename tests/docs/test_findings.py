"""The page of findings says the numbers that notebook 09 measured from the stored walks."""

import re
from pathlib import Path

import pytest

from tests.notebooks.test_notebooks import read, texts

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks/09_experiments__one_paper_two_step_rules.ipynb"
FINDINGS = " ".join((ROOT / "docs/findings.md").read_text().split())


@pytest.fixture(scope="module")
def measured():
    """What the notebook shows, as one text."""
    return texts(read(NOTEBOOK).cells)


def find(pattern, text):
    """Return the groups of a pattern that occurs once."""
    (groups,) = re.findall(pattern, text)
    return groups


def test_shares_of_agreeing_cells(measured):
    released, printed = find(r"meets more published cells .*measured: (\d+%) and (\d+%)", measured)
    other = find(r"in place of 0.01: (\d+%)", measured)
    assert f"in {released} of the cells by the released rule (in {other} with the code's other threshold)" in FINDINGS
    assert f"in {printed} by the printed rule" in FINDINGS
    assert f"{other} of the cells with 10⁻⁶, {released} with 0.01" in FINDINGS


def test_numbers_of_inputs(measured):
    mnist, cifar10, winobias, together = (
        find(rf"\n{row} +(?:vit-digits|vit-cifar10|bert-reviews)? +(\d+) ", measured)
        for row in ("mnist", "cifar10", "winobias", "all")
    )
    assert FINDINGS.count(f"{mnist} inputs of MNIST, {cifar10} of CIFAR10 and {winobias} of WinoBias") == 2
    assert FINDINGS.count(f"{together} inputs") == 2


def test_volumes_and_probabilities(measured):
    released, printed = find(r"volumes ([\d,]+) and ([\d.]+) times as large", measured)
    assert f"geometric means {released} and {printed} times SiMEC's" in FINDINGS
    number = r" +(-?[\d.e-]+)"
    printed, *_ = find(rf"probability lost +printed{number}{number}{number} +60 ", measured)
    released = find(rf"probability lost .*\n +released{number}{number}{number} +60 ", measured)
    corrected = find(rf"probability lost +printed{number} *\n +released{number} *\n", measured)[1]
    mean, low, high = (f"{float(value):.3f}" for value in released)
    assert f"by {float(printed):.2f} by the printed rule, and by {mean} by the released rule" in FINDINGS
    assert f"with an interval from {low} to {high} and p = {float(corrected):.1g} after" in FINDINGS
