"""Our walk beside the published one, on the same models and starts: ``make bench`` writes ``results.md``.

With ``--device cuda`` a GPU is measured, beside the published seconds per iteration: ``results_cuda.md``.

Every measurement runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import torch
import transformers
from tqdm import tqdm

from helpers import ExplorationPath, WalkSettings, measures, simec, walk_class
from helpers.adapters import PartsMap
from helpers.equivalence import released_simec
from tests.benchmarks.cases import CASES, SHAPES, TOKENS, Case, small_vit
from tests.benchmarks.curves import Start, measure_curve_drift
from tests.benchmarks.reference import reference_simec

RESULTS = {"cpu": Path(__file__).with_name("results.md"), "cuda": Path(__file__).with_name("results_cuda.md")}
DRIFT = 1e-3  # nats, at which both are compared: ours on its whole curve, the reference at its points
STEPS, SHORT = 10, 0.05  # of ours on random weights: how many, and how long in norms
NORMS = 2.0  # length of a walk, in norms of the start
PACED_STEPS, PACED_INPUTS = 10, 3  # steps that are timed from each of how many inputs, after one that warms up
PACED: dict[str, Callable[[PartsMap, int], ExplorationPath]] = {  # the walks whose time stands beside the published one
    "SiMEC": lambda f, steps: simec(f, f.start, steps),
    "released SiMEC": lambda f, steps: released_simec(f, f.start, steps),
    "corrected": lambda f, steps: walk_class(
        f, f.start, 1e6, settings=WalkSettings(max_steps=steps, longest_step=SHORT)
    ),
}
PACE_TEXT = f"""## Beside the published seconds

Seconds of one iteration for a whole batch. The paper's (supplement, table 7) were taken on one H100; ours are those of
one input after the other, so that a batch costs its number of inputs. ViTs have the paper's shapes; BERT-base has
{TOKENS} tokens, since the paper's number is not known. *SiMEC* and *released SiMEC* are the published walk by the
printed rule and by that of the authors' code, as this package computes them. The parts that move are the first ones.
"""
PILOT = 20  # iterations by which the reference's step is guessed
GROWTH = {"tokens": (16, 49, 100, 196), "width": (48, 96, 192, 384), "outputs": (2, 10, 100, 1000)}


class PeakMemory:
    """Watches by how much this process grows, in MiB; on a GPU, by how much its memory does."""

    def __init__(self, device: str):
        self.device, self.process = device, psutil.Process()

    def __enter__(self) -> PeakMemory:
        self.before = self.highest = self._now()
        self.stopped = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.watcher.join()
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else self.highest
        self.mib = (peak - self.before) / 2**20

    def _now(self) -> int:
        return torch.cuda.memory_allocated() if self.device == "cuda" else self.process.memory_info().rss

    def _watch(self) -> None:
        while not self.stopped.wait(0.002):
            self.highest = max(self.highest, self._now())


def walk_reference(case: Case, eta: float, iterations: int, travel: float) -> dict[str, float]:
    """Walk by the published algorithm until a travel, a number of iterations, or a drift beyond the limit."""
    point, travelled, drift = case.x, 0.0, 0.0
    walk = reference_simec(case.f, case.x, eta)
    _, first = next(walk)
    start = time.perf_counter()  # from here on, one Jacobian and one round of eigh an iteration
    for made, (here, outputs) in enumerate(walk, 1):
        travelled += float((here - point).norm())
        point, drift = here, max(drift, float((outputs - first).abs().max()))
        if made == iterations or travelled >= travel or not drift <= DRIFT:
            break
    seconds = time.perf_counter() - start
    return {
        "eta": eta,
        "iterations": made,
        "travel": travelled,
        "drift": drift,
        "seconds": seconds,
        "displacement": float((point - case.x).norm()) / travelled,
    }


def best_reference(case: Case, patience: float) -> dict[str, float]:
    """Find the largest step (to a fifth) with which the reference stays within the drift over the stretch it walks.

    Args:
        case: what to walk on.
        patience: seconds that a try may take, which limits the stretch.
    """
    travel = NORMS * float(case.x.norm())
    eta, pilot = 0.01, walk_reference(case, 1e-4, 2, travel)  # warm up
    while pilot["drift"] < DRIFT / 10 and eta < 100:  # until there is a drift to tell its curvature by
        eta, pilot = 3 * eta, walk_reference(case, eta, PILOT, travel)
    eta /= 3
    pace, curvature = (pilot[what] / pilot["iterations"] for what in ("travel", "drift"))
    pace, curvature = pace / eta, curvature / eta**2
    over_stretch = DRIFT * pace / (travel * curvature)  # where the whole stretch is affordable
    iterations = int(patience / (pilot["seconds"] / pilot["iterations"]))
    best, tried = None, set()
    eta = max(over_stretch, math.sqrt(DRIFT / iterations / curvature))
    while len(tried) < 12:
        tried.add(round(math.log(eta, 1.2)))
        found = walk_reference(case, eta, iterations, travel)
        if found["drift"] <= DRIFT:
            best = found if best is None or found["eta"] > best["eta"] else best
        eta = eta * 1.2 if found["drift"] <= DRIFT else eta / 1.2
        if round(math.log(eta, 1.2)) in tried and best is not None:
            return best
    raise RuntimeError("no step of the reference stays within the drift")


def walk_ours(
    case: Case, max_steps: int = 10_000, longest: float = WalkSettings.longest_step, measure: bool = False
) -> dict[str, float]:
    """Walk by ``walk_class`` and report the same figures; measure the drift of its whole curve if asked for."""
    start = time.perf_counter()
    settings = WalkSettings(curve_tolerance=DRIFT, max_steps=max_steps, longest_step=longest)
    path = walk_class(case.f, case.x, travel=NORMS * float(case.x.norm()), settings=settings)
    seconds = time.perf_counter() - start
    if len(path) == 0:
        raise RuntimeError(f"no step was made: {path.stopped_because}")
    return {
        "iterations": len(path),
        "travel": path.travel,
        "drift": measure_curve_drift(Start(case.f, case.x), path) if measure else float(path.drift.max()),
        "seconds": seconds,
        "displacement": path.displacement / path.travel,
        "cost": path.cost,
        "ended": path.stopped_because,
    }


def measure(name: str, method: str, device: str, patience: float) -> dict[str, float]:
    """Run one method on one case in this process, warmed up, and add its peak memory."""
    case = CASES[name](0, device)
    with torch.no_grad():
        case.f(case.x)
    if method == "reference":
        walk = lambda: walk_reference(case, 1e-3, 1, math.inf)  # noqa: E731
    else:
        walk = lambda: walk_ours(case, measure=True) if case.trained else walk_ours(case, STEPS, SHORT)  # noqa: E731
    with PeakMemory(device) as memory:  # apart from the timing, which watching would disturb; it warms up as well
        walk()
    found = best_reference(case, patience) if method == "reference" and case.trained else walk()
    return {
        **found,
        "memory": memory.mib,
        "norm": float(case.x.norm()),
        "numbers": case.x.numel(),
        "shape": " x ".join(str(n) for n in case.x.shape),
        "outputs": len(case.f(case.x)),
        "trained": case.trained,
    }


def measure_apart(*arguments: str) -> dict[str, float]:
    """Run ``measure`` in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.walks", "--one", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main_table(device: str, patience: float) -> list[str]:
    """Measure every case both ways."""
    lines = [
        "| model | tokens x width, outputs | method | iterations | walked, in norms | drift, nats | s per iteration | "
        "s per unit of travel | displacement / travel | passes per step | memory above the model, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in tqdm(CASES, desc="models"):
        both = {m: measure_apart(name, m, device, str(patience)) for m in ("reference", "ours")}
        for method, r in both.items():
            pace, unit = r["seconds"] / r["iterations"], r["seconds"] / r["travel"]
            passes = f"{r['cost'] / r['iterations']:.1f}" if "cost" in r else f"{1 + 2 * r['outputs']} and the eigh"
            drift = f"{r['drift']:.1e}" if r["trained"] else "–"
            lines.append(
                f"| {name} | {r['shape']}, {r['outputs']} | {method} | {r['iterations']} | "
                f"{r['travel'] / r['norm']:.2g} | {drift} | {pace:.3g} | {unit:.3g} | {r['displacement']:.2f} | "
                f"{passes} | {r['memory']:.0f} |"
            )
        reference, ours = both["reference"], both["ours"]
        if ours["trained"]:
            gain = reference["seconds"] / reference["travel"] / (ours["seconds"] / ours["travel"])
            further = gain * ours["displacement"] / reference["displacement"]
            told = f"**{gain:,.0f} times faster per unit of travel, {further:,.0f} times per unit of displacement**"
            lines.append(f"| | | {told} | | | | | | | | |")
        else:
            gain = reference["seconds"] / reference["iterations"] / (ours["seconds"] / ours["iterations"])
            lines.append(f"| | | **{gain:,.0f} times cheaper per iteration** | | | | | | | | |")
    return lines


def growth_table(device: str) -> list[str]:
    """Time a step of each method on small random ViTs, growing one thing at a time from 49 tokens of 48, 10 outputs."""
    lines = ["| growing | size | ours, ms per step | reference, ms per iteration |", "|---|---|---|---|"]
    for thing, sizes in GROWTH.items():
        for size in sizes:
            case = small_vit(device, **{thing: size})
            walk_ours(case, max_steps=1)
            walk_reference(case, 1e-3, 1, math.inf)
            ours, reference = walk_ours(case, max_steps=5), walk_reference(case, 1e-3, 3, math.inf)
            paces = [1e3 * r["seconds"] / r["iterations"] for r in (ours, reference)]
            lines.append(f"| {thing} | {size} | {paces[0]:.3g} | {paces[1]:.3g} |")
    return lines


def pace_section(device: str) -> list[str]:
    """Time iterations of each walk beside the published seconds, which were taken on a GPU; nothing on a CPU."""
    if device == "cpu":
        return []
    published = measures.load_published("seconds_per_iteration")
    names = [name for walk in PACED for name in (walk, "published / ours")]
    lines = [
        PACE_TEXT,
        f"| data | batch | parts | published | {' | '.join(names)} |",
        "|---|---|---|" + "---|" * (len(names) + 1),
    ]
    for data, rows in published.groupby("inputs"):
        cases = [CASES[SHAPES[data]](index, device) for index in range(PACED_INPUTS)]
        for row in rows.itertuples():
            seconds = [row.batch_size * time_iteration(walk, cases, row.parts) for walk in PACED.values()]
            cells = [f"{value:.3g} | {row.seconds / value:.3g}" for value in seconds]
            lines.append(f"| {data} | {row.batch_size} | {row.parts} | {row.seconds:g} | {' | '.join(cells)} |")
    return lines


def time_iteration(walk: Callable[[PartsMap, int], ExplorationPath], cases: list[Case], parts: str) -> float:
    """Time one iteration from one input, in seconds: the mean over the inputs of some cases."""
    number = {"one": 1, "q2": len(cases[0].f.parts) // 2, "all": len(cases[0].f.parts)}[parts]
    maps = [replace(case.f, parts=case.f.parts[:number]) for case in cases]
    walk(maps[0], 1)  # warm up
    start = time.perf_counter()
    made = sum(len(walk(f, PACED_STEPS)) for f in maps)
    return (time.perf_counter() - start) / made


def report(device: str, patience: float) -> str:
    """Measure everything and write the report."""
    where = (
        torch.cuda.get_device_name() if device == "cuda" else f"{psutil.cpu_count()} CPU cores ({platform.machine()})"
    )
    parts: list[Callable[[], list[str]]] = [
        lambda: main_table(device, patience),
        lambda: growth_table(device),
        lambda: pace_section(device),
    ]
    tables = ["\n".join(part()) for part in parts]
    return (
        f"""# Walks, measured on a {"GPU" if device == "cuda" else "CPU"}

Written by `python -m tests.benchmarks.walks --device {device}` in one run on {where},
threads: {torch.get_num_threads()}, Python {platform.python_version()}, PyTorch {torch.__version__.split("+")[0]},
transformers {transformers.__version__}.

## Against the published algorithm

*Reference*: SiMEC as published (joint Jacobian, a dense metric and a float64 `eigh` for each token), with the largest
step (to a fifth) whose drift stays within {DRIFT:g} nats over the stretch it walks: {NORMS:g} times
the point's norm, or as far as it comes in {patience:g} seconds. A shorter stretch favours it, since drift adds up.
*Ours*: `walk_class` with that tolerance of its curve, {NORMS:g} times the norm; its drift is the largest one on a
grid over the whole curve (see [curves](curves.md)). On random weights drift means little, so one
iteration of the reference stands beside {STEPS} steps of ours, each {SHORT:g} norms long. A pass is a forward pass; a
backward pass of one output counts as two. Memory is the largest growth of the process while it walks.

{tables[0]}

## Growth

Small random ViTs: 49 tokens, width 48, 10 outputs, with one of the three growing.

{tables[1]}

{tables[2]}
""".rstrip()
        + "\n"
    )


def main() -> None:
    """Measure one thing and print it as JSON, or everything and write the report of the device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=RESULTS)
    parser.add_argument("--patience", type=float, default=75.0, help="seconds of the reference in one try")
    parser.add_argument("--one", nargs=4, metavar=("MODEL", "METHOD", "DEVICE", "PATIENCE"))
    arguments = parser.parse_args()
    if arguments.one:
        name, method, device, patience = arguments.one
        print(json.dumps(measure(name, method, device, float(patience))))
        return
    RESULTS[arguments.device].write_text(report(arguments.device, arguments.patience))
    print(RESULTS[arguments.device].read_text())


if __name__ == "__main__":
    main()
