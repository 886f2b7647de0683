"""A new environment with what environment.yml lists, and nothing else, runs notebook 01.

It downloads everything, PyTorch included, and so runs only when asked for: ``make fresh``.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from notebooks.execute import NOTEBOOKS

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_A_CLONE = [
    ".git",
    ".venv",
    "site",
    "runs",
    "build",
    "dist",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "*.egg-info",
]
(FIRST,) = NOTEBOOKS.glob("01_*.ipynb")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project, as a clone would have it."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("fresh") / "clone", ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE)
    )


@pytest.fixture(scope="module")
def run(make_environment, clone):
    """Run the Python of a new environment in the clone: run(*arguments) -> what it printed."""
    requirements = yaml.safe_load((clone / "environment.yml").read_text())["dependencies"][-1]["pip"]
    (clone / "requirements.txt").write_text("\n".join(requirements))  # beside environment.yml, as conda does
    run = make_environment(clone.parent / "environment", clone)
    run("-m", "pip", "install", "--quiet", "--requirement", "requirements.txt")
    return run


def test_no_listed_package_contradicts_another(run):
    run("-m", "pip", "check")


def test_the_helpers_come_from_the_clone(run, clone):
    assert Path(run("-c", "import helpers; print(helpers.__file__)")) == clone / "helpers" / "__init__.py"


def test_the_machine_check_is_satisfied(run):
    run("-m", "helpers")


def test_notebook_01_runs_from_a_clean_kernel(run, clone):
    notebook = clone / "notebooks" / FIRST.name
    run("-m", "nbconvert", "--to", "notebook", "--inplace", "--clear-output", str(notebook))
    run("-m", "notebooks.execute", str(notebook))
    assert b"image/png" in notebook.read_bytes()
