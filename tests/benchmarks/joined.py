"""Join a GPT-2 with a Llama and with a BERT, which shares strings only: ``python -m tests.benchmarks.joined``.

Writes ``data/results/joined.parquet``, which notebook 12 shows. Stitching: the area under the curve of the
sentiment classifier of ``gpt2-sentiment`` on other bases, averaged over all numbers of layers, with its 95% interval
over texts; the interval of a control is its range over kernels. Alignment: the share of layers that are matched to the
same depth over shared strings, without the layers' means. Both also over a part of the strings, and beside shuffled
strings: mean and range over draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from helpers import datasets, stitching
from helpers.alignment import FREQUENT_ITEMS, align_layers, shared_strings
from helpers.measures import mean_area
from helpers.resources import load_tokenizer
from helpers.sweep.results import BUNDLED_RESULTS, write_table
from helpers.vocabulary import EmbeddingSpace, embed_through_first_mlp, embedding_space, match_items
from helpers.weights import KINDS, Side, load_weights
from helpers.weights.reference import layer_states

CLASSIFIER = "gpt2-sentiment"
SIDES: tuple[Side, Side] = ("in", "out")
SEEDS = range(4)  # random kernels, shuffles of the strings, and draws of a part of them
SHARES = (0.5, 0.1, 0.02)  # of the shared strings

Row = tuple[str, str, str, str, float, float, float]
COLUMNS = ["experiment", "model", "setting", "quantity", "value", "low", "high"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def align(name_a: str, name_b: str) -> Iterator[Row]:
    """Yield how many layers of two models are matched over shared strings, as embeddings and through the first MLP."""
    a, b = (load_weights(name) for name in (name_a, name_b))
    choices = {("embeddings", side): [embedding_space(w, FREQUENT_ITEMS, side) for w in (a, b)] for side in SIDES}
    choices["first MLP", "in"] = [embed_through_first_mlp(w, FREQUENT_ITEMS) for w in (a, b)]
    for (setting, side), pair in choices.items():
        shared = {"all items": [shared_strings(*pair)]}
        for share in SHARES:
            parts = [keep_share(pair[0], share, seed) for seed in SEEDS]
            shared[f"{share:.0%} of the items"] = [shared_strings(part, pair[1]) for part in parts]
        shared["shuffled"] = [shared_strings(*pair, seeded(seed)) for seed in SEEDS]
        for kind, (quantity, some) in product((k for k in a.kinds if KINDS[k] == side), shared.items()):
            alignments = [align_layers(a, b, kind, space).remove_layer_means() for space in some]
            found = [alignment.on_diagonal for alignment in alignments]
            row = "alignment", f"{name_a} and {name_b}", f"{kind}, {setting}", quantity
            yield *row, sum(found) / len(found), min(found), max(found)


def keep_share(space: EmbeddingSpace, share: float, seed: int) -> EmbeddingSpace:
    """Return a space of a random part of the items."""
    chosen = torch.randperm(len(space), generator=seeded(seed))[: round(share * len(space))].tolist()
    return EmbeddingSpace(space.rows[chosen], space.ids[chosen], [space.names[i] for i in chosen], "", space.side)


@torch.no_grad()
def stitch_all(base_name: str) -> Iterator[Row]:
    """Yield the mean area of a base's stitched classifiers by kernels of shared strings, beside controls."""
    base, classifier = stitching.load_body(base_name), stitching.load_classifier(CLASSIFIER)
    spaces = [embedding_space(load_weights(name), FREQUENT_ITEMS) for name in (CLASSIFIER, base_name)]
    rows_a, rows_b = match_items(*spaces)
    kernels = {"all items": [torch.linalg.lstsq(rows_b, rows_a).solution]}
    kernels["random"] = [stitching.random_kernel(kernels["all items"][0], seeded(seed)) for seed in SEEDS]
    orders = [torch.randperm(len(rows_b), generator=seeded(seed)) for seed in SEEDS]
    kernels["shuffled"] = [torch.linalg.lstsq(rows_b[order], rows_a).solution for order in orders]
    for share in SHARES:
        parts = [order[: round(share * len(order))] for order in orders]
        kernels[f"{share:.0%} of the items"] = [torch.linalg.lstsq(rows_b[p], rows_a[p]).solution for p in parts]
    areas = measure_areas(classifier, base, base_name, [kernel for each in kernels.values() for kernel in each])
    for quantity, each in kernels.items():
        found, areas = areas[: len(each)], areas[len(each) :]
        means = [area[0] for area in found]
        interval = found[0][1:] if quantity == "all items" else (min(means), max(means))
        yield "stitching", base_name, f"{len(rows_a):,} shared strings", quantity, sum(means) / len(means), *interval


def measure_areas(classifier, base, base_name: str, kernels: list[Tensor]) -> list[tuple[float, float, float]]:
    """Return the mean area of each kernel, over all numbers of layers, with its interval over texts."""
    table = datasets.read_sentences("review")
    labels = torch.tensor(table["label"].astype(int).tolist())
    ids, mask = stitching.last_tokens(load_tokenizer(base_name), table["text"].tolist())
    states = layer_states(base, input_ids=ids, attention_mask=mask)
    grid = list(product(range(len(states)), range(len(classifier.body.h) + 1)))
    areas = []
    for kernel in kernels:
        odds = [
            stitching.stitch(classifier, base, keep, top, kernel).finish(states[keep], mask).diff(dim=1)[:, 0]
            for keep, top in grid
        ]
        areas.append(mean_area(torch.stack(odds).unflatten(0, (len(states), -1)), labels))
    return areas


def main() -> None:
    """Join the bundled models, and store the table."""
    rows: list[Row] = []
    for base in ("gpt2-reviews-b", "llama-reviews", "bert-reviews"):
        rows += [*align("gpt2-reviews", base), *stitch_all(base)]
        write_table(pd.DataFrame(rows, columns=COLUMNS), BUNDLED_RESULTS.with_stem("joined"))
    rows += align("gpt2-reviews-b", "llama-reviews")
    write_table(pd.DataFrame(rows, columns=COLUMNS), BUNDLED_RESULTS.with_stem("joined"))


if __name__ == "__main__":
    main()
