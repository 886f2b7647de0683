"""The wheel, installed with pip in a new environment, works outside of a clone.

It downloads everything, PyTorch included, and so runs only when asked for: ``make fresh``.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(make_environment, tmp_path_factory):
    """Run the Python of a new environment with the wheel in it, outside of the clone: run(*arguments) -> its output."""
    folder = tmp_path_factory.mktemp("wheel")
    run = make_environment(folder / "environment", folder)
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
