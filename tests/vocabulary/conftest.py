"""What the tests of readings share."""

import pytest

from helpers.weights import load_weights


@pytest.fixture(scope="package")
def w():
    """A GPT-2 whose layer norms are folded in; no test changes it."""
    return load_weights("gpt2-reviews", fold=True)
