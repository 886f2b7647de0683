"""Reading parameters at GPT-2 small's size, random weights: ``make bench`` writes ``parameters.md``."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from helpers.vocabulary import Reading, embedding_space, search_neurons, top_pairs
from helpers.vocabulary.tables import PairTable
from helpers.weights import Weights
from helpers.weights.gpt2 import map_weights
from tests.benchmarks.walks import PeakMemory

RESULTS = Path(__file__).with_name("parameters.md")
EVERYTHING = Reading(ascii_only=False, words_only=False, offensive=True)
FITTING = 20_000  # items of which the whole table fits in memory
K = 500


@dataclass(frozen=True)
class Numbered:
    """Stands in for a tokenizer: items are numbers."""

    all_special_tokens: tuple[str, ...] = ()

    def convert_ids_to_tokens(self, ids: range) -> list[str]:
        """Name an item by its number."""
        return [f"Ġ{i}" for i in ids]


def random_gpt2() -> Weights:
    """Build GPT-2 small with random weights, embeddings of unequal length as trained ones have."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config()).requires_grad_(False)
    model.transformer.wte.weight *= torch.empty(len(model.transformer.wte.weight), 1).log_normal_(0, 0.2)
    return Weights(name="random GPT-2 small", tokenizer=Numbered(), **map_weights(model))


def search_dense(w: Weights, reading: Reading) -> torch.Tensor:
    """Form a head's whole table and search it."""
    rows, matrix = embedding_space(w, reading).rows, w.W_OV(0, 0)
    table = (rows @ matrix.to_dense()) @ rows.T
    return table.fill_diagonal_(-torch.inf).flatten().topk(K).values


def timed(work, *arguments):
    """Run a piece of work: what it returns, and its seconds."""
    began = time.perf_counter()
    return work(*arguments), time.perf_counter() - began


def write_report() -> str:
    """Measure, in one run."""
    w = random_gpt2()
    lines = [
        "# Reading parameters, measured",
        "",
        f"Written by `make bench` in one run on 2 CPU cores ({platform.machine()}), {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()},\nPyTorch {torch.__version__.split('+')[0]}, transformers "
        f"{transformers.__version__}. GPT-2 small's shape (50,257 items, width 768, 12 layers of 12 heads\nand 3,072 "
        "neurons), random weights: the hardest case, since nothing stands out and hardly a block can be ruled out.",
        "",
        "| what | measured |",
        "|---|---|",
    ]
    with PeakMemory("cpu") as memory:
        space, seconds = timed(embedding_space, w, EVERYTHING)
        found, head = timed(top_pairs, w, w.W_OV(0, 0), K, EVERYTHING)
    lines.append(f"| embeddings of {len(space):,} items cleaned, once a model | {seconds:.2g} s |")
    lines.append(
        f"| top {K} pairs of one head, exact | {head:.2g} s, {found.searched:.0%} of all pairs scored; memory above "
        f"the model {memory.mib:,.0f} MiB, the cleaned embeddings included |"
    )
    heads = [(layer, h) for layer in range(w.n_layers) for h in range(w.n_heads)]
    began = time.perf_counter()
    for layer, h in tqdm(heads, unit=" heads"):
        top_pairs(w, w.W_OV(layer, h), K, EVERYTHING)
    lines.append(f"| the same for all {len(heads)} heads | {(time.perf_counter() - began) / 60:.1f} minutes |")
    small = replace(w, W_E=w.W_E[:FITTING])
    embedding_space(small, EVERYTHING)
    ours: tuple[PairTable, float] = timed(top_pairs, small, small.W_OV(0, 0), K, EVERYTHING)
    dense = timed(search_dense, small, EVERYTHING)
    assert torch.allclose(ours[0].scores, dense[0], rtol=1e-4)
    lines.append(
        f"| {FITTING:,} items: in blocks {ours[1]:.2g} s, whole table formed and searched {dense[1]:.2g} s, same "
        f"result | **{dense[1] / ours[1]:.0f} times faster** |"
    )
    _, first = timed(search_neurons, w, "4242", 20, "W_out", EVERYTHING)
    later = [timed(search_neurons, w, str(word), 20, "W_out", EVERYTHING)[1] for word in range(1000, 1020)]
    lines.append(
        f"| a word searched in all {w.n_layers * w.d_mlp:,} neurons | {sorted(later)[10]:.2g} s (median of 20), the "
        f"first time {first:.2g} s |"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    RESULTS.write_text(write_report())
    print(RESULTS.read_text())
