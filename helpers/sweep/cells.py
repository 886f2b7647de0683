"""What a sweep measures: a grid of cells, and the four walks of each.

Source: arXiv 2410.06019, section 5, with the corrected walk beside the published ones.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers import measures
from helpers.adapters import Adapter, BertAdapter, PartsMap, ViTAdapter
from helpers.datasets import load_cifar10, load_digits, load_mnist, load_winobias, read_sentences
from helpers.equivalence import ExplorationPath, WalkSettings, gradient_noise, simec, simexp, walk_class
from helpers.geometry import PullbackMetric

ADAPTERS = {"vit": ViTAdapter, "bert": BertAdapter}
INPUTS: dict[str, Callable[[], Sequence[Any]]] = {
    "digits": lambda: load_digits("test").images,
    "mnist": lambda: load_mnist("test").images,
    "cifar10": lambda: load_cifar10("test").images,
    "reviews": lambda: read_sentences("review").text.tolist(),
    "occupations": lambda: read_sentences("occupation").text.tolist(),
    "winobias": lambda: load_winobias().text.tolist(),
}
PARTS = ("one", "q2", "all")
READ = 21  # points of a walk that are decoded


@dataclass(frozen=True)
class Subject:
    """A model and the inputs that its walks start from.

    Attributes:
        model: a bundled name, a folder or a hub id.
        adapter: one of ``ADAPTERS``.
        inputs: one of ``INPUTS``.
    """

    model: str
    adapter: str
    inputs: str


@dataclass(frozen=True)
class Cell:
    """One input walked from in four ways: SiMEC, SiMExp, corrected, and the baseline.

    Attributes:
        subject: model and inputs.
        index: which of the evenly spread inputs.
        of: how many there are.
        eta: the published walks' step multiplier.
        parts: "one" (the part to which the output is most sensitive), "q2" (the upper half by sensitivity) or "all".
        repetition: tells apart cells that differ by their seed alone.
        steps: of each walk.
    """

    subject: Subject
    index: int
    of: int
    eta: float
    parts: str
    repetition: int
    steps: int

    @property
    def key(self) -> str:
        """Name the cell: a file name that is the same on every machine."""
        model = self.subject.model.replace("/", "--")
        return f"{model}_{self.index}of{self.of}_eta{self.eta:g}_{self.parts}_{self.steps}steps_{self.repetition}"

    @property
    def seed(self) -> int:
        """Derive the cell's seed from its name, whoever runs it and when."""
        return int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:6])


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
        ValueError: a count below one, no subjects, or parts, adapters or inputs that are not known.
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
        for subject in self.subjects:
            if subject.adapter not in ADAPTERS or subject.inputs not in INPUTS:
                raise ValueError(f"subjects: {subject}: adapters are {list(ADAPTERS)}, inputs {list(INPUTS)}")

    def cells(self) -> list[Cell]:
        """List the cells, those of one model together."""
        choices = itertools.product(self.subjects, range(self.inputs), self.etas, self.parts, range(self.repetitions))
        return [Cell(s, i, self.inputs, eta, parts, r, self.steps) for s, i, eta, parts, r in choices]


@functools.lru_cache(maxsize=2)
def load_subject(subject: Subject) -> tuple[Adapter, Sequence[Any]]:
    """Load a subject's model and inputs; a worker keeps the last two."""
    return ADAPTERS[subject.adapter].load(subject.model), INPUTS[subject.inputs]()


def choose_parts(f: PartsMap, parts: str) -> list[int]:
    """Name the parts that may move, by the norm of each one's block of the pullback metric at the start."""
    order = PullbackMetric.at(f, f.start).part_norms().argsort(descending=True).tolist()
    count = {"one": 1, "q2": (len(order) + 1) // 2, "all": len(order)}[parts]
    return sorted(f.parts[i] for i in order[:count])


def measure_cell(cell: Cell) -> pd.DataFrame:
    """Walk from a cell's input in four ways and measure each walk: a row a walk, the same wherever it is run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order
    try:
        adapter, inputs = load_subject(cell.subject)
        raw = inputs[cell.index * len(inputs) // cell.of]
        point = adapter.encode(raw)
        whole = adapter.output_map(point)
        f = adapter.output_map(point, choose_parts(whole, cell.parts), whole.target)
        walks = make_walks(f, adapter, cell)
        volumes = measures.explored_hypervolume([path.points for path in walks.values()])
        rows = [
            {"algorithm": name, "volume": float(volume)} | measure_walk(adapter, f, path)
            for (name, path), volume in zip(walks.items(), volumes, strict=True)
        ]
        about = {"model": cell.subject.model, "inputs": cell.subject.inputs, "input": cell.index}
        about |= {"eta": float(cell.eta), "parts": cell.parts, "repetition": cell.repetition, "seed": cell.seed}
        return pd.DataFrame([about | row for row in rows])
    finally:
        torch.set_num_threads(threads)


def make_walks(f: PartsMap, adapter: Adapter, cell: Cell) -> dict[str, ExplorationPath]:
    """Make a cell's walks; the corrected one steps as far as SiMEC on average, the baseline as far as SiMExp."""
    generator = torch.Generator().manual_seed(cell.seed)
    settings, box = WalkSettings(eta=cell.eta, max_steps=cell.steps), adapter.bounds()
    inside = simec(f, f.start, cell.steps, box, settings, generator)
    outside = simexp(f, f.start, cell.steps, box, settings, generator)
    stride = inside.travel / max(len(inside), 1) / float(f.start.norm())
    told = replace(settings, longest_step=max(stride, 1e-6))
    held = walk_class(f, f.start, 1.5 * max(inside.travel, 1e-6), None, box, told, generator)
    size = max(outside.travel / max(len(outside), 1), 1e-9)
    return {
        "SiMEC": inside,
        "SiMExp": outside,
        "corrected": held,
        "baseline": gradient_noise(f, f.start, cell.steps, size, box, generator),
    }


def measure_walk(adapter: Adapter, f: PartsMap, path: ExplorationPath) -> dict[str, Any]:
    """Take every measure of the paper, and our own, of one walk."""
    probabilities, first = path.outputs.double().exp(), int(path.classes[0])
    chosen = torch.linspace(0, len(path), min(READ, len(path) + 1)).round().long()
    decoded = read_back(adapter, f, path.points[chosen])
    met = measures.catch_up(path.classes[chosen], decoded.argmax(1))
    own, top = probabilities[:, first], probabilities.amax(1)
    return {
        "steps": len(path),
        "stopped_because": path.stopped_because,
        "travel": path.travel,
        "displacement": path.displacement,
        "start_norm": float(f.start.norm()),
        "drift": float(path.drift.max()),
        "total_variation": float(path.total_variation.max()),
        "own_mean": float(own.mean()),
        "own_last": float(own[-1]),
        "top_mean": float(top.mean()),
        "prediction_changes": measures.prediction_changes(path.outputs),
        "ranking_changes": int(measures.ranking_changes(path.outputs).sum()),
        "rank_correlation": float(measures.rank_correlation(path.outputs).nanmean()) if len(path) else float("nan"),
        "value_distance": float(measures.value_distance(probabilities[chosen], decoded.exp()).median()),
        "decoded_variation": float((probabilities[chosen] - decoded.exp()).abs().sum(1).median() / 2),
        "misaligned": met.misaligned,
        "realigned": met.realigned,
        "forward_passes": path.forward_passes,
        "backward_passes": path.backward_passes,
    }


@torch.no_grad()
def read_back(adapter: Adapter, f: PartsMap, points: Tensor) -> Tensor:
    """Decode walked points (N, parts, d_model) to raw inputs and run those: log-probabilities (N, k), float64."""
    found = []
    for whole in f.complete(points):
        again = adapter.encode(adapter.decode(whole))
        found.append(adapter.output_map(again, f.parts, f.target)(again[list(f.parts)]))
    return torch.stack(found).double()
