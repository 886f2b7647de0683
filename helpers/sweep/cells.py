"""The walks of one cell of a sweep, and the measures that are taken of each walk.

Source: arXiv 2410.06019, section 5, with the corrected walk beside the published ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from helpers import measures
from helpers.adapters import Adapter, PartsMap
from helpers.equivalence import ExplorationPath, WalkSettings, gradient_noise, simec, simexp, walk_class
from helpers.geometry import Box, PullbackMetric, total_variation
from helpers.sweep.grid import ALGORITHMS, Cell, WalkSpec
from helpers.sweep.inputs import hash_weights_and_inputs, load_subject

CellWalks = dict[WalkSpec, tuple[PartsMap, ExplorationPath]]  # each walk with the map that it was made on

DECODED_POINTS = 101  # points of a walk that are decoded and whose hypervolume is measured: every tenth of 1,000 steps
DECODING_BATCH = 24  # decoded points that the model runs on at once; larger batches need more memory, not less time
PROBABILITY_POINTS = 21  # points at which the first prediction's probability is stored, as "own_at_{percent}"
PUBLISHED_WALKS = {"SiMEC": simec, "SiMExp": simexp}
STEP_REFERENCES = {"corrected": "SiMEC", "baseline": "SiMExp"}  # whose mean step length these walks take over
SHORTEST_STEP = 1e-9  # in the units of the point, for a reference walk that did not move
TRAVEL_ALLOWANCE = 1.5  # times the reference's travel, so that the number of steps ends a corrected walk


def choose_parts(f: PartsMap, parts: str) -> list[int]:
    """Choose the parts that may move: those with the largest norm in the pullback metric at the start.

    ``parts`` is "one", "q2" (the upper half) or "all" of the parts of ``f``.
    """
    order = PullbackMetric.at(f, f.start).part_norms().argsort(descending=True).tolist()
    count = {"one": 1, "q2": (len(order) + 1) // 2, "all": len(order)}[parts]
    return sorted(f.parts[i] for i in order[:count])


def measure_cell(cell: Cell) -> pd.DataFrame:
    """Make every walk of a cell and measure it: one row per walk, the same numbers on the same kind of CPU."""
    return measure_walks(cell, walk_cell(cell))


def walk_cell(cell: Cell) -> CellWalks:
    """Make the walks of a cell, one after the other."""
    with _single_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        point = adapter.encode(inputs[cell.index])
        f = adapter.output_map(point, target=cell.subject.target)
        maps = {parts: adapter.output_map(point, choose_parts(f, parts), f.target) for parts in cell.parts}
        bounds, walks = adapter.bounds(point), CellWalks()
        for spec in cell.walks():  # in the order of ALGORITHMS, so that each reference comes first
            path = _make_walk(maps[spec.parts], bounds, cell, spec, walks)
            path = replace(path, points=path.points.cpu(), outputs=path.outputs.cpu())
            walks[spec] = maps[spec.parts], path
        return walks


def _make_walk(f: PartsMap, bounds: Box, cell: Cell, spec: WalkSpec, walks: CellWalks) -> ExplorationPath:
    """Make one walk of a cell; ``walks`` are those made so far."""
    x, steps, generator = f.start, cell.steps, cell.generator(spec)
    if spec.algorithm in PUBLISHED_WALKS:
        return PUBLISHED_WALKS[spec.algorithm](f, x, steps, bounds, WalkSettings(eta=spec.eta), generator)
    _, reference = walks[spec._replace(algorithm=STEP_REFERENCES[spec.algorithm])]
    step = max(reference.travel / max(len(reference), 1), SHORTEST_STEP)
    if spec.algorithm == "baseline":
        return gradient_noise(f, x, steps, step, bounds, generator)
    settings = WalkSettings(longest_step=step / (float(x.norm()) or 1.0), max_steps=steps)
    return walk_class(f, x, TRAVEL_ALLOWANCE * steps * step, None, bounds, settings, generator)


def measure_walks(cell: Cell, walks: CellWalks) -> pd.DataFrame:
    """Measure the walks of a cell: one row per walk.

    The hypervolume of a walk is measured twice: in the principal components of this walk and of SiMEC with the same
    multiplier and parts together, beside SiMEC's own (``volume``, ``simec_volume``), and in the components of this
    walk alone (``own_volume``). The column ``fingerprint`` identifies the weights and inputs.
    """
    with _single_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        names = {"model": cell.subject.model, "inputs": cell.subject.inputs, "input": cell.index}
        rows = []
        for spec in sorted(walks, key=lambda spec: (spec.eta, spec.parts, ALGORITHMS.index(spec.algorithm))):
            f, path = walks[spec]
            identity = names | spec._asdict() | {"repetition": cell.repetition}
            rows.append(identity | measure_walk(adapter, f, path) | _measure_volumes(spec, walks))
        return pd.DataFrame(rows).assign(fingerprint=hash_weights_and_inputs(adapter, inputs))


def _measure_volumes(spec: WalkSpec, walks: CellWalks) -> dict[str, float]:
    paths = [walks[which][1] for which in (spec, spec._replace(algorithm="SiMEC"))]
    points = [path.points[_decoded_steps(path)] for path in paths]
    volume, simec_volume = measures.explored_hypervolume(points).tolist()
    (own_volume,) = measures.explored_hypervolume(points[:1]).tolist()
    return {"volume": volume, "simec_volume": simec_volume, "own_volume": own_volume}


def _decoded_steps(path: ExplorationPath) -> Tensor:
    return torch.linspace(0, len(path), min(DECODED_POINTS, len(path) + 1)).round().long()


@contextmanager
def _single_thread() -> Iterator[None]:
    """Use one thread in PyTorch, NumPy and SciPy, so that sums do not depend on the number of cores."""
    threads = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def measure_walk(adapter: Adapter, f: PartsMap, path: ExplorationPath) -> dict[str, Any]:
    """Take every measure of the paper, and our own, of one walk."""
    outputs, steps = path.outputs.double(), len(path)
    decoded_steps = _decoded_steps(path)
    decoded = predict_decoded(adapter, f, path.points[decoded_steps])
    realignment = measures.measure_realignment(path.classes[decoded_steps], decoded.argmax(1))
    decoding_error = total_variation(outputs[decoded_steps], decoded)
    first_prediction = outputs[:, int(path.classes[0])].exp()
    shares = first_prediction[torch.linspace(0, steps, PROBABILITY_POINTS).round().long()].tolist()
    return {
        "steps": steps,
        "stopped_because": path.stopped_because,
        "travel": path.travel,
        "displacement": path.displacement,
        "start_norm": float(f.start.norm()),
        "drift": float(path.drift.max()),
        "total_variation": float(path.total_variation.max()),
        "own_mean": float(first_prediction.mean()),
        "top_mean": float(outputs.exp().amax(1).mean()),
        "prediction_changes": measures.prediction_changes(path.outputs),
        "ranking_changes": int(measures.ranking_changes(path.outputs).sum()),
        "rank_correlation": float(measures.rank_correlation(path.outputs).nanmean()) if steps else float("nan"),
        "value_distance": float(measures.value_distance(outputs[decoded_steps].exp(), decoded.exp()).median()),
        "decoded_variation": float(decoding_error.median()),
        "decoded_at_start": float(decoding_error[0]),
        "misaligned": realignment.misaligned,
        "realigned": realignment.realigned,
        "delay": sum(realignment.delays) * steps / max(len(decoded_steps) - 1, 1),
        "forward_passes": path.forward_passes,
        "backward_passes": path.backward_passes,
        **{f"own_at_{100 * i // (PROBABILITY_POINTS - 1)}": share for i, share in enumerate(shares)},
    }


@torch.no_grad()
def predict_decoded(adapter: Adapter, f: PartsMap, points: Tensor) -> Tensor:
    """Run the model on what walked points (N, parts, d_model) decode to; return log-probabilities (N, k), float64."""
    points = adapter.reencode(f.complete(points.to(f.point.device)))[:, list(f.parts)]
    return torch.cat([torch.func.vmap(f)(batch) for batch in points.split(DECODING_BATCH)]).cpu().double()
