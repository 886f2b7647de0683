"""Join a GPT-2 with a Llama, and align a GPT-2 with a BERT over shared strings: ``python -m tests.benchmarks.joined``.

Prints the mean AUC of the sentiment classifier of ``gpt2-sentiment`` stitched onto other bases, with its 95% interval
over texts, beside random kernels; and how many layers of two models with different vocabularies are matched to the same
depth over the strings that both have, beside shuffled strings, and as fewer of the strings are used.
"""

import torch

from helpers import datasets, stitching
from helpers.alignment import FREQUENT_ITEMS, _compare_rows, align_layers
from helpers.measures import mean_area
from helpers.resources import load_tokenizer
from helpers.vocabulary import embedding_space
from helpers.weights import KINDS, load_weights


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shared_strings(w_a, w_b, side, share=1.0, seed=0, shuffle=None):
    """Compare two models over some of the items that are the same string, upper and lower case alike."""
    spaces = [embedding_space(w, FREQUENT_ITEMS, side) for w in (w_a, w_b)]
    rows = [{name.lower(): i for i, name in reversed(list(enumerate(space.names)))} for space in spaces]
    common = [name for name in rows[0] if name in rows[1]]
    chosen = torch.randperm(len(common), generator=seeded(seed))[: max(2, int(share * len(common)))].tolist()
    a, b = (s.rows[[r[common[i]] for i in chosen]] for s, r in zip(spaces, rows, strict=True))
    if shuffle is not None:
        b = b[torch.randperm(len(b), generator=seeded(shuffle))]
    return _compare_rows(a, b, f"{len(chosen):,} shared strings")


def print_stitching(name, use_unembedding):
    classifier, base = stitching.load_classifier("gpt2-sentiment"), stitching.load_body(name)
    if not use_unembedding and hasattr(base, "item_rows"):
        del base.item_rows
    table = datasets.read_sentences("review")
    tokens = stitching.last_tokens(load_tokenizer("gpt2-reviews"), table["text"].tolist())
    labels = torch.tensor(table["label"].astype(int).tolist())
    result = stitching.stitching_table(classifier, base, tokens, labels, range(5, 8))
    kinds = {"kernel": result.log_odds, "random": result.random_log_odds, "shuffled": result.shuffled_log_odds}
    areas = {kind: [round(x, 3) for x in mean_area(odds, labels)] for kind, odds in kinds.items()}
    print(name, "by its unembedding" if use_unembedding else "by its input embeddings", areas)


def print_alignment(name_a, name_b):
    a, b = load_weights(name_a), load_weights(name_b)
    for kind in a.kinds:
        side = KINDS[kind]
        own = align_layers(a, b, kind, shared_strings(a, b, side))
        chance = [align_layers(a, b, kind, shared_strings(a, b, side, shuffle=seed)).on_diagonal for seed in range(10)]
        by_share = {}
        for share in (0.5, 0.1, 0.02):
            some = [align_layers(a, b, kind, shared_strings(a, b, side, share, seed)) for seed in range(4)]
            by_share[share] = sum(each.on_diagonal for each in some) / 4
        print(name_a, name_b, kind, own, f"shuffled {sum(chance) / 10:.2f}; by share {by_share}")


if __name__ == "__main__":
    for other in ("bert-reviews", "gpt2-reviews-b", "llama-reviews"):
        print_alignment("gpt2-reviews", other)
    for base_name, unembedding in (("gpt2-reviews-b", True), ("llama-reviews", True), ("llama-reviews", False)):
        print_stitching(base_name, unembedding)
