"""Check whether this machine is ready for the notebooks: ``python -m helpers``."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from packaging.requirements import Requirement
from safetensors import SafetensorError, safe_open

from helpers.resources import MODELS, bundled_models

DISTRIBUTION = "transformer-manifolds"  # the name under which pip installs the project
INSTALL = "run `make install`, or `pip install --constraint constraints.txt --editable .` in the environment"
REINSTALL = "clone the repository again, run `git checkout -- data/models`, or install the package again"
MEMORY_GIB = 4  # no notebook needs more
NOTEBOOKS_BY_MODEL = {
    "vit-digits": "02, 09, 10",
    "vit-mnist": "02, 09, 10",
    "bert-sentiment": "03, 04, 08",
    "bert-reviews": "03, 04, 12",
    "gpt2-reviews": "05, 06, 07, 08, 11, 12",
    "gpt2-reviews-b": "05, 06, 07, 08, 11, 12",
    "gpt2-sentiment": "08, 11, 12",
    "llama-reviews": "11, 12",
}


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    problem: str = ""  # empty if nothing is wrong
    remedy: str = ""
    required: bool = True  # whether the notebooks need it

    def __str__(self) -> str:
        if not self.problem:
            return f"OK    {self.name}"
        return f"{'FAIL' if self.required else 'note'}  {self.name}: {self.problem}\n      {self.remedy}"


def check_installation() -> Iterator[Finding]:
    """Check the version of Python, and that every required package is installed in a version that fits."""
    try:
        metadata = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        yield Finding(DISTRIBUTION, "is not installed", INSTALL)
        return
    python = Requirement(f"Python{metadata['Requires-Python']}")
    version = ".".join(map(str, sys.version_info[:3]))
    yield _check_version(python, version, "choose another version: make install PYTHON=python3.12")
    for requirement in map(Requirement, metadata.get_all("Requires-Dist") or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            try:
                yield _check_version(requirement, importlib.metadata.version(requirement.name), INSTALL)
            except importlib.metadata.PackageNotFoundError:
                yield Finding(requirement.name, "is not installed", INSTALL)


def _check_version(requirement: Requirement, version: str, remedy: str) -> Finding:
    fits = requirement.specifier.contains(version.split("+")[0])  # PyTorch appends "+cpu"
    return Finding(f"{requirement.name} {version}", "" if fits else f"must be {requirement.specifier}", remedy)


def check_kernel() -> Iterator[Finding]:
    """Check that Jupyter's Python kernel starts this Python."""
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("Jupyter kernel", "there is no kernel python3", INSTALL)
        return
    same = not os.path.isabs(command) or Path(command).samefile(sys.executable)
    remedy = f"start JupyterLab from this environment: {Path(sys.executable).parent / 'jupyter'} lab"
    yield Finding("Jupyter kernel", "" if same else f"python3 starts {command}, not this Python", remedy)


def check_models() -> Iterator[Finding]:
    """Check that the bundled models are complete."""
    for name, notebooks in NOTEBOOKS_BY_MODEL.items():
        complete = name in bundled_models() and is_complete(MODELS / name / "model.safetensors")
        problem = "" if complete else f"missing or truncated; needed by notebooks {notebooks}"
        yield Finding(f"model {name}", problem, REINSTALL)


def is_complete(path: Path) -> bool:
    """Return whether a safetensors file exists and is as long as its header says."""
    try:
        with safe_open(path, "np"):
            return True
    except (OSError, SafetensorError):
        return False


def check_machine() -> Iterator[Finding]:
    """Check the memory, and the data sets that only training and some options of the notebooks need."""
    free = psutil.virtual_memory().available / 2**30
    problem = "" if free >= MEMORY_GIB else f"{free:.1f} GiB are free, but notebooks use up to {MEMORY_GIB}"
    yield Finding(f"memory, {free:.0f} GiB free", problem, "close other programs", required=False)
    folder = os.environ.get("HELPERS_DATASETS")
    problem = "HELPERS_DATASETS is not set"
    if folder:
        problem = "" if Path(folder).is_dir() else f"HELPERS_DATASETS={folder!r} is not a folder"
    remedy = "only training and some options need it; without it, data sets are read from the hub"
    yield Finding("folder of data sets", problem, remedy, required=False)


def main() -> int:
    """Print the result of every check; the exit status is 1 if a notebook would not run."""
    findings = [*check_installation(), *check_kernel(), *check_models(), *check_machine()]
    print(*findings, sep="\n")
    failed = sum(bool(finding.problem) and finding.required for finding in findings)
    print(f"\n{f'{failed} problems to solve' if failed else 'all is ready'}: {len(findings)} checks")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
