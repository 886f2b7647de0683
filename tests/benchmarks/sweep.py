"""What walks cost side by side and alone, and what the paper's experiments would take: writes ``sweep.md``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from helpers.adapters import BertAdapter, PartsMap, ViTAdapter
from helpers.datasets import load_digits, read_sentences
from helpers.equivalence import WalkSettings, gradient_noise, simec, simexp, walk_class, walk_together
from helpers.sweep import PAPER
from helpers.sweep.grid import ALGORITHMS
from tests.benchmarks.cases import CASES, Case, random_bert, random_gpt2, random_vit
from tests.benchmarks.walks import PeakMemory

RESULTS = Path(__file__).with_name("sweep.md")
PUBLISHED, OTHERS = 12, 6  # walks of a cell: SiMEC and SiMExp together; corrected and baseline each
CLASSES = 11  # the ten most probable and the rest
FLOAT = 4  # bytes


def own_case(model: str) -> Case:
    """Take a bundled model and an input."""
    if model.startswith("vit"):
        adapter, raw = ViTAdapter.load(model), load_digits("test").images[0]
        if adapter.channels == 3:
            raw = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)).numpy()
        point = adapter.encode(raw)
        return Case(adapter.output_map(point), point, trained=True)
    adapter, masked = BertAdapter.load(model), model == "bert-reviews"
    text = read_sentences("occupation" if masked else "review").text[0]
    point = adapter.encode(text)
    f = adapter.output_map(point, range(len(point)), 3 if masked else None)
    return Case(f, point, trained=True)


SHAPES: dict[str, Callable[[], Case]] = {
    **{model: partial(own_case, model) for model in ("vit-digits", "vit-cifar10", "bert-reviews", "bert-sentiment")},
    "the paper's MNIST shape (vit-mnist)": lambda: CASES["vit-mnist (the paper's MNIST shape)"](0, "cpu"),
    "the paper's CIFAR10 shape": lambda: CASES["the paper's CIFAR10 shape"](0, "cpu"),
    "google/vit-base-patch16-224": lambda: random_vit(0, "cpu", num_labels=CLASSES),
    "bert-base-uncased, 32 tokens": lambda: random_bert(0, "cpu", num_labels=CLASSES),
    "gpt2-medium, 32 tokens": lambda: random_gpt2(0, "cpu", n_embd=1024, n_layer=24, n_head=16),
}
LARGE = (*list(SHAPES)[-3:], "the paper's CIFAR10 shape")


def measure(name: str) -> dict[str, float]:
    """Time a cell's walks side by side, and one SiMEC alone: seconds a step, and the memory above the model.

    A large shape is timed with two walks of each kind and one step of the published ones: more gain nothing.
    """
    case = SHAPES[name]()
    f, x, steps = case.f, case.x, 1 if name in LARGE else 20
    many, few = (2, 2) if name in LARGE else (PUBLISHED, OTHERS)
    seed = lambda i: torch.Generator().manual_seed(i)  # noqa: E731
    made = [simec, simexp] * (many // 2)
    published = [partial(kind, x=x, steps=steps, generator=seed(i)) for i, kind in enumerate(made)]
    baseline = [partial(gradient_noise, x=x, steps=steps, size=0.01, generator=seed(i)) for i in range(few)]

    def corrected(most: int) -> list[partial]:
        told = WalkSettings(longest_step=1e-3, max_steps=most)
        return [partial(walk_class, x=x, travel=1e9, settings=told, generator=seed(i)) for i in range(few)]

    simec(f, x, 1)  # what is only done once is done
    found = {"outputs": len(f(x)), "numbers": x.numel(), "parts": len(x)}
    with PeakMemory("cpu") as memory:  # side by side, the Jacobian at the last point is taken too
        found["published"] = seconds(f, published) / (steps + 1) / many
        found["baseline"] = seconds(f, baseline, [int(f(x).argmax())]) / (steps + 1) / few
    first = seconds(f, corrected(2))  # with the first Jacobians
    found["corrected"] = (seconds(f, corrected(12)) - first) / 10 / few
    began = time.perf_counter()
    simec(f, x, steps)
    return found | {"alone": (time.perf_counter() - began) / steps, "mib": memory.mib}


def seconds(f: PartsMap, walks: list[partial], rows: list[int] | None = None) -> float:
    """Time walks side by side."""
    began = time.perf_counter()
    walk_together(f, walks, rows)
    return time.perf_counter() - began


def kept(numbers: int, parts: int) -> float:
    """Say how much memory the points of a cell's walks take, in MiB: all parts of a point, half of them, or one."""
    points = (PAPER.steps + 1) * len(PAPER.etas) * len(ALGORITHMS)
    return FLOAT * numbers * (1 + 1 / 2 + 1 / parts) * points / 2**20


def row(name: str, found: dict[str, float]) -> str:
    """Write a row of the table."""
    cell = PAPER.steps * (PUBLISHED * found["published"] + OTHERS * (found["corrected"] + found["baseline"]))
    three = lambda x: f"{float(f'{x:.3g}'):,g}"  # noqa: E731
    each = " | ".join(three(1e3 * found[kind]) for kind in ("alone", "published", "corrected", "baseline"))
    ratio = found["alone"] / found["published"]
    return (
        f"| {name} | {found['numbers']:,}, {found['outputs']} | {each} | {ratio:.1f} | {three(cell / 60)} "
        f"| {found['mib'] + kept(found['numbers'], found['parts']):,.0f} |"
    )


HEAD = """# A sweep's walks, measured

Written by `make bench` in one run on {cores} CPU cores ({machine}), one thread, Python {python}, PyTorch {torch}. A cell is
one input walked from in {walks} ways, {steps:,} steps each: four algorithms, two step multipliers, three choices of parts. The
last columns are that cell's minutes on one core, measures left out ({inputs} inputs with {repetitions} repetitions are {cells} cells), and a
worker's memory above the model: what it works with, measured, and the points of the cell's walks, which are kept until it is
measured. Hub models are shapes with random weights, timed with two walks of each kind; the corrected walk's steps are small here.

| model | numbers of a point, outputs | SiMEC alone, ms a step | SiMEC and SiMExp, 12 side by side | corrected, 6 | baseline, 6 | side by side, times faster | minutes a cell | MiB |
|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    """Measure each shape in a process of its own and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=SHAPES)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(measure(told.one)))
        return
    rows = []
    for name in tqdm(SHAPES, unit=" models"):
        command = [sys.executable, "-m", "tests.benchmarks.sweep", "--one", name]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout
        rows.append(row(name, json.loads(said.splitlines()[-1])))
    walks = PUBLISHED + 2 * OTHERS
    head = HEAD.format(
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
        walks=walks,
        steps=PAPER.steps,
        inputs=PAPER.inputs,
        repetitions=PAPER.repetitions,
        cells=PAPER.inputs * PAPER.repetitions,
    )
    RESULTS.write_text(head + "\n".join(rows) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
