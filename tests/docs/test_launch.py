"""Binder and Colab: what they read is where they look for it, and the README's links are what docs/launch.py writes."""

import importlib.util
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def launch():
    spec = importlib.util.spec_from_file_location("launch", ROOT / "docs" / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_has_what_launch_writes(launch):
    assert launch.BEGIN in README
    assert launch.with_section(README) == README, "run `python docs/launch.py` and commit what it writes"


def test_each_notebook_has_a_link_to_both_services(launch):
    links = re.findall(r"\]\((https://(?:mybinder|colab)\S+)\)", launch.section("https://github.com/someone/some-name"))
    assert len(links) == 2 * len(NOTEBOOKS)
    for binder, colab, name in zip(links[::2], links[1::2], NOTEBOOKS, strict=True):
        assert urlsplit(binder).path == "/v2/gh/someone/some-name/main"
        assert urlsplit(binder).query == f"urlpath=lab/tree/notebooks/{name}"
        assert urlsplit(colab).path == f"/github/someone/some-name/blob/main/notebooks/{name}"


def test_the_address_stands_in_one_place(launch):
    """Only CITATION.cff and what is written from it know the address: changing it is one edit and one command."""
    others = [*ROOT.glob("*.*"), *(ROOT / "docs").glob("*.*"), *(ROOT / "helpers").rglob("*.py")]
    knowing = {file.name for file in others if file.is_file() and launch.REPOSITORY.encode() in file.read_bytes()}
    assert knowing == {"CITATION.cff", "README.md"}
    assert README.replace(launch.section(), "").count(launch.REPOSITORY) == 0


def test_colab_is_told_to_install_what_a_clone_gives(launch):
    clone, install = re.search(r"```\n(.*?)```", launch.section(), re.DOTALL)[1].splitlines()
    assert clone == f"!git clone --depth 1 {launch.REPOSITORY}"
    assert install.endswith(f"--editable ./{launch.REPOSITORY.rsplit('/', 1)[1]}")


def test_binder_finds_environment_yml_and_takes_the_project_with_it():
    """Binder looks into a folder of its own first; a local path or constraints make it copy the project beforehand."""
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()
    assert "- --constraint constraints.txt" in (ROOT / "environment.yml").read_text()


def test_badges_are_our_own():
    for name in ("binder", "colab"):
        drawing = (ROOT / "data" / "pictures" / f"{name}.svg").read_text()
        assert f"<title>open in {name.title()}</title>" in drawing
        assert not re.search(r"href|<image|<script|url\(|@import", drawing)
