"""What many tests share: the bundled models, loaded once."""

import pytest

from helpers.adapters import BertAdapter, ViTAdapter
from helpers.datasets import load_digits


@pytest.fixture(scope="session")
def vit():
    return ViTAdapter.load("vit-digits")


@pytest.fixture(scope="session")
def digits():
    return load_digits("test")


@pytest.fixture(scope="session")
def bert():
    return BertAdapter.load("bert-sentiment")


@pytest.fixture(scope="session")
def masked_bert():
    return BertAdapter.load("bert-reviews")


def pytest_terminal_summary(terminalreporter):
    """Say how fast the widgets answered, as ``report`` in tests/browser measured it; nothing is asserted on a clock."""
    ended = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    medians = [text for each in ended if each.when == "call" for name, text in each.user_properties if name == "median"]
    if medians:
        terminalreporter.section("widgets: time until a change is on the screen")
        terminalreporter.write_line("\n".join(medians))
