"""Checks of numbers: what is refused, and how it is named."""

import math

import numpy as np
import pytest
import torch

from helpers.geometry.arguments import check_number, check_positive, check_whole

NO_NUMBERS = ["3", None, [3], math.nan, math.inf]


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1e-9])
def test_what_is_no_finite_number_or_too_small_is_refused(value):
    with pytest.raises(ValueError, match=r"^margin=.*: must be a finite number of 0 or more$"):
        check_number("margin", value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -2.5])
def test_what_is_no_positive_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^eta=.*: must be a positive number$"):
        check_positive("eta", value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 1001, 2.0])
def test_what_is_no_whole_number_in_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^k=.*: must be a whole number between 1 and 1,000$"):
        check_whole("k", value, 1, 1000)
    with pytest.raises(ValueError, match=r"^seed=-1: must be a whole number of 0 or more$"):
        check_whole("seed", -1)


def test_numbers_of_numpy_and_torch_are_numbers():
    for number in (3, np.int64(3), torch.tensor(3)):
        check_whole("k", number, 3, 3)
    for number in (0.5, np.float32(0.5), torch.tensor(0.5), 3):
        check_positive("eta", number)
        check_number("margin", number, least=0.5)
