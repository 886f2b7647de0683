"""The check says OK on a machine where the tests run, and FAIL with a mend where something is missing."""

import importlib.metadata
import shutil
import sys

import pytest

import helpers.__main__ as check


def test_all_is_ready_where_the_tests_run(capsys):
    assert check.main() == 0
    said = capsys.readouterr().out
    assert "FAIL" not in said
    assert "OK    torch 2.13.0" in said
    assert said.rstrip().splitlines()[-1].startswith("all is ready")


def test_every_model_that_a_notebook_names_is_checked():
    import nbformat

    from helpers.resources import bundled_models
    from notebooks.execute import NOTEBOOKS

    for path in NOTEBOOKS.glob("*.ipynb"):
        code = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
        for name in bundled_models():
            if f'"{name}"' in code:
                assert path.name[:2] in check.NEEDED_BY[name], f"{path.name} uses {name}"


def test_a_cut_off_model_fails_and_says_what_to_do(tmp_path, monkeypatch, capsys):
    shutil.copytree(check.MODELS / "vit-digits", tmp_path / "vit-digits")
    weights = tmp_path / "vit-digits" / "model.safetensors"
    assert check.is_whole(weights)
    weights.write_bytes(weights.read_bytes()[:-10])
    monkeypatch.setattr(check, "MODELS", tmp_path)
    assert check.main() == 1
    said = capsys.readouterr().out
    assert "FAIL  model vit-digits: missing or cut off; needed by notebooks 02, 06" in said
    assert "git checkout -- data/models" in said
    assert not check.is_whole(tmp_path / "nowhere")


def test_a_missing_and_an_old_package_fail(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "captum":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.0.1" if name == "scipy" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {str(finding).split(":")[0]: finding for finding in check.check_packages() if finding.trouble}
    assert set(found) == {"FAIL  captum", "FAIL  scipy 0.0.1"}
    assert "make install" in found["FAIL  captum"].mend


@pytest.mark.parametrize("command", ["/bin/sh", sys.executable])
def test_a_kernel_of_another_python_fails(monkeypatch, command):
    class Spec:
        argv = (command, "-m")

    monkeypatch.setattr(check.KernelSpecManager, "get_kernel_spec", lambda self, name: Spec)
    (found,) = check.check_kernel()
    assert bool(found.trouble) == (command == "/bin/sh")
