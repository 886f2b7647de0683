"""What a sweep is made of: subjects, cells and grids, and the names by which they are found again."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from helpers.adapters import BertAdapter, GPT2Adapter, ViTAdapter
from helpers.datasets import load_cifar10, load_digits, load_mnist, load_winobias, read_sentences

ADAPTERS = {"vit": ViTAdapter, "bert": BertAdapter, "gpt2": GPT2Adapter}
INPUTS: dict[str, Callable[[], Sequence[Any]]] = {
    "digits": lambda: load_digits("test").images,
    "mnist": lambda: load_mnist("test").images,
    "cifar10": lambda: load_cifar10("test").images,
    "reviews": lambda: read_sentences("review").text.tolist(),
    "occupations": lambda: read_sentences("occupation").text.tolist(),
    "winobias": lambda: load_winobias().text.tolist(),
}
PARTS = ("one", "q2", "all")
ALGORITHMS = ("SiMEC", "SiMExp", "corrected", "baseline")


@dataclass(frozen=True)
class Subject:
    """A model and the inputs that its walks start from.

    Attributes:
        model: a bundled name, a folder or a hub id.
        adapter: one of ``ADAPTERS``.
        inputs: one of ``INPUTS``, a folder of images, or a text file with a sentence a line.
        target: how many of the most probable classes the walks tell apart; the adapter's choice if None.
        device: where the model runs: cpu, cuda or mps.
    """

    model: str
    adapter: str
    inputs: str
    target: int | None = None
    device: str = "cpu"

    @classmethod
    def parse(cls, text: str, device: str = "cpu") -> Subject:
        """Read "adapter:model:inputs" or "adapter:model:inputs:target", as the command line takes it.

        Raises:
            ValueError: for anything else.
        """
        adapter, model, inputs, *target = [*text.split(":"), "", ""][: max(3, text.count(":") + 1)]
        if not (adapter and model and inputs) or len(target) > 1 or not all(number.isdecimal() for number in target):
            raise ValueError(f"subject={text!r}: must read adapter:model:inputs or adapter:model:inputs:target")
        return cls(model, adapter, inputs, int(target[0]) if target else None, device)

    @property
    def key(self) -> str:
        """Name the subject for a file name."""
        told = "" if self.target is None else f"-top{self.target}"
        device = "" if self.device == "cpu" else f"-{self.device}"
        return f"{self.model}_{self.inputs}{told}{device}".replace("/", "--")


@dataclass(frozen=True)
class Cell:
    """One input, walked from in four ways for each step multiplier and each choice of parts, all side by side.

    Attributes:
        subject: model and inputs.
        index: which of the evenly spread inputs.
        of: how many there are.
        etas: the published walks' step multipliers.
        parts: of "one" (the part to which the output is most sensitive), "q2" (the upper half by sensitivity), "all".
        repetition: tells apart cells that differ by their seeds alone.
        steps: of each walk.
    """

    subject: Subject
    index: int
    of: int
    etas: tuple[float, ...]
    parts: tuple[str, ...]
    repetition: int
    steps: int

    @property
    def key(self) -> str:
        """Name the cell: a file name that is the same on every machine."""
        etas, parts = "-".join(f"{eta:g}" for eta in self.etas), "-".join(self.parts)
        return f"{self.subject.key}_{self.index}of{self.of}_eta{etas}_{parts}_{self.steps}steps_{self.repetition}"

    def walks(self) -> list[Walk]:
        """List the cell's walks."""
        return [Walk(*choice) for choice in itertools.product(ALGORITHMS, self.etas, self.parts)]

    def generator(self, walk: Walk) -> torch.Generator:
        """Make a walk's generator, its seed from the cell's and the walk's names, whoever runs it and when."""
        name = f"{self.key} {walk.algorithm} {walk.eta:g} {walk.parts}"
        return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]))


class Walk(NamedTuple):
    """Which of a cell's walks: one of ``ALGORITHMS``, with a step multiplier and a choice of parts."""

    algorithm: str
    eta: float
    parts: str


@dataclass(frozen=True)
class Grid:
    """All cells of a sweep.

    Attributes:
        subjects: models and their inputs.
        inputs: how many of each.
        etas: step multipliers.
        parts: which parts may move, of ``PARTS``.
        repetitions: walks of each kind from each input.
        steps: of each walk.

    Raises:
        ValueError: a count below one, no subjects, or parts, adapters or inputs that are not known; multipliers that
            are not positive numbers; any of these twice, and subjects that differ in target or device alone, since
            their rows could not be told apart.
    """

    subjects: tuple[Subject, ...]
    inputs: int = 20
    etas: tuple[float, ...] = (1, 10)
    parts: tuple[str, ...] = PARTS
    repetitions: int = 3
    steps: int = 1000

    def __post_init__(self) -> None:
        """Refuse what no cell can be made of."""
        for name in ("inputs", "repetitions", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be 1 or more")
        if not self.subjects or not self.etas or not self.parts or not set(self.parts) <= set(PARTS):
            raise ValueError(f"subjects, etas, parts: each needs one at least, and parts are of {', '.join(PARTS)}")
        if not all(math.isfinite(eta) and eta > 0 for eta in self.etas):
            raise ValueError(f"etas={self.etas}: must be positive and finite")
        named = {
            "etas": [f"{eta:g}" for eta in self.etas],
            "parts": self.parts,
            "subjects": [f"{subject.model} on {subject.inputs}" for subject in self.subjects],
        }
        for name, values in named.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name}={list(values)}: one is there twice, its rows could not be told apart")
        for subject in self.subjects:
            if subject.target is not None and subject.target < 1:
                raise ValueError(f"target={subject.target}: must be 1 or more")
            if subject.adapter not in ADAPTERS or not (subject.inputs in INPUTS or Path(subject.inputs).exists()):
                known = f"adapters are {list(ADAPTERS)}, inputs {list(INPUTS)}, a folder of images or a text file"
                raise ValueError(f"subjects: {subject}: {known}")

    def cells(self) -> list[Cell]:
        """List the cells, one repetition after the other, so that a sweep half done has every model."""
        choices = itertools.product(range(self.repetitions), range(self.inputs), self.subjects)
        return [Cell(s, i, self.inputs, self.etas, self.parts, r, self.steps) for r, i, s in choices]


PAPER = Grid(
    (
        Subject("vit-digits", "vit", "mnist"),
        Subject("vit-cifar10", "vit", "cifar10"),
        Subject("bert-reviews", "bert", "winobias", target=3),
        Subject("bert-sentiment", "bert", "reviews"),
    )
)  # what data/results holds the results of: the paper's four experiments as two cores can make them
