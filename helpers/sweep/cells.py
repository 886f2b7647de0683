"""The walks of one cell of a sweep, and the choice of the parts that move.

Source: arXiv 2410.06019, section 4, with the corrected walk beside the published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pandas as pd
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from helpers.adapters import PartsMap, TextAdapter, attention_relevance, attention_rollout
from helpers.equivalence import ExplorationPath
from helpers.geometry import PullbackMetric
from helpers.measures import compare_choices
from helpers.sweep.algorithms import ALGORITHMS, REFERENCES, WalkStart
from helpers.sweep.fingerprints import hash_code, hash_weights_and_inputs
from helpers.sweep.grid import Cell, LoadedAdapter, Subject, WalkSpec
from helpers.sweep.inputs import find_target_word, load_subject
from helpers.sweep.measuring import measure_walk

CellWalks = dict[WalkSpec, tuple[PartsMap, ExplorationPath]]  # each walk with the map to its log-probabilities

QUARTERS = {"q1": 1, "q2": 2, "q3": 3, "all": 4}
_BY_ATTENTION: dict[str, Callable[..., Tensor]] = {"relevance": attention_relevance, "rollout": attention_rollout}


def importance_of_parts(adapter: LoadedAdapter, f: PartsMap, importance: str = "metric") -> Float[Tensor, " parts"]:
    """Return the importance of each part of a map: "metric", "relevance" or "rollout".

    That of the metric is the largest length of a unit move of a part in the pullback metric.
    """
    if importance in _BY_ATTENTION:
        return _BY_ATTENTION[importance](adapter, f.point)[list(f.parts)]
    return PullbackMetric.at(f, f.start).part_norms()


def choose_parts(f: PartsMap, parts: str, importance: Float[Tensor, " parts"] | None = None) -> list[int]:
    """Choose the most important parts of a map: "one", the quarters "q1", "q2" or "q3" (rounded down), or "all".

    The importance is that of the metric if None.
    """
    if importance is None:
        importance = PullbackMetric.at(f, f.start).part_norms()
    count = 1 if parts == "one" else len(f.parts) * QUARTERS[parts] // 4
    return sorted(f.parts[i] for i in importance.argsort(descending=True).tolist()[: max(count, 1)])


def tabulate_choices(subject: Subject, inputs: int) -> pd.DataFrame:
    """Compare which parts the three measures of importance choose, for inputs of a subject.

    Returns:
        The columns of ``helpers.measures.compare_choices``, one row per input and pair of measures.
    """
    adapter, raws = load_subject(subject, inputs)
    tables = []
    for index, raw in enumerate(raws):
        f = adapter.output_map(adapter.encode(raw), target=subject.target)
        choices = {name: importance_of_parts(adapter, f, name).cpu() for name in ("metric", *_BY_ATTENTION)}
        tables.append(compare_choices(choices).assign(input=index))
    return pd.concat(tables, ignore_index=True)


def measure_cell(cell: Cell) -> pd.DataFrame:
    """Make every walk of a cell and measure it: one row per walk, the same numbers on the same kind of CPU."""
    return measure_walks(cell, walk_cell(cell))


def walk_cell(cell: Cell) -> CellWalks:
    """Make the walks of a cell, one after the other; the outputs of all are log-probabilities."""
    with _single_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        point = adapter.encode(inputs[cell.index])
        whole = adapter.output_map(point, target=cell.subject.target)
        importance = importance_of_parts(adapter, whole, cell.importance)
        logits, bounds, walks = adapter.with_logits(), adapter.bounds(point), CellWalks()
        maps = {}
        for parts in cell.parts:
            if parts == "target-word":
                chosen = find_target_word(cast(TextAdapter, adapter), cell.subject, cell.index, cell.of)
            else:
                chosen = choose_parts(whole, parts, importance)
            maps[parts] = [each.output_map(point, chosen, whole.target) for each in (adapter, logits)]
        for spec in cell.walks():
            f, scores = maps[spec.parts]
            reference = walks.get(spec._replace(algorithm=REFERENCES.get(spec.algorithm, "")), (f, None))[1]
            start = WalkStart(f, scores, bounds, cell.steps, spec.eta, cell.generator(spec), reference)
            path = ALGORITHMS[spec.algorithm](start)
            walks[spec] = f, replace(path, points=path.points.cpu(), outputs=path.outputs.cpu())
        return walks


def measure_walks(cell: Cell, walks: CellWalks) -> pd.DataFrame:
    """Measure the walks of a cell: one row per walk.

    The column ``fingerprint`` identifies the weights and inputs, ``code`` the code that walked and measured.
    """
    with _single_thread():
        adapter, inputs = load_subject(cell.subject, cell.of)
        names = {"model": cell.subject.model, "inputs": cell.subject.inputs, "input": cell.index}
        order = list(ALGORITHMS)
        rows = []
        for spec in sorted(walks, key=lambda spec: (spec.eta, spec.parts, order.index(spec.algorithm))):
            identity = names | spec._asdict() | {"repetition": cell.repetition, "importance": cell.importance}
            rows.append(identity | measure_walk(adapter, spec, walks))
        fingerprint = hash_weights_and_inputs(adapter, inputs)
        return pd.DataFrame(rows).assign(fingerprint=fingerprint, code=hash_code())


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
