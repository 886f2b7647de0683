import pytest
import torch
from IPython.utils.capture import capture_output

from helpers.exercises import STRICT, Claim, claim, verify


def test_verify_never_raises():
    assert verify(..., lambda a: True) == "not attempted yet"
    assert verify(2, lambda a: a == 2) == "right!"
    assert verify(3, lambda a: a == 2) == "not yet; read the exercise again, and its hint"
    assert "ZeroDivisionError" in verify(0, lambda a: 1 / a)


@pytest.mark.parametrize(
    ("measured", "shipped", "details"),
    [
        ("", "", ""),
        (5, "", " (measured: 5)"),
        (5, 5, " (measured: 5)"),
        (0.123456, 0.1234, " (measured: 0.123)"),
        (torch.tensor(1.5), "1.5", " (measured: 1.5)"),
        ("2 of 3", "3 of 3", " (measured: 2 of 3; with the parameters as shipped: 3 of 3)"),
    ],
)
def test_a_claim_shows_its_value_and_the_shipped_one_where_it_differs(capsys, measured, shipped, details):
    claim("The walk drifts.", torch.tensor(True), measured, shipped)
    assert capsys.readouterr().out == f"✓ holds: The walk drifts.{details}\n"


def test_a_claim_that_does_not_hold_says_so_and_raises_only_where_claims_are_strict(capsys, monkeypatch):
    monkeypatch.delenv(STRICT, raising=False)
    claim("It is even.", False, 3)
    written = "✗ does not hold for these parameters: It is even. (measured: 3)"
    assert capsys.readouterr().out == written + "\n"
    monkeypatch.setenv(STRICT, "1")
    claim("It is odd.", True, 3)
    with pytest.raises(AssertionError, match="does not hold"):
        claim("It is even.", False, 3)
    assert written in capsys.readouterr().out, "it is shown before it is raised"


def test_a_claim_shows_itself_as_escaped_html():
    shown = Claim("a < b", False, "<b>", "")._repr_html_()
    assert "a &lt; b (measured: &lt;b&gt;)" in shown
    assert "✗ does not hold" in shown
    with capture_output() as captured:
        claim("a < b", True)
    assert captured.outputs or captured.stdout
