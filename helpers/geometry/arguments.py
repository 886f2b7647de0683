"""Checks of numbers that a caller gives: each error names the argument, the value and what was wanted."""

from __future__ import annotations

import math
import operator
from typing import Any, SupportsFloat


def check_number(name: str, value: Any, least: float = 0) -> None:
    """Raise a ValueError unless a value is a finite number that is not below the least one."""
    if not (isinstance(value, SupportsFloat) and math.isfinite(value) and float(value) >= least):
        raise ValueError(f"{name}={value!r}: must be a finite number of {least:g} or more")


def check_positive(name: str, value: Any) -> None:
    """Raise a ValueError unless a value is a finite number above zero."""
    if not (isinstance(value, SupportsFloat) and math.isfinite(value) and float(value) > 0):
        raise ValueError(f"{name}={value!r}: must be a positive number")


def check_whole(name: str, value: Any, least: int = 0, most: int | None = None) -> None:
    """Raise a ValueError unless a value is a whole number that is neither below the least nor above the most."""
    try:
        is_right = least <= operator.index(value) and (most is None or operator.index(value) <= most)
    except TypeError:
        is_right = False
    if not is_right:
        allowed = f"of {least:,} or more" if most is None else f"between {least:,} and {most:,}"
        raise ValueError(f"{name}={value!r}: must be a whole number {allowed}")
