"""A new environment with what environment.yml lists, and nothing else, runs notebook 01.

It downloads everything, PyTorch included, and so runs only when asked for: ``make fresh``.
"""

import os
import shutil
import subprocess
import sys
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

pytestmark = pytest.mark.skipif(
    not os.environ.get("FRESH_INSTALL"), reason="downloads PyTorch and takes minutes; run it by `make fresh`"
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project, as a clone would have it."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("fresh") / "clone", ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE)
    )


@pytest.fixture(scope="module")
def run(clone):
    """Run the Python of a new environment in the clone: run(*arguments) -> what it printed."""
    requirements = yaml.safe_load((clone / "environment.yml").read_text())["dependencies"][-1]["pip"]
    (clone / "requirements.txt").write_text("\n".join(requirements))  # beside environment.yml, as conda does
    subprocess.run([sys.executable, "-m", "venv", clone.parent / "env"], check=True)
    python = clone.parent / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER", "IPYTHON"))
    }

    def in_clone(*arguments):
        result = subprocess.run([python, *arguments], cwd=clone, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
        return result.stdout.strip()

    in_clone("-m", "pip", "install", "--quiet", "--requirement", "requirements.txt")
    return in_clone


def test_no_listed_package_contradicts_another(run):
    run("-m", "pip", "check")


def test_the_helpers_come_from_the_clone(run, clone):
    assert Path(run("-c", "import helpers; print(helpers.__file__)")) == clone / "helpers" / "__init__.py"


def test_the_machine_is_found_ready(run):
    run("-m", "helpers.__main__")


def test_notebook_01_runs_from_a_clean_kernel(run, clone):
    notebook = clone / "notebooks" / FIRST.name
    run("-m", "nbconvert", "--to", "notebook", "--inplace", "--clear-output", str(notebook))
    run("-m", "notebooks.execute", str(notebook))
    assert b"image/png" in notebook.read_bytes()
