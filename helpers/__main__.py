"""Is this machine ready for the notebooks? ``python -m helpers`` says, and says what to do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from packaging.requirements import Requirement

from helpers.resources import MODELS, bundled_models

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
INSTALL = "run `make install`, or `pip install --constraint constraints.txt --editable .` in the environment"
MEMORY = 4  # GiB that all notebooks keep under
NEEDED_BY = {
    "vit-digits": "02, 06",
    "bert-sentiment": "03, 05, 06",
    "bert-reviews": "03",
    "gpt2-reviews": "04, 05, 06",
    "gpt2-reviews-b": "04, 05, 06",
    "gpt2-sentiment": "05",
}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: of what was checked.
        trouble: what is wrong; empty if nothing.
        mend: what to do about it.
        needed: whether a notebook cannot do without.
    """

    name: str
    trouble: str = ""
    mend: str = ""
    needed: bool = True

    def __str__(self) -> str:
        if not self.trouble:
            return f"OK    {self.name}"
        return f"{'FAIL' if self.needed else 'note'}  {self.name}: {self.trouble}\n      {self.mend}"


def check_python() -> Iterator[Finding]:
    """Check the version of Python."""
    wanted = PROJECT["requires-python"]
    here = ".".join(map(str, sys.version_info[:3]))
    fits = Requirement(f"python{wanted}").specifier.contains(here)
    yield Finding(f"Python {here}", "" if fits else f"wanted {wanted}", "name another: make install PYTHON=python3.12")


def check_packages() -> Iterator[Finding]:
    """Check that every package that the project lists is there in a version that fits."""
    for wanted in map(Requirement, PROJECT["dependencies"]):
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(wanted.name, "is not installed", INSTALL)
            continue
        fits = wanted.specifier.contains(version.split("+")[0])
        yield Finding(f"{wanted.name} {version}", "" if fits else f"wanted {wanted.specifier}", INSTALL)


def check_kernel() -> Iterator[Finding]:
    """Check that Jupyter's Python kernel starts this Python."""
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("Jupyter kernel", "there is no kernel python3", INSTALL)
        return
    same = not os.path.isabs(command) or Path(command).samefile(sys.executable)
    mend = f"start JupyterLab with this environment's own: {Path(sys.executable).parent / 'jupyter'} lab"
    yield Finding("Jupyter kernel", "" if same else f"python3 starts {command}, not this Python", mend)


def check_models() -> Iterator[Finding]:
    """Check that the bundled models are whole."""
    found = bundled_models()
    for name, notebooks in NEEDED_BY.items():
        path = MODELS / name / "model.safetensors"
        trouble = "" if name in found and is_whole(path) else f"missing or cut off; needed by notebooks {notebooks}"
        yield Finding(f"model {name}", trouble, "clone the repository again, or `git checkout -- data/models`")


def is_whole(path: Path) -> bool:
    """Say whether a safetensors file is there as long as its header says."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends)
    except (OSError, ValueError):
        return False


def check_machine() -> Iterator[Finding]:
    """Check memory, and data sets that only training and a few options need."""
    free = psutil.virtual_memory().available / 2**30
    trouble = "" if free >= MEMORY else f"{free:.1f} GiB are free, notebooks take up to {MEMORY}"
    yield Finding(f"memory, {free:.0f} GiB free", trouble, "close other programs", needed=False)
    folder = os.environ.get("HELPERS_DATASETS")
    missing = "HELPERS_DATASETS is not set" if not folder else "" if Path(folder).is_dir() else f"{folder!r} is none"
    mend = "needed for training and some options only; data sets are read from the hub without it"
    yield Finding("folder of data sets", missing, mend, needed=False)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_kernel,
    check_models,
    check_machine,
)


def main() -> int:
    """Print what every check found; the exit status is 1 if a notebook would not run."""
    findings = [finding for check in CHECKS for finding in check()]
    print(*findings, sep="\n")
    failed = [finding for finding in findings if finding.trouble and finding.needed]
    print(f"\n{'all is ready' if not failed else f'{len(failed)} to mend'}: {len(findings)} things checked")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
