"""The machine check passes where the tests run, and names the problem and its remedy where something is missing."""

import importlib.metadata
import shutil
import sys

import nbformat
import pytest

import helpers.__main__ as check
from helpers.resources import bundled_models
from notebooks.execute import NOTEBOOKS


def test_all_is_ready_where_the_tests_run(capsys):
    assert check.main() == 0
    printed = capsys.readouterr().out
    assert "FAIL" not in printed
    assert "OK    torch 2.13.0" in printed
    assert "ruff" not in printed, "what only development needs is not checked"
    assert printed.rstrip().splitlines()[-1].startswith("all is ready")


def test_every_model_that_a_notebook_names_is_checked():
    used = set()
    for path in NOTEBOOKS.glob("*.ipynb"):
        code = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
        used |= {(path.name[:2], name) for name in bundled_models() if f'"{name}"' in code}
    missing = {(number, name) for number, name in used if number not in check.NOTEBOOKS_BY_MODEL.get(name, "")}
    assert ("02", "vit-digits") in used
    assert not missing


def test_a_truncated_model_fails_with_its_remedy(tmp_path, monkeypatch, capsys):
    shutil.copytree(check.MODELS / "vit-digits", tmp_path / "vit-digits")
    weights = tmp_path / "vit-digits" / "model.safetensors"
    assert check.is_complete(weights)
    weights.write_bytes(weights.read_bytes()[:-10])
    monkeypatch.setattr(check, "MODELS", tmp_path)
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert "FAIL  model vit-digits: missing or truncated; needed by notebooks 02, 09" in printed
    assert "git checkout -- data/models" in printed
    assert not check.is_complete(tmp_path / "nowhere")


def test_a_missing_and_an_old_package_fail(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "captum":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.0.1" if name == "scipy" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    failed = {str(finding).split(":")[0]: finding for finding in check.check_installation() if finding.problem}
    assert set(failed) == {"FAIL  captum", "FAIL  scipy 0.0.1"}
    assert "make install" in failed["FAIL  captum"].remedy


def test_a_project_that_is_not_installed_fails(monkeypatch):
    monkeypatch.setattr(check, "DISTRIBUTION", "no-such-distribution")
    (finding,) = check.check_installation()
    assert str(finding).startswith("FAIL  no-such-distribution: is not installed")


@pytest.mark.parametrize(("command", "fails"), [("/bin/sh", True), (sys.executable, False)])
def test_a_kernel_of_another_python_fails(monkeypatch, command, fails):
    class Spec:
        argv = (command, "-m")

    monkeypatch.setattr(check.KernelSpecManager, "get_kernel_spec", lambda self, name: Spec)
    (finding,) = check.check_kernel()
    assert bool(finding.problem) == fails
