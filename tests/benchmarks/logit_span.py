"""Ask why vit-mnist swaps more pairs than vit-digits: ``python -m tests.benchmarks.logit_span [DIGITS] [STEPS]``.

Walks by the released rule of SiMExp, eta 1, from held-out digits. A walk with its logits multiplied by a factor makes
the same model with a wider span of logits: predicted classes and their ranking stay as they are. The other controls
move a random quarter of the 196 patches of ``vit-mnist``, as many as ``vit-digits`` has. Writes means over the digits
of the swapped pairs (read at every tenth step, as the paper's), with 95% bootstrap intervals, to
``data/results/logit_span.parquet``, which notebook 09 shows.
"""

import sys

import pandas as pd
import torch

from helpers import create_generator, datasets
from helpers.adapters import ViTAdapter
from helpers.equivalence import released_simexp
from helpers.measures import mean_interval, ranking_changes
from helpers.sweep.results import BUNDLED_RESULTS, write_table

FACTORS = (1.0, 2.0, 4.0)
READ_EVERY = 10
QUARTERS = 3  # draws of the patches that move
COLUMNS = ["model", "moving", "factor", "span", "logits_moved", "swapped_pairs", "low", "high"]


def measure(model, image, factor, parts, steps):
    """Return the span of the logits at the start, how far they move along the walk, and the swapped pairs."""
    adapter = ViTAdapter.load(model).with_logits()
    f = adapter.output_map(adapter.encode(image), parts)
    path = released_simexp(lambda point: factor * f(point), f.start, steps, generator=create_generator(0))
    logits = path.outputs
    moved = (logits[-1] - logits[0]).norm()
    return float(logits[0].max() - logits[0].min()), float(moved), int(ranking_changes(logits[::READ_EVERY]).sum())


def main(digits="5", steps="1000"):
    torch.set_num_threads(1)
    data = datasets.load_digits("test")
    images = [data.images[data.labels == label][0] for label in range(int(digits))]
    settings = [("vit-digits", "all", None), ("vit-mnist", "all", None)]
    for seed in range(QUARTERS):
        quarter = torch.randperm(196, generator=create_generator(seed))[:49]
        settings.append(("vit-mnist", f"random quarter {seed}", sorted(quarter.tolist())))
    rows = []
    for model, moving, parts in settings:
        for factor in FACTORS if parts is None else FACTORS[:1]:
            spans, moved, swaps = zip(*(measure(model, x, factor, parts, int(steps)) for x in images), strict=True)
            mean, low, high = mean_interval(torch.tensor(swaps, dtype=torch.float64))
            row = (model, moving, factor, sum(spans) / len(spans), sum(moved) / len(moved), mean, low, high)
            print(*row, flush=True)
            rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS).assign(digits=int(digits), steps=int(steps))
    write_table(table, BUNDLED_RESULTS.with_stem("logit_span"))


if __name__ == "__main__":
    main(*sys.argv[1:])
