"""Which claims of arXiv 2209.02535 hold in which model: in the paper's own reading and in ours, each with its control.

``python -m tests.benchmarks.claims gpt2-reviews gpt2-reviews-b FOLDER`` writes ``data/results/claims.parquet``, which
notebook 06 shows. Folders and hub ids may be given as NAME=SOURCE, so that the table has the model's own name.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import torch
from tqdm import tqdm

from helpers import measures
from helpers.adapters import GPT2Adapter
from helpers.datasets import read_sentences
from helpers.sweep.results import BUNDLED_RESULTS, write_table
from helpers.vocabulary import EmbeddingSpace, LayerControl, Reading, embedding_space
from helpers.vocabulary.control import draw_random_vectors
from helpers.weights import KINDS, RELATED_KINDS, Weights, load_weights

READINGS = {
    "paper": (Reading.paper(), False),
    "ours": (Reading(), True),
}  # setting -> reading, whether norms are folded
N_RANDOM = 2000  # random vectors per layer
FDR = 0.05  # false discovery rate below which a vector counts as a discovery
KEPT = 100  # largest scores that are kept where the two choices of E' are compared
N_TEXTS = 60  # as many as in the paper

Row = tuple[str, int, int, float, float]  # claim, layers where it holds, layers, mean value, mean control


def share_of_discoveries(space: EmbeddingSpace, vectors: torch.Tensor, generator: torch.Generator) -> float:
    """Return the share of vectors whose top item stands out among random vectors of the same covariance."""
    control = LayerControl.of_vectors(space, vectors, generator, 1, N_RANDOM)
    return float((control.fdr[:, 0] < FDR).double().mean())


def vectors_above_chance(w: Weights, reading: Reading, kind: str) -> Row:
    """Count the layers in which some vectors of a kind stand out among random ones, at a false discovery rate of 5%."""
    space, shares = embedding_space(w, reading, KINDS[kind]), []
    for layer in range(w.n_layers):
        vectors, generator = w.vectors(kind, layer), torch.Generator().manual_seed(layer)
        others = torch.cat(list(draw_random_vectors(vectors, len(vectors), generator)))
        shares.append([share_of_discoveries(space, each, generator) for each in (vectors, others)])
    values, controls = torch.tensor(shares).T
    name = f"{kind}: vectors whose top item stands out among random vectors"
    return name, int((values > controls).sum()), w.n_layers, float(values.mean()), float(controls.mean())


def from_table(claim: str, table: pd.DataFrame) -> Row:
    """Count the layers of a measure whose difference from its control has an interval above zero."""
    means = table[["value", "control"]].mean()
    return claim, int((table["low"] > 0).sum()), len(table), float(means["value"]), float(means["control"])


def transpose_beats_inverse(w: Weights, reading: Reading) -> Row:
    """Count the layers in which the transposed embeddings keep inner products of keys better than the inverse does."""
    rows, inverse = (
        embedding_space(w, replace(reading, pseudo_inverse=inverse), "in").rows for inverse in (False, True)
    )
    scores = [
        [
            measures.compare_inner_products(w.vectors("W_in", layer).to(rows), rows, other, KEPT)
            for other in (rows, inverse)
        ]
        for layer in range(w.n_layers)
    ]
    transposed, inverted = torch.tensor(scores).T
    claim = "W_in: E transposed keeps inner products better than the inverse"
    return claim, int((transposed > inverted).sum()), w.n_layers, float(transposed.mean()), float(inverted.mean())


def check_claims(w: Weights, reading: Reading) -> Iterator[Row]:
    """Yield one row per claim that can be checked in a model."""
    unsigned = replace(reading, signed=False)
    for kind in ("W_in", "W_out"):
        yield vectors_above_chance(w, reading, kind)
    for name, kinds in RELATED_KINDS.items():
        yield from_table(f"{name}: partners share items", measures.compare_partners(w, kinds, unsigned))
    if w.config.model_type == "gpt2":
        traces = [GPT2Adapter.load(w.name).trace(text) for text in read_sentences("review").text[:N_TEXTS]]
        for kind in ("W_in", "W_out", "W_V", "W_O"):
            table = measures.compare_active_parameters(w, traces, kind, reading=reading)
            yield from_table(f"{kind}: active parameters share items with the state", table)
    yield transpose_beats_inverse(w, reading)


def main() -> None:
    """Check the claims in the models of the command line, and store the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    rows = []
    for model in tqdm(parser.parse_args().models):
        name, source = model.split("=", 1) if "=" in model else (model, model)
        for setting, (reading, fold) in READINGS.items():
            began = time.perf_counter()
            w = load_weights(source, fold=fold)
            found = [(name, setting, *row) for row in check_claims(w, reading)]
            print(f"{name}, {setting}: {time.perf_counter() - began:.0f} s")
            rows += found
    columns = ["model", "setting", "claim", "holds in", "of layers", "value", "control"]
    write_table(pd.DataFrame(rows, columns=columns), BUNDLED_RESULTS.with_stem("claims"))


if __name__ == "__main__":
    main()
