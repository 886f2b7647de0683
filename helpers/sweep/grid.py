"""What a sweep consists of: subjects, grids of cells, the walks of a cell, and the names of all of them."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from helpers.adapters import BertAdapter, CausalAdapter, EncoderAdapter, GPT2Adapter, ImageAdapter, ViTAdapter
from helpers.datasets import load_cifar10, load_digits, load_mnist, load_winobias, read_sentences
from helpers.sweep.algorithms import ALGORITHMS, MAIN, REFERENCES

LoadedAdapter = ImageAdapter | EncoderAdapter | CausalAdapter
ADAPTERS: dict[str, type[LoadedAdapter]] = {
    "vit": ViTAdapter,
    "bert": BertAdapter,
    "gpt2": GPT2Adapter,
    "image": ImageAdapter,  # these three take any family
    "encoder": EncoderAdapter,
    "causal": CausalAdapter,
}
INPUTS: dict[str, Callable[[], Sequence[Any] | np.ndarray]] = {
    "digits": lambda: load_digits("test").images,
    "mnist": lambda: load_mnist("test").images,
    "cifar10": lambda: load_cifar10("test").images,
    "reviews": lambda: read_sentences("review").text.tolist(),
    "occupations": lambda: read_sentences("occupation").text.tolist(),
    "winobias": lambda: load_winobias().text.tolist(),
}
TARGET_WORDS: dict[str, Callable[[], Sequence[str]]] = {  # the word of each text that may move as "target-word"
    "occupations": lambda: read_sentences("occupation").occupation.tolist(),
    "winobias": lambda: load_winobias().occupation.tolist(),
}
# the most important part, the most important quarter, half and three quarters, all parts, the target word of a text
PARTS = ("one", "q1", "q2", "q3", "all", "target-word")
IMPORTANCES = ("metric", "relevance", "rollout")  # by which parts are chosen; see ``helpers.sweep.cells``


@dataclass(frozen=True)
class Subject:
    """A model and the inputs from which its walks start.

    Attributes:
        model: a bundled name, a folder or a hub id.
        adapter: one of ``ADAPTERS``.
        inputs: one of ``INPUTS``, a folder of images, or a text file with one sentence per line.
        target: how many of the most probable classes have an output of their own; if None, the adapter's default.
        device: where the model runs: cpu, cuda or mps.
        parts: which parts may move, of ``PARTS``; those of the grid if empty.
    """

    model: str
    adapter: str
    inputs: str
    target: int | None = None
    device: str = "cpu"
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, device: str = "cpu") -> Subject:
        """Read "adapter:model:inputs" or "adapter:model:inputs:target", as the command line takes it.

        Raises:
            ValueError: for any other text.
        """
        match = re.fullmatch(r"([^:]+):([^:]+):([^:]+)(?::(\d+))?", text)
        if match is None:
            raise ValueError(f"subject={text!r}: must read adapter:model:inputs or adapter:model:inputs:target")
        adapter, model, inputs, target = match.groups()
        return cls(model, adapter, inputs, int(target) if target else None, device)

    @property
    def key(self) -> str:
        """Name of the subject in file names."""
        target = "" if self.target is None else f"-top{self.target}"
        device = "" if self.device == "cpu" else f"-{self.device}"
        return f"{self.model}_{self.inputs}{target}{device}".replace("/", "--")


class WalkSpec(NamedTuple):
    """Which walk of a cell: one of ``ALGORITHMS``, a step multiplier, and a choice of parts."""

    algorithm: str
    eta: float
    parts: str


@dataclass(frozen=True)
class Cell:
    """One input, from which each algorithm walks with each step multiplier and each choice of parts.

    Attributes:
        index, of: which of how many evenly spread inputs.
        etas: step multipliers of the published walks.
        parts: which parts may move, of ``PARTS``.
        repetition: distinguishes cells that differ only in their random seeds.
        algorithms: of ``ALGORITHMS``.
        importance: by which parts are chosen, of ``IMPORTANCES``.
    """

    subject: Subject
    index: int
    of: int
    etas: tuple[float, ...]
    parts: tuple[str, ...]
    repetition: int
    steps: int
    algorithms: tuple[str, ...] = MAIN
    importance: str = IMPORTANCES[0]

    @property
    def key(self) -> str:
        """Name of the cell in file names, the same on every machine."""
        importance = "" if self.importance == IMPORTANCES[0] else f"_by-{self.importance}"
        which = hashlib.sha256("\n".join(self.algorithms).encode()).hexdigest()[:6]
        return f"{self._start_key}{importance}_walks-{which}"

    @property
    def _start_key(self) -> str:
        """Name of all that the seeds of the walks depend on."""
        etas, parts = "-".join(f"{eta:g}" for eta in self.etas), "-".join(self.parts)
        return f"{self.subject.key}_{self.index}of{self.of}_eta{etas}_{parts}_{self.steps}steps_{self.repetition}"

    def walks(self) -> list[WalkSpec]:
        """List the walks of the cell, each reference before the walks that need it."""
        names = [name for name in ALGORITHMS if name in self.algorithms]
        return [WalkSpec(*choice) for choice in itertools.product(names, self.etas, self.parts)]

    def generator(self, spec: WalkSpec) -> torch.Generator:
        """Make the generator of a walk, seeded from the names, so that it depends on neither worker nor order."""
        name = f"{self._start_key} {spec.algorithm} {spec.eta:g} {spec.parts}"
        return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]))


@dataclass(frozen=True)
class Grid:
    """All cells of a sweep.

    Attributes:
        subjects: models and their inputs.
        inputs: how many inputs of each subject.
        etas: step multipliers.
        parts: which parts may move, of ``PARTS``.
        repetitions: walks of each kind from each input.
        steps: of each walk.
        algorithms: of ``ALGORITHMS``.
        importance: by which parts are chosen, of ``IMPORTANCES``.

    Raises:
        ValueError: a value is out of range, unknown, or given twice; subjects that differ only in target, device or
            parts count as the same, because the rows of their walks could not be distinguished.
    """

    subjects: tuple[Subject, ...]
    inputs: int = 20
    etas: tuple[float, ...] = (1, 10)
    parts: tuple[str, ...] = ("one", "q2", "all")
    repetitions: int = 1
    steps: int = 1000
    algorithms: tuple[str, ...] = MAIN
    importance: str = IMPORTANCES[0]

    def __post_init__(self) -> None:
        for name in ("inputs", "repetitions", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be 1 or more")
        if not (self.subjects and self.etas and self.parts) or not set(self.parts) <= set(PARTS):
            raise ValueError(f"subjects, etas, parts: need at least one value each, and parts from {', '.join(PARTS)}")
        if self.importance not in IMPORTANCES:
            raise ValueError(f"importance={self.importance!r}: must be one of {', '.join(IMPORTANCES)}")
        _check_algorithms(self.algorithms)
        if not all(math.isfinite(eta) and eta > 0 for eta in self.etas):
            raise ValueError(f"etas={self.etas}: must be positive and finite")
        for subject in self.subjects:
            _check_subject(subject, subject.parts or self.parts)
        subjects = [f"{subject.model} on {subject.inputs}" for subject in self.subjects]
        etas = [f"{eta:g}" for eta in self.etas]  # as in the names of files
        given = {"etas": etas, "parts": self.parts, "subjects": subjects, "algorithms": self.algorithms}
        for name, values in given.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name}={values}: contains a value twice, and its rows could not be distinguished")

    def cells(self) -> list[Cell]:
        """List the cells, one repetition after the other, so that an unfinished sweep covers every subject."""
        choices = itertools.product(range(self.repetitions), range(self.inputs), self.subjects)
        rest = (self.steps, self.algorithms, self.importance)
        return [Cell(s, i, self.inputs, self.etas, s.parts or self.parts, r, *rest) for r, i, s in choices]


def _check_algorithms(names: Sequence[str]) -> None:
    if not names or not set(names) <= set(ALGORITHMS):
        raise ValueError(f"algorithms={list(names)}: need at least one, of {', '.join(ALGORITHMS)}")
    for name in names:
        if REFERENCES.get(name, name) not in names:
            raise ValueError(f"algorithms={list(names)}: {name} has the step length of {REFERENCES[name]}; add it")


def _check_subject(subject: Subject, parts: Sequence[str]) -> None:
    if subject.target is not None and subject.target < 1:
        raise ValueError(f"target={subject.target}: must be 1 or more")
    if subject.adapter not in ADAPTERS:
        raise ValueError(f"adapter={subject.adapter!r}: must be one of {', '.join(ADAPTERS)}")
    if not (subject.inputs in INPUTS or Path(subject.inputs).exists()):
        wanted = f"one of {', '.join(INPUTS)}, a folder of images or a text file"
        raise ValueError(f"inputs={subject.inputs!r}: must be {wanted}")
    if not set(parts) <= set(PARTS):
        raise ValueError(f"parts={list(parts)}: must be of {', '.join(PARTS)}")
    if "target-word" in parts and subject.inputs not in TARGET_WORDS:
        raise ValueError(f"parts='target-word': {subject.inputs} has none; only {', '.join(TARGET_WORDS)} have")


PAPER = Grid(  # the paper's four experiments, on models that two CPU cores can walk; data/results has the results
    (
        Subject("vit-digits", "vit", "mnist"),
        Subject("vit-cifar10", "vit", "cifar10"),
        Subject("bert-reviews", "bert", "winobias", target=5, parts=("target-word",)),
        Subject("bert-sentiment", "bert", "reviews"),
    ),
    algorithms=(*MAIN, "released SiMEC, threshold 1e-6", "released SiMExp, threshold 1e-6"),
    importance="relevance",
)
