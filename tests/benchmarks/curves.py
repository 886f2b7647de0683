"""What the curve of a corrected walk costs, and what it depends on: ``make bench`` writes ``curves.md``.

The drift of a curve is measured on a grid that is finer than the walk's own checks.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
import transformers
from torch import Tensor
from tqdm import tqdm

from helpers import Box, ExplorationPath, WalkSettings, walk_class
from helpers.adapters import BertAdapter, ViTAdapter
from helpers.datasets import load_digits, read_sentences
from helpers.geometry import SmoothMap
from tests.benchmarks.cases import TOKENS

RESULTS = Path(__file__).with_name("curves.md")
NORMS = 2.0  # length of a walk, in norms of the start
TOLERANCES = (1e-2, 1e-3, 1e-4)  # of the curve, nats
GRID = 10  # points per step at which the drift of a curve is measured; the walk checks one or a few
INPUTS = 20  # held-out inputs per model
TUNING = range(40, 46)  # digits on which constants are varied; none of them is among the held-out inputs
CONSTANTS = {  # module: constants of the method, each varied by these factors
    "step_control": ("GROWTH", "NOMINAL_CONTRACTION", "NOMINAL_CURVE"),
    "curve_check": ("NEAR", "SAFETY", "HOPELESS", "UNEVALUATED", "SLOWEST_MIDDLE"),
    "broyden": ("SLOWEST", "MOST_CORRECTIONS"),
    "walk_class": ("FIRST_STEP", "LARGEST_TURN", "SLICE_TURN", "SLOW", "PREDICTION", "STOPPED"),
    "interpolation": ("POINTS",),
}
FACTORS = (0.7, 1.4)


@dataclass(frozen=True)
class Start:
    """A map and where a walk on it begins, with the options of the walk."""

    f: SmoothMap
    x: Tensor
    bounds: Box | None = None
    towards: Tensor | None = None
    persistence: float = 1.0
    norms: float = NORMS


class TimedMap:
    """A map that adds up the seconds that its forward passes take."""

    def __init__(self, f: SmoothMap):
        self._f, self.seconds = f, 0.0

    def __call__(self, point: Tensor) -> Tensor:
        begin = time.perf_counter()
        outputs = self._f(point)
        self.seconds += time.perf_counter() - begin
        return outputs


def image_starts(name: str, indices: Sequence[int]) -> list[Start]:
    """Return held-out digits for a bundled ViT."""
    adapter, images = ViTAdapter.load(name), load_digits("test").images
    points = [adapter.encode(images[i]) for i in indices]
    return [Start(adapter.output_map(x), x) for x in points]


def sentence_starts(name: str, indices: Sequence[int]) -> list[Start]:
    """Return our own reviews for a bundled BERT, each repeated or cut to 32 tokens; special tokens stay fixed."""
    adapter, texts, starts = BertAdapter.load(name), read_sentences("review").text, []
    for i in indices:
        first, *words, last = adapter.token_ids(texts[i])
        repeated = (words * TOKENS)[: TOKENS - 2]
        f = adapter.output_map(adapter.embed([first, *repeated, last]))
        starts.append(Start(f, f.start))
    return starts


def walk(start: Start, settings: WalkSettings) -> tuple[ExplorationPath, float]:
    """Walk from a start, and measure the seconds."""
    travel, begin = start.norms * float(start.x.norm()), time.perf_counter()
    options = replace(settings, persistence=start.persistence)
    path = walk_class(start.f, start.x, travel, start.towards, start.bounds, options)
    return path, time.perf_counter() - begin


@torch.no_grad()
def measure_curve_drift(start: Start, path: ExplorationPath) -> float:
    """Return the largest change of any output on a fine grid over the whole curve, in nats."""
    if not len(path):
        return 0.0
    arc_lengths = torch.linspace(0, path.travel, GRID * len(path) + 1, dtype=torch.float64).clamp(max=path.travel)
    return max(float((start.f(path.at(float(s))) - path.outputs[0]).abs().max()) for s in arc_lengths)


def describe(starts: Sequence[Start], settings: WalkSettings) -> dict[str, float]:
    """Walk from every start and sum up what was measured."""
    walks = [(start, *walk(start, settings)) for start in starts]
    return {
        "passes": statistics.median(path.cost for _, path, _ in walks),
        "least": min(path.cost for _, path, _ in walks),
        "most": max(path.cost for _, path, _ in walks),
        "seconds": statistics.median(seconds for *_, seconds in walks),
        "steps": statistics.median(len(path) for _, path, _ in walks),
        "points": max(float(path.drift.max()) for _, path, _ in walks),
        "curve": max(measure_curve_drift(start, path) for start, path, _ in walks),
        "travel": min(path.travel / float(start.x.norm()) for start, path, _ in walks),
    }


def row(*cells: object) -> str:
    """Write a row of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def tolerance_table() -> list[str]:
    """Walk from held-out inputs of three models at three tolerances of the curve."""
    models: dict[str, Callable[[], list[Start]]] = {
        "vit-digits": lambda: image_starts("vit-digits", range(INPUTS)),
        "vit-mnist": lambda: image_starts("vit-mnist", range(INPUTS)),
        "bert-sentiment, 32 tokens": lambda: sentence_starts("bert-sentiment", range(INPUTS)),
    }
    lines = [
        "| model | tolerance of the curve, nats | passes, median | least to most | seconds, median | steps, median | "
        "drift at the points, largest | drift of the curve, largest | inputs that hold |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, make in tqdm(models.items(), desc="tolerances"):
        starts = make()
        for tolerance in TOLERANCES:
            settings = WalkSettings(tolerance=min(1e-4, tolerance), curve_tolerance=tolerance)
            walks = [(start, *walk(start, settings)) for start in starts]
            drifts = [measure_curve_drift(start, path) for start, path, _ in walks]
            costs = [path.cost for _, path, _ in walks]
            lines.append(
                row(
                    name,
                    f"{tolerance:g}",
                    f"**{statistics.median(costs):.0f}**",
                    f"{min(costs)} to {max(costs)}",
                    f"{statistics.median(seconds for *_, seconds in walks):.2g}",
                    f"{statistics.median(len(path) for _, path, _ in walks):g}",
                    f"{max(float(path.drift.max()) for _, path, _ in walks):.1e}",
                    f"{max(drifts):.1e}",
                    f"{sum(drift <= tolerance for drift in drifts)} of {len(drifts)}",
                )
            )
    return lines


def situation_table() -> list[str]:
    """Walk in a box, in pixel space, towards a target and with wandering directions, from six digits."""
    vit, images = ViTAdapter.load("vit-digits"), load_digits("test").images
    pixels = vit.in_pixels()
    points = [vit.encode(images[i]) for i in TUNING]
    pixel_points = [pixels.encode(images[i]) for i in TUNING]
    plain = [Start(vit.output_map(x), x) for x in points]
    situations = {
        "no box": plain,
        "in the feasible box": [replace(start, bounds=vit.bounds(start.x)) for start in plain],
        "in pixel space, pixels in [0, 1], one norm": [
            Start(pixels.output_map(x), x, pixels.bounds(x), norms=1.0) for x in pixel_points
        ],
        "towards another digit": [
            replace(start, towards=other.x) for start, other in zip(plain, plain[1:] + plain[:1], strict=True)
        ],
        "wandering, persistence 0.9": [replace(start, persistence=0.9) for start in plain],
    }
    lines = [
        "| walk | passes, median | least to most | steps, median | travel, least, in norms | "
        "drift of the curve, largest |",
        "|---|---|---|---|---|---|",
    ]
    for name, starts in tqdm(situations.items(), desc="situations"):
        r = describe(starts, WalkSettings())
        lines.append(
            row(
                name,
                f"{r['passes']:.0f}",
                f"{r['least']} to {r['most']}",
                f"{r['steps']:g}",
                f"{r['travel']:.2g}",
                f"{r['curve']:.1e}",
            )
        )
    return lines


def share_table() -> list[str]:
    """Measure how much of the time of a walk the forward passes of the model take, and how much is ours."""
    models = {
        "vit-digits": image_starts("vit-digits", TUNING),
        "vit-mnist": image_starts("vit-mnist", TUNING),
        "bert-sentiment, 32 tokens": sentence_starts("bert-sentiment", TUNING),
    }
    lines = ["| model | ms per step | forward passes | backward passes and ours |", "|---|---|---|---|"]
    for name, starts in models.items():
        walk(starts[0], WalkSettings())  # warm up
        total = forward = steps = 0.0
        for start in starts:
            timed = TimedMap(start.f)
            path, seconds = walk(replace(start, f=timed), WalkSettings())
            total, forward, steps = total + seconds, forward + timed.seconds, steps + len(path)
        lines.append(row(name, f"{1e3 * total / steps:.3g}", f"{forward / total:.0%}", f"{1 - forward / total:.0%}"))
    return lines


@contextmanager
def changed(module: str, name: str, factor: float) -> Iterator[float]:
    """Multiply a constant of the method while a block runs; a whole number stays one."""
    place = importlib.import_module(f"helpers.equivalence.{module}")
    value = getattr(place, name)
    setattr(place, name, round(value * factor) if isinstance(value, int) else value * factor)
    try:
        yield getattr(place, name)
    finally:
        setattr(place, name, value)


def sensitivity_table() -> list[str]:
    """Vary each constant of the method by itself, on six digits that no other table here uses."""
    starts = image_starts("vit-digits", TUNING)
    base = describe(starts, WalkSettings())
    lines = [
        "| constant | value | passes, median | largest drift of the curve, nats |",
        "|---|---|---|---|",
        row("as shipped", "", f"{base['passes']:.0f}", f"{base['curve']:.1e}"),
    ]
    varied = [(module, name, factor) for module, names in CONSTANTS.items() for name in names for factor in FACTORS]
    for module, name, factor in tqdm(varied, desc="constants"):
        with changed(module, name, factor) as value:
            r = describe(starts, WalkSettings())
        lines.append(row(f"`{module}.{name}`", f"{value:.3g}", f"{r['passes']:.0f}", f"{r['curve']:.1e}"))
    return lines


def report() -> str:
    """Measure everything and write the report."""
    tables = ["\n".join(table()) for table in (tolerance_table, situation_table, share_table, sensitivity_table)]
    versions = f"PyTorch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    digits = f"`vit-digits`, digits {TUNING.start} to {TUNING.stop - 1}"
    factors = " or ".join(f"{factor:g}" for factor in FACTORS)
    return f"""# The curve of a corrected walk, measured

Written by `python -m tests.benchmarks.curves` in one run on {psutil.cpu_count()} CPU cores ({platform.machine()}),
{torch.get_num_threads()} threads, Python {platform.python_version()}, {versions}.
A pass is a forward pass; a backward pass of one output counts as two. Unless a table says otherwise, a walk is
{NORMS:g} times as long as the norm of its start, the points hold 1e-4 nats and the curve 1e-3 nats. The drift of a
curve is its largest change of any log-probability at {GRID} points per step, more than the walk itself checks.

## Held-out inputs

{INPUTS} inputs per model: scikit-learn's held-out digits 0 to {INPUTS - 1}, and our own reviews. The method was tuned
on other inputs.

{tables[0]}

## Boxes, targets and wandering directions

{digits}.

{tables[1]}

## Where the time goes

{tables[2]}

## Sensitivity to the constants of the method

{digits}; one constant at a time is multiplied by {factors}. Walks are chaotic, so that differences
below about a tenth are noise.

{tables[3]}
"""


def main() -> None:
    """Measure everything and write ``curves.md``."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    RESULTS.write_text(report())
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
