"""Reading parameters at GPT-2 small's size, random weights: ``make bench`` writes ``parameters.md``."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from helpers.vocabulary import EmbeddingSpace, LayerControl, NeuronIndex, Reading, embedding_space
from helpers.vocabulary.pairs import is_fast_in_bfloat16
from helpers.weights import FactoredMatrix, Weights, load_weights, name_weights
from tests.benchmarks.walks import PeakMemory

RESULTS = Path(__file__).with_name("parameters.md")
EVERYTHING = Reading(ascii_only=False, words_only=False, offensive=True)
FITTING = 20_000  # items whose whole table of pairs fits in memory (1.6 GB)
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
    return name_weights("random GPT-2 small", model.config, model.state_dict(), Numbered())


def search_dense(space: EmbeddingSpace, matrix: FactoredMatrix) -> torch.Tensor:
    """Form a head's whole table and search it."""
    table = (space.rows @ matrix.to_dense()) @ space.rows.T
    return table.fill_diagonal_(-torch.inf).flatten().topk(K).values


def measure(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Call a function and return its result and its seconds."""
    began = time.perf_counter()
    return function(*arguments), time.perf_counter() - began


def describe_machine() -> list[str]:
    """Return the title and the conditions of the measurement."""
    return [
        "# Reading parameters, measured",
        "",
        f"Written by `make bench` in one run on 2 CPU cores ({platform.machine()}), {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()},\nPyTorch {torch.__version__.split('+')[0]}, transformers "
        f"{transformers.__version__}. GPT-2 small's shape (50,257 items, width 768, 12 layers of 12 heads\nand 3,072 "
        "neurons), random weights: the hardest case, since nothing stands out and hardly a block can be ruled out.",
        f"This processor {'multiplies' if is_fast_in_bfloat16(torch.ones(1)) else 'does not multiply'} bfloat16 "
        "natively; with it blocks of pairs take a quarter of the time.",
        "",
        "| what | measured |",
        "|---|---|",
    ]


def measure_heads(w: Weights) -> Iterator[str]:
    """Yield rows for the embedding space, one head and all heads."""
    with PeakMemory("cpu") as memory:
        space, seconds = measure(embedding_space, w, EVERYTHING)
        pairs, head = measure(space.top_pairs, w.W_OV(0, 0), K)  # both sides are one table, without norms folded in
    yield f"| embeddings of {len(space):,} items cleaned, once per model | {seconds:.2g} s |"
    yield (
        f"| top {K} pairs of one head, exact | {head:.2g} s, {pairs.searched:.0%} of all pairs scored; memory above "
        f"the model {memory.mib:,.0f} MiB, the cleaned embeddings included |"
    )
    heads = [(layer, number) for layer in range(w.n_layers) for number in range(w.n_heads)]
    began = time.perf_counter()
    for layer, number in tqdm(heads, unit=" heads"):
        space.top_pairs(w.W_OV(layer, number), K)
    yield f"| the same for all {len(heads)} heads | {(time.perf_counter() - began) / 60:.1f} minutes |"


def compare_with_dense_search(w: Weights) -> Iterator[str]:
    """Yield a row that compares the search in blocks with the search of the whole table."""
    few = w.unembedding[:FITTING]
    space = embedding_space(replace(w, embedding=few, unembedding=few), EVERYTHING)
    pairs, in_blocks = measure(space.top_pairs, w.W_OV(0, 0), K)
    values, dense = measure(search_dense, space, w.W_OV(0, 0))
    assert torch.allclose(pairs.scores, values, rtol=1e-4)
    yield (
        f"| {FITTING:,} items: in blocks {in_blocks:.2g} s, whole table formed and searched {dense:.2g} s, same "
        f"result | **{dense / in_blocks:.0f} times faster** |"
    )


def measure_search(w: Weights) -> Iterator[str]:
    """Yield a row for the search of all neurons for a word; the first search builds the index."""
    space = embedding_space(w, EVERYTHING)
    index, first = measure(NeuronIndex.build, w, space)
    later = [measure(index.search, str(word))[1] for word in range(1000, 1020)]
    yield (
        f"| a word searched in all {len(index):,} neurons | {sorted(later)[10]:.2g} s (median of 20), the "
        f"first time {first:.2g} s |"
    )


def random_space(count: int, width: int) -> EmbeddingSpace:
    """Draw clean embeddings for items that are numbers."""
    rows = torch.nn.functional.normalize(torch.randn(count, width))
    return EmbeddingSpace(rows=rows, ids=torch.arange(count), names=[str(i) for i in range(count)], note="random")


def measure_other_sizes() -> Iterator[str]:
    """Yield rows for one head of other models' sizes, with random weights."""
    for name, count, width, d_head in (("SmolLM2-135M", 49_152, 576, 64), ("Qwen3-0.6B", 151_936, 1024, 128)):
        space, head = random_space(count, width), FactoredMatrix(*torch.randn(2, width, d_head))
        with PeakMemory("cpu") as memory:
            pairs, seconds = measure(space.top_pairs, head, K)
        yield (
            f"| top {K} pairs of one head of {name}'s size ({count:,} items, width {width:,}, head {d_head}), exact | "
            f"{seconds:.2g} s, {pairs.searched:.0%} of all pairs scored; memory above the embeddings "
            f"{memory.mib:,.0f} MiB |"
        )


@dataclass(frozen=True)
class RandomNeurons:
    """Stands in for the weights of a model with many neurons."""

    n_layers: int = 25
    d_mlp: int = 20_000
    d_model: int = 1024

    def vectors(self, kind: str, layer: int) -> torch.Tensor:
        """Draw the vectors of a layer."""
        return torch.randn(self.d_mlp, self.d_model, generator=torch.Generator().manual_seed(layer))


def measure_large_index() -> Iterator[str]:
    """Yield a row for the search of half a million neurons."""
    space = random_space(50_000, 1024)
    with PeakMemory("cpu") as memory:
        index, building = measure(NeuronIndex.build, RandomNeurons(), space)
    later = [measure(index.search, str(word))[1] for word in range(5)]
    yield (
        f"| a word searched in {len(index):,} neurons of width 1,024 | {sorted(later)[2]:.2g} s (median of 5); the "
        f"index takes {building:.2g} s and {memory.mib:,.0f} MiB at most |"
    )


def measure_control(w: Weights) -> Iterator[str]:
    """Yield rows for the controls of a layer of the bundled model."""
    space, generator = embedding_space(w), torch.Generator().manual_seed(0)
    _, vectors = measure(LayerControl.of_vectors, space, w.vectors("W_out", 3), generator)
    heads = [w.W_OV(3, head) for head in range(w.n_heads)]
    _, pairs = measure(LayerControl.of_heads, space, heads, generator)
    what = f"p-values of a layer of `{w.name}`: {w.d_mlp} values, {len(heads)} heads"
    yield f"| {what} | {vectors:.2g} s, {pairs:.2g} s |"


def write_report() -> str:
    """Measure everything in one run."""
    w = random_gpt2()
    lines = [*describe_machine(), *measure_heads(w), *compare_with_dense_search(w), *measure_search(w)]
    lines += [*measure_other_sizes(), *measure_large_index(), *measure_control(load_weights("gpt2-reviews"))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    RESULTS.write_text(write_report())
    print(RESULTS.read_text())
