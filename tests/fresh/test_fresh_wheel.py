"""The wheel, installed with pip in a new environment, works outside of a clone.

It downloads everything, PyTorch included, and so runs only when asked for: ``make fresh``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not os.environ.get("FRESH_INSTALL"), reason="downloads PyTorch and takes minutes; run it by `make fresh`"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the Python of a new environment with the wheel in it, outside of the clone: run(*arguments) -> its output."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))}

    def run(*arguments):
        command = [str(python), *map(str, arguments)]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
        return result.stdout.strip()

    run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    return run


def test_bundled_files_are_loaded_from_the_installed_wheel(run):
    assert "site-packages" in run(Path(__file__).with_name("wheel_checks.py"))


def test_the_machine_check_is_satisfied(run):
    assert run("-m", "helpers").splitlines()[-1].startswith("all is ready")


def test_a_sweep_writes_into_the_working_directory(run):
    run("-m", "helpers.sweep", "vit:vit-digits:digits", "--inputs", 1, "--repetitions", 1, "--steps", 2, "--workers", 1)
    assert run("-c", "import pandas; print(len(pandas.read_parquet('runs/sweep/walks.parquet')))") == "24"
