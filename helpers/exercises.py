"""Self-checks for the exercises in the notebooks, and claims about their results."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from IPython.display import display

__all__ = [
    "Claim",
    "claim",
    "verify",
]

ADVICE = "read the exercise again, and its hint"  # after an answer that is not right
STRICT = "HELPERS_STRICT_CLAIMS"  # environment variable; "1" makes claims that do not hold raise, as in the tests


def verify(answer: Any, is_right: Callable[[Any], Any]) -> str:
    """Return whether the answer to an exercise is right, without ever raising an error.

    Args:
        answer: the student's answer; ``...`` as long as there is none.
        is_right: takes the answer and returns something true if it is right.

    >>> verify(..., lambda a: a == 4)
    'not attempted yet'
    >>> verify(4, lambda a: a == 4)
    'right!'
    """
    if answer is ...:
        return "not attempted yet"
    try:
        right = bool(is_right(answer))
    except Exception as error:
        return f"could not be checked ({type(error).__name__}: {error}); {ADVICE}"
    return "right!" if right else f"not yet; {ADVICE}"


@dataclass(frozen=True)
class Claim:
    """A statement about a result, and whether it holds for the present parameters.

    Attributes:
        statement: a whole sentence.
        holds: whether it is true here.
        measured: the value that decides it, as text.
        shipped: the value for the parameters that the notebook is shipped with; empty where it is not given.
    """

    statement: str
    holds: bool
    measured: str = ""
    shipped: str = ""

    def __repr__(self) -> str:
        mark = "✓ holds" if self.holds else "✗ does not hold for these parameters"
        return f"{mark}: {self.statement}{self._details()}"

    def _repr_html_(self) -> str:
        colour, mark = ("#00694d", "✓ holds") if self.holds else ("#a33b00", "✗ does not hold for these parameters")
        text = html.escape(self.statement + self._details())
        return f"<p><b style='color:{colour}'>{mark}:</b> {text}</p>"

    def _details(self) -> str:
        details = [f"measured: {self.measured}"] if self.measured else []
        if self.shipped and self.shipped != self.measured:
            details.append(f"with the parameters as shipped: {self.shipped}")
        return f" ({'; '.join(details)})" if details else ""


def claim(statement: str, holds: Any, measured: Any = "", shipped: Any = "") -> None:
    """Show whether a statement holds for the present parameters of a notebook.

    Nothing is raised for a student who changes a parameter. Where the environment variable ``HELPERS_STRICT_CLAIMS``
    is "1", as in the tests of the notebooks as shipped, a claim that does not hold is an error.

    Args:
        statement: a whole sentence, without the numbers that the parameters decide.
        holds: something true if the statement holds.
        measured: the value that decides it; a float is shown with three digits.
        shipped: the value for the parameters as shipped; it is shown where it differs from the measured one.

    Raises:
        AssertionError: the claim does not hold, and claims are strict.
    """
    shown = Claim(statement, bool(holds), _write_value(measured), _write_value(shipped))
    display(shown)
    if not shown.holds and os.environ.get(STRICT) == "1":
        raise AssertionError(repr(shown))


def _write_value(value: Any) -> str:
    """Write a number with three digits, and anything else as it is."""
    is_whole = isinstance(value, (str, int)) or not hasattr(value, "__float__")
    return str(value) if is_whole else f"{float(value):,.3g}"
