"""The walks of a sweep's cell, made side by side, and what is measured of them.

Source: arXiv 2410.06019, section 5, with the corrected walk beside the published ones.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from threadpoolctl import threadpool_limits
from torch import Tensor

from helpers import measures
from helpers.adapters import Adapter, PartsMap
from helpers.equivalence import ExplorationPath, WalkSettings, gradient_noise, simec, simexp, walk_class, walk_together
from helpers.geometry import PullbackMetric
from helpers.geometry.differentiation import SmoothMap
from helpers.sweep.grid import ADAPTERS, ALGORITHMS, INPUTS, Cell, Subject, Walk

READ = 101  # points of a walk that are decoded, and whose room is measured
READ_AT_ONCE = 24
SHOWN = 21  # points of a walk at which the first class's probability is kept, in columns "own_at_{percent}"
SUBJECTS_KEPT = 4


def choose_inputs(name: str, count: int) -> dict[str, Any]:
    """Choose inputs, evenly spread, by one of the names in ``INPUTS``, or of a folder of images or a text file.

    Returns:
        Texts, arrays, or images' files, each by what names it in a message.

    Raises:
        ValueError: there are fewer.
    """
    path = Path(name)
    if name in INPUTS:
        found = INPUTS[name]()
    elif path.is_dir():
        endings = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in endings)
    else:
        found = [line for line in path.read_text().splitlines() if line.strip()]
    if not len(found):
        raise ValueError(f"inputs={name!r}: holds no image and no sentence")
    if len(found) < count:
        raise ValueError(f"inputs={name!r}: has {len(found)}, wanted {count} (--inputs {len(found)})")
    chosen = [i * len(found) // count for i in range(count)]
    return {_label(found[i], f"number {i + 1} of {len(found)}"): copy.copy(found[i]) for i in chosen}


def _label(raw: Any, number: str) -> str:
    """Name an input: by its file, or by its number and first words."""
    if isinstance(raw, Path):
        return str(raw)
    return f"{number}, {textwrap.shorten(raw, 40, placeholder=' …')!r}," if isinstance(raw, str) else number


@functools.lru_cache(maxsize=SUBJECTS_KEPT)
def load_subject(subject: Subject, count: int) -> tuple[Adapter, list[Any]]:
    """Load a subject's model and so many of its inputs, evenly spread; a worker keeps the last few as they are.

    All inputs are encoded once, since a text's feasible box depends on the longest one that was.

    Raises:
        ValueError: there are fewer inputs, or one cannot be read or encoded; the message names it.
    """
    adapter, inputs = ADAPTERS[subject.adapter].load(subject.model, device=subject.device), []
    for label, raw in choose_inputs(subject.inputs, count).items():
        try:
            inputs.append(_open(raw) if isinstance(raw, Path) else raw)
            adapter.encode(inputs[-1])
        except Exception as error:  # Pillow and tokenizers have many kinds
            raise ValueError(f"inputs={subject.inputs!r}: {label} cannot be read ({error})") from error
    return adapter, inputs


def _open(file: Path) -> Image.Image:
    """Read an image and close its file."""
    with Image.open(file) as image:
        image.load()
    return image


def fingerprint(subject: Subject, count: int) -> str:
    """Name a subject's weights and so many of its inputs, as they are now, by 12 hex digits; the same on any device.

    Both are read anew, whatever is kept. A change of the code, of a tokenizer or of a model's other settings is not
    noticed.
    """
    return _digest(*load_subject.__wrapped__(replace(subject, device="cpu"), count))


def _digest(adapter: Adapter, inputs: Sequence[Any]) -> str:
    """Hash a model's weights, with their names, and raw inputs."""
    told = hashlib.sha256()
    for name, weight in adapter.model.state_dict().items():
        told.update(name.encode() + weight.cpu().numpy().tobytes())
    for raw in inputs:
        plain = raw.convert("RGBA") if isinstance(raw, Image.Image) else raw
        told.update(b"\0" + (plain.encode() if isinstance(plain, str) else np.asarray(plain).tobytes()))
    return told.hexdigest()[:12]


def choose_parts(f: PartsMap, parts: str) -> list[int]:
    """Name the parts that may move, by the norm of each one's block of the pullback metric at the start."""
    order = PullbackMetric.at(f, f.start).part_norms().argsort(descending=True).tolist()
    count = {"one": 1, "q2": (len(order) + 1) // 2, "all": len(order)}[parts]
    return sorted(f.parts[i] for i in order[:count])


def measure_cell(cell: Cell) -> pd.DataFrame:
    """Walk from a cell's input in every way and measure each walk: a row a walk, the same on one kind of CPU."""
    return measure_walks(cell, walk_cell(cell))


def walk_cell(cell: Cell) -> dict[Walk, tuple[PartsMap, ExplorationPath]]:
    """Make a cell's walks, each with the map that it was made on."""
    with _one_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        point = adapter.encode(inputs[cell.index])
        seen = adapter.output_map(point, target=cell.subject.target)
        maps = {parts: adapter.output_map(point, choose_parts(seen, parts), seen.target) for parts in cell.parts}
        return make_walks(adapter, maps, cell)


def make_walks(
    adapter: Adapter, maps: Mapping[str, PartsMap], cell: Cell
) -> dict[Walk, tuple[PartsMap, ExplorationPath]]:
    """Make a cell's walks: corrected steps are at most as long as SiMEC's mean one, the baseline's as SiMExp's."""
    some, box, steps = next(iter(maps.values())), adapter.bounds(), cell.steps
    whole = replace(some, parts=tuple(range(len(some.point))))
    made: dict[Walk, ExplorationPath] = {}

    def run(plan: Mapping[Walk, Callable[..., ExplorationPath]], rows: Sequence[int] | None = None) -> None:
        along = [partial(_walk, maps[walk.parts], make, cell.generator(walk)) for walk, make in plan.items()]
        made.update(zip(plan, walk_together(whole, along, rows), strict=True))

    def named(algorithm: str) -> list[Walk]:
        return [walk for walk in cell.walks() if walk.algorithm == algorithm]

    def stride(walk: Walk, algorithm: str) -> float:
        path = made[walk._replace(algorithm=algorithm)]
        return max(path.travel / max(len(path), 1), 1e-9)

    def corrected(f: SmoothMap, x: Tensor, generator: torch.Generator, size: float) -> ExplorationPath:
        settings = WalkSettings(longest_step=size / (float(x.norm()) or 1.0), max_steps=steps)
        return walk_class(f, x, 1.5 * steps * size, None, box, settings, generator)

    published = {walk: simec for walk in named("SiMEC")} | {walk: simexp for walk in named("SiMExp")}
    run({w: partial(make, steps=steps, bounds=box, settings=WalkSettings(eta=w.eta)) for w, make in published.items()})
    run({w: partial(corrected, size=stride(w, "SiMEC")) for w in named("corrected")})
    baseline = {
        w: partial(gradient_noise, steps=steps, size=stride(w, "SiMExp"), bounds=box) for w in named("baseline")
    }
    run(baseline, rows=[int(whole(whole.point).argmax())])
    return {walk: (maps[walk.parts], path) for walk, path in made.items()}


def _walk(
    f: PartsMap, make: Callable[..., ExplorationPath], generator: torch.Generator, seen: SmoothMap
) -> ExplorationPath:
    """Make a walk of some parts with a map of whole points that stands for its own."""
    path = make(replace(f, whole=seen, target=None), f.start, generator=generator)
    return replace(path, points=path.points.cpu(), outputs=path.outputs.cpu())


def measure_walks(cell: Cell, walks: Mapping[Walk, tuple[PartsMap, ExplorationPath]]) -> pd.DataFrame:
    """Measure a cell's walks: a row a walk.

    A walk's room is measured twice: in the components of it and of SiMEC with the same multiplier and parts, beside
    SiMEC's in the same ones, and in its own. The column ``fingerprint`` tells which weights and inputs were used.
    """
    with _one_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        about = {"model": cell.subject.model, "inputs": cell.subject.inputs, "input": cell.index}
        rows = []
        for walk in sorted(walks, key=lambda walk: (walk.eta, walk.parts, ALGORITHMS.index(walk.algorithm))):
            f, path = walks[walk]
            _, simec_path = walks[walk._replace(algorithm="SiMEC")]
            shown, reference = path.points[_read(path)], simec_path.points[_read(simec_path)]
            volume, simec_volume = measures.explored_hypervolume([shown, reference]).tolist()
            (own_volume,) = measures.explored_hypervolume([shown]).tolist()
            volumes = {"volume": volume, "simec_volume": simec_volume, "own_volume": own_volume}
            named = about | walk._asdict() | {"repetition": cell.repetition}
            rows.append(named | measure_walk(adapter, f, path) | volumes)
        return pd.DataFrame(rows).assign(fingerprint=_digest(adapter, inputs))


def _read(path: ExplorationPath) -> Tensor:
    """Choose the points of a walk that are decoded and whose room is measured: evenly spread over its steps."""
    return torch.linspace(0, len(path), min(READ, len(path) + 1)).round().long()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sum in one order, in PyTorch and in the linear algebra of NumPy and SciPy, however many cores there are."""
    threads = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def measure_walk(adapter: Adapter, f: PartsMap, path: ExplorationPath) -> dict[str, Any]:
    """Take every measure of the paper, and our own, of one walk."""
    probabilities, first = path.outputs.double().exp(), int(path.classes[0])
    chosen = _read(path)
    decoded = read_back(adapter, f, path.points[chosen])
    met = measures.catch_up(path.classes[chosen], decoded.argmax(1))
    apart = (probabilities[chosen] - decoded.exp()).abs().sum(1) / 2
    own, top = probabilities[:, first], probabilities.amax(1)
    shown = torch.linspace(0, len(path), SHOWN).round().long()
    return {
        "steps": len(path),
        "stopped_because": path.stopped_because,
        "travel": path.travel,
        "displacement": path.displacement,
        "start_norm": float(f.start.norm()),
        "drift": float(path.drift.max()),
        "total_variation": float(path.total_variation.max()),
        "own_mean": float(own.mean()),
        "top_mean": float(top.mean()),
        "prediction_changes": measures.prediction_changes(path.outputs),
        "ranking_changes": int(measures.ranking_changes(path.outputs).sum()),
        "rank_correlation": float(measures.rank_correlation(path.outputs).nanmean()) if len(path) else float("nan"),
        "value_distance": float(measures.value_distance(probabilities[chosen], decoded.exp()).median()),
        "decoded_variation": float(apart.median()),
        "decoded_at_start": float(apart[0]),
        "misaligned": met.misaligned,
        "realigned": met.realigned,
        "delay": sum(met.delays) * len(path) / max(len(chosen) - 1, 1),
        "forward_passes": path.forward_passes,
        "backward_passes": path.backward_passes,
        **{f"own_at_{100 * i // (SHOWN - 1)}": float(p) for i, p in enumerate(own[shown])},
    }


@torch.no_grad()
def read_back(adapter: Adapter, f: PartsMap, points: Tensor) -> Tensor:
    """Decode walked points (N, parts, d_model) to raw inputs and run those: log-probabilities (N, k), float64."""
    again = adapter.reread(f.complete(points.to(f.point.device)))[:, list(f.parts)]
    return torch.cat([torch.func.vmap(f)(some) for some in again.split(READ_AT_ONCE)]).cpu().double()
