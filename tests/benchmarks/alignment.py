"""Time and memory of one kind's 12 x 12 table at BERT-base size: ``python -m tests.benchmarks.alignment``.

Random weights: neither time nor memory depends on what the numbers are.
"""

import os
import resource
import time

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from helpers.alignment import align_layers, shared_vocabulary
from helpers.weights import Weights, name_weights

KIND = "W_in"


def random_bert_base(seed: int) -> Weights:
    """BERT-base with random weights: 30,522 items, width 768, 12 layers of 3,072 neurons."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(BertConfig()).requires_grad_(False)
    vocabulary = {f"word{i}": i for i in range(model.config.vocab_size)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocabulary, unk_token="word0")))
    return name_weights(f"random {seed}", model.config, model.state_dict(), tokenizer)


def peak_mib() -> float:
    """Highest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print one row for the shared space and one for the table of all layers."""
    w_a, w_b = random_bert_base(0), random_bert_base(1)
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads; both models loaded: {peak_mib():,.0f} MiB")
    started = time.perf_counter()
    space = shared_vocabulary(w_a, w_b)
    print(f"kernels: {time.perf_counter() - started:.1f} s, peak {peak_mib():,.0f} MiB")
    alignment = align_layers(w_a, w_b, KIND, space)
    print(f"with the table of {KIND}: {time.perf_counter() - started:.1f} s, peak {peak_mib():,.0f} MiB; {alignment}")
    long = 2 * w_a.n_layers * w_a.d_mlp * w_a.d_vocab * 4 / 2**20
    print(f"all projected vectors of both models, never formed, would take {long:,.0f} MiB")


if __name__ == "__main__":
    main()
