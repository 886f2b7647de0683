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


def test_times_of_the_published_pairs(measured):
    number = r"([\d.]+), 95% from [\d.]+ to [\d.]+"
    times = rf"measured: SiMExp {number}; released SiMExp {number}; released SiMExp, threshold 1e-6 {number}"
    printed, released, other = find(times, measured)
    assert f"{released} times the published ones ({other} times with the code's other threshold)" in FINDINGS
    assert f"and {printed} times by the printed rule: geometric means" in FINDINGS


def test_noise_beside_simec(measured):
    printed, other, released = (
        find(rf"\n{rule} +([\d.]+) +[\d.]+ +[\d.]+ *\n", measured)
        for rule in ("SiMEC", "released SiMEC, threshold 1e-6", "released SiMEC")
    )
    assert f"drifts {released} times as far; with 10⁻⁶ it drifts {other} times as far" in FINDINGS
    assert f"times as far, and by the printed rule {printed} times." in FINDINGS


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
