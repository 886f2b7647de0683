"""What many tests share: the bundled models, loaded once."""

import importlib
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture(scope="session")
def load_docs():
    """Load a module of docs by its name; like Sphinx, it finds its neighbours there."""

    def load(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(Path(__file__).resolve().parents[1] / "docs")
            return importlib.import_module(name)

    return load


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site as `make site` builds it, in a folder of its own; a warning of Sphinx's is a failure."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-E", "-c", "docs", "-d", str(folder / "doctrees")]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(folder / "html")],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


def pytest_terminal_summary(terminalreporter):
    """Say how fast the widgets answered, as ``report`` in tests/browser measured it; nothing is asserted on a clock."""
    ended = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    medians = [text for each in ended if each.when == "call" for name, text in each.user_properties if name == "median"]
    if medians:
        terminalreporter.section("widgets: time until a change is on the screen")
        terminalreporter.write_line("\n".join(medians))
