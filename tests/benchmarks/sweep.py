"""The cost of the walks of a sweep on models of several sizes: writes ``sweep.md``."""

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

from helpers.adapters import BertAdapter, ViTAdapter
from helpers.datasets import load_digits, read_sentences
from helpers.equivalence import WalkSettings, gradient_noise, released_simexp, simec, simexp, walk_class
from helpers.sweep import MAIN, PAPER
from tests.benchmarks.cases import CASES, Case, random_bert, random_gpt2, random_vit
from tests.benchmarks.walks import PeakMemory

RESULTS = Path(__file__).with_name("sweep.md")
WALKS = len(PAPER.etas) * len(PAPER.parts)  # walks of a cell, per algorithm
CLASSES = 11  # the ten most probable and the rest
FLOAT_BYTES = 4


def bundled_case(model: str) -> Case:
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
    **{
        model: partial(bundled_case, model) for model in ("vit-digits", "vit-cifar10", "bert-reviews", "bert-sentiment")
    },
    "the paper's MNIST shape (vit-mnist)": lambda: CASES["vit-mnist (the paper's MNIST shape)"](0, "cpu"),
    "the paper's CIFAR10 shape": lambda: CASES["the paper's CIFAR10 shape"](0, "cpu"),
    "google/vit-base-patch16-224": lambda: random_vit(0, "cpu", num_labels=CLASSES),
    "bert-base-uncased, 32 tokens": lambda: random_bert(0, "cpu", num_labels=CLASSES),
    "gpt2-medium, 32 tokens": lambda: random_gpt2(0, "cpu", n_embd=1024, n_layer=24, n_head=16),
}
LARGE = (*list(SHAPES)[-3:], "the paper's CIFAR10 shape")


def measure(name: str) -> dict[str, float]:
    """Time a walk of each algorithm in seconds per step, and measure the memory above that of the model in MiB.

    The corrected walk is timed without its first steps, which include the first Jacobian.
    """
    case = SHAPES[name]()
    f, x, steps = case.f, case.x, 1 if name in LARGE else 20
    corrected = {most: WalkSettings(longest_step=1e-3, max_steps=most) for most in (2, 12)}
    simec(f, x, 1)  # what happens only once
    with PeakMemory("cpu") as memory:
        simec_seconds = seconds(lambda: simec(f, x, steps))
    walks = {
        "SiMEC": simec_seconds / steps,
        "SiMExp": seconds(lambda: simexp(f, x, steps)) / steps,
        "released": seconds(lambda: released_simexp(f, x, steps)) / steps,
        "baseline": seconds(lambda: gradient_noise(f, x, steps, size=0.01)) / (steps + 1),
    }
    first, all_steps = (seconds(partial(walk_class, f, x, 1e9, settings=s)) for s in corrected.values())
    numbers = {"outputs": len(f(x)), "coordinates": x.numel(), "parts": len(x), "mib": memory.mib}
    return numbers | walks | {"corrected": (all_steps - first) / 10}


def seconds(walk: Callable[[], object]) -> float:
    """Time a walk."""
    start = time.perf_counter()
    walk()
    return time.perf_counter() - start


def points_mib(coordinates: int, parts: int) -> float:
    """Return the memory of the points of a cell's walks in MiB: all parts of a point, half of them, or one."""
    points = (PAPER.steps + 1) * len(PAPER.etas) * len(MAIN)
    return FLOAT_BYTES * coordinates * (1 + 1 / 2 + 1 / parts) * points / 2**20


def row(name: str, costs: dict[str, float]) -> str:
    """Write one row of the table."""
    three_digits = lambda x: f"{float(f'{x:.3g}'):,g}"  # noqa: E731
    walks = {"SiMEC": 1, "SiMExp": 1, "released": 2, "corrected": 1, "baseline": 2}  # of a cell, per choice of parts
    per_step = " | ".join(three_digits(1e3 * costs[name]) for name in walks)
    minutes = PAPER.steps * WALKS * sum(count * costs[name] for name, count in walks.items()) / 60
    mib = costs["mib"] + points_mib(costs["coordinates"], costs["parts"])
    return (
        f"| {name} | {costs['coordinates']:,}, {costs['outputs']} | {per_step} | {three_digits(minutes)} | {mib:,.0f} |"
    )


HEAD = """# The cost of the walks of a sweep

Written by `make bench` in one run on {cores} CPU cores ({machine}), one thread, Python {python}, PyTorch {torch}. A cell is
one input with {walks} walks of {steps:,} steps each: seven algorithms, two step multipliers, three choices of parts. The last columns
are the minutes that one core needs for the walks of a cell, without the measures ({inputs} inputs with {repetitions} repetitions are {cells} cells), and
the memory of a worker above that of the model: that of a SiMEC walk, and the points of all walks of the cell, which are kept
until the cell is measured. Hub models are shapes with random weights. The steps of the corrected walk are small here.

| model | coordinates of a point, outputs | SiMEC, ms per step | SiMExp, ms per step | released rule, ms per step | corrected, ms per step | baseline, ms per step | minutes per cell | MiB |
|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    """Measure each shape in a process of its own and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=SHAPES)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    rows = []
    for name in tqdm(SHAPES, unit=" models"):
        command = [sys.executable, "-m", "tests.benchmarks.sweep", "--one", name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        rows.append(row(name, json.loads(output.splitlines()[-1])))
    head = HEAD.format(
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
        walks=WALKS * len(MAIN),
        steps=PAPER.steps,
        inputs=PAPER.inputs,
        repetitions=PAPER.repetitions,
        cells=PAPER.inputs * PAPER.repetitions,
    )
    RESULTS.write_text(head + "\n".join(rows) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
