"""The measures that a sweep takes of each walk.

The paper's are taken at every tenth of 1,000 iterations, where its code saves a walk ("read points"). A model that
distinguishes a few words only is ranked by these words, without "the rest".

Source: arXiv 2410.06019, section 4 and supplement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers import measures
from helpers.adapters import PartsMap
from helpers.equivalence import ExplorationPath
from helpers.geometry import total_variation
from helpers.sweep.algorithms import predict, volume_reference
from helpers.sweep.grid import LoadedAdapter, WalkSpec

READ_POINTS = 101  # points of a walk at which the paper's measures are taken: every tenth of 1,000 steps
MARKS = 21  # places along a walk at which its course is stored, as "{quantity}_at_{percent}"

Walks = Mapping[WalkSpec, tuple[PartsMap, ExplorationPath]]


def measure_walk(adapter: LoadedAdapter, spec: WalkSpec, walks: Walks) -> dict[str, Any]:
    """Take every measure of the paper, and our own, of one of the walks of a cell."""
    f, path = walks[spec]
    read = _read_steps(path)
    inputs = adapter.reencode(f.complete(path.points[read].to(f.point.device)))
    decoded = predict(f, inputs[:, list(f.parts)]).cpu().double()
    outputs, at_read = path.outputs.double(), path.outputs.double()[read]
    own = outputs[:, int(_named(f, outputs)[0].argmax())].exp()
    top = _named(f, outputs).amax(1).exp()
    changes = adapter.input_changes(inputs)
    deltas = (path.points[1:] - path.points[:-1]).flatten(2).norm(dim=2).mean(1)
    return {
        **_measure_travel(f, path),
        "own_mean": float(own.mean()),
        "top_mean": float(top.mean()),
        **_measure_predictions(_named(f, outputs), ""),
        **_measure_predictions(_named(f, at_read), "read_"),
        **_measure_predictions(_named(f, decoded), "decoded_"),
        **_measure_decoding(f, path, at_read, decoded),
        "difference": float(changes.mean()) if len(changes) else float("nan"),
        **_mark("own", own),
        **_mark("top", top),
        **_mark("delta", deltas),
        **_mark("difference", changes),
        **_measure_volumes(spec, walks),
    }


def _named(f: PartsMap, outputs: Float[Tensor, "points k"]) -> Float[Tensor, "points named"]:
    """Leave the summed rest of the classes out."""
    return outputs if f.target is None else outputs[:, : len(f.target)]


def _read_steps(path: ExplorationPath) -> Int[Tensor, " read"]:
    """Return the numbers of the read points of a walk."""
    return torch.linspace(0, len(path), min(READ_POINTS, len(path) + 1)).round().long()


def _mark(quantity: str, values: Float[Tensor, " n"]) -> dict[str, float]:
    """Store a course at evenly spread places; nothing of an empty one."""
    places = torch.linspace(0, len(values) - 1, MARKS).round().long().tolist() if len(values) else []
    return {f"{quantity}_at_{100 * i // (MARKS - 1)}": float(values[place]) for i, place in enumerate(places)}


def _measure_travel(f: PartsMap, path: ExplorationPath) -> dict[str, Any]:
    return {
        "steps": len(path),
        "stopped_because": path.stopped_because,
        "moving_parts": len(f.parts),
        "travel": path.travel,
        "displacement": path.displacement,
        "start_norm": float(f.start.norm()),
        "drift": float(path.drift.max()),
        "curve_drift": float("nan") if path.curve_drift is None else float(path.curve_drift.max()),
        "total_variation": float(total_variation(path.outputs.double(), path.outputs[0].double()).max()),
        "forward_passes": path.forward_passes,
        "backward_passes": path.backward_passes,
    }


def _measure_predictions(outputs: Float[Tensor, "points k"], prefix: str) -> dict[str, float]:
    """Measure how predictions and rankings change; the first change as a share of the walk."""
    first, correlations = measures.first_change(outputs), measures.rank_correlation(outputs)
    return {
        f"{prefix}prediction_changes": measures.prediction_changes(outputs),
        f"{prefix}ranking_changes": int(measures.ranking_changes(outputs).sum()),
        f"{prefix}rank_correlation": float(correlations.nanmean()),
        f"{prefix}first_change": float("nan") if first is None else first / (len(outputs) - 1),
    }


def _measure_decoding(f: PartsMap, path: ExplorationPath, outputs: Tensor, decoded: Tensor) -> dict[str, float]:
    """Compare the predictions from embeddings with those from the inputs that they are decoded to."""
    distance = measures.prediction_distance(outputs.exp(), decoded.exp())
    correlation, p = measures.probability_correlation(_named(f, outputs).exp(), _named(f, decoded).exp())
    realignment = measures.measure_realignment(_named(f, outputs).argmax(1), _named(f, decoded).argmax(1))
    return {
        "distance": float(distance.mean()),
        "decoded_variation": float(distance.median()) / 2,
        "decoded_at_start": float(distance[0]) / 2,
        "pearson": correlation,
        "pearson_p": p,
        "misaligned": realignment.misaligned,
        "realigned": realignment.realigned,
        "delay": sum(realignment.delays) * len(path) / max(len(outputs) - 1, 1),
    }


def _measure_volumes(spec: WalkSpec, walks: Walks) -> dict[str, float]:
    """Measure the volume that each part explores beside that of SiMEC by the same rule; none without this SiMEC.

    Volumes are in the principal components of both walks. Means and medians are over parts.
    """
    other = spec._replace(algorithm=volume_reference(spec.algorithm))
    if other not in walks:
        return {}
    points = [path.points[_read_steps(path)] for _, path in (walks[spec], walks[other])]
    (volumes, references), dimensions = measures.log_volumes([each.flatten(2) for each in points])
    ratios = volumes - references
    return {
        "log_volume": float(volumes.nanmean()),
        "simec_log_volume": float(references.nanmean()),
        "volume_dimension": float(dimensions.double().mean()),
        "log_volume_ratio": float(ratios.nanmedian()),
        "volume_larger": float((ratios > 0).double().mean()),
    }
