"""The built wheel works outside of a clone; ``make fresh`` tests it in a new environment as well."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
CHECKS = ROOT / "tests" / "fresh" / "wheel_checks.py"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The files of the wheel in a folder of their own."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture(scope="module")
def run(unpacked, tmp_path_factory):
    """Run Python on the unpacked wheel, offline, from a folder that is no clone: run(*arguments) -> its output."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "HF_HUB_OFFLINE": "1"}

    def run(*arguments):
        result = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path_factory.mktemp("elsewhere"),
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
        return result.stdout.strip()

    return run


def test_bundled_files_are_loaded_from_the_wheel(run, unpacked):
    assert Path(run(CHECKS)) == unpacked / "helpers"


def test_the_machine_check_runs_from_the_wheel(run):
    assert "OK    model vit-digits" in run("-m", "helpers")


def test_the_wheel_contains_the_types_marker_and_no_training_code(unpacked):
    assert (unpacked / "helpers" / "py.typed").is_file()
    assert not list(unpacked.rglob("training"))
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {"helpers", "transformer_manifolds"}
