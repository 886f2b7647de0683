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
