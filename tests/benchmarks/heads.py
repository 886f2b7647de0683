"""Which head carries a relation, and which words activate a key: ``python -m tests.benchmarks.heads MODEL ...``.

Writes ``data/results/heads.parquet``, which notebook 11 shows. The heads of each model are scored for five relations,
with the embeddings and with the embeddings through the first MLP. A head that passes both tests is tested once more on
pairs that were held out, and removed, as are three other heads of its layer. In GPT-2s, the readings of keys are
compared with the activations on held-out reviews. Folders and hub ids may be given as NAME=SOURCE.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from helpers import measures
from helpers.adapters import GPT2Adapter, load_adapter
from helpers.datasets import read_table
from helpers.sweep.results import BUNDLED_RESULTS, write_table
from helpers.vocabulary import embed_through_first_mlp, embedding_space
from helpers.weights import Weights, load_weights

PAIRS = {
    "plural": "man men, actor actors, woman women, girl girls, boy boys, character characters, film films,"
    " movie movies, kid kids, thing things, story stories, scene scenes, word words, book books, song songs,"
    " friend friends, year years, day days, hour hours, minute minutes, eye eyes, hand hands, person people,"
    " child children",
    "opposite": "good bad, best worst, better worse, old young, big small, long short, high low, love hate,"
    " right wrong, first last, happy sad, strong weak, true false, easy difficult, early late, more less,"
    " up down, fast slow",
    "gender": "he she, his her, man woman, boy girl, father mother, son daughter, brother sister, husband wife,"
    " king queen, actor actress, men women, boys girls, uncle aunt, guy girl, himself herself, male female,"
    " prince princess, dad mom, sir madam",
    "past": "is was, are were, has had, go went, see saw, make made, take took, get got, know knew, think thought,"
    " give gave, find found, tell told, come came, say said, feel felt, watch watched, want wanted, look looked,"
    " seem seemed, try tried, use used, play played, begin began",
    "capital": "France Paris, Germany Berlin, Italy Rome, Spain Madrid, Russia Moscow, Japan Tokyo, China Beijing,"
    " England London, Egypt Cairo, Greece Athens, Ireland Dublin, Austria Vienna, Poland Warsaw, Portugal Lisbon,"
    " Cuba Havana, Iran Tehran, Iraq Baghdad, Kenya Nairobi, Norway Oslo, Sweden Stockholm, Turkey Ankara,"
    " Canada Ottawa, Afghanistan Kabul, India Delhi",
}
HELD_OUT = {
    "plural": "name names, idea ideas, line lines, role roles, part parts, problem problems, fan fans, family families,"
    " show shows, picture pictures, place places, moment moments, reason reasons, question questions, house houses,"
    " car cars, star stars, game games, month months, week weeks, parent parents, country countries, student students,"
    " sister sisters, brother brothers, effect effects, element elements, joke jokes, plot plots, event events,"
    " theme themes, animal animals, horse horses, dog dogs, cat cats, tree trees",
    "opposite": "new old, hot cold, open closed, rich poor, light dark, black white, inside outside, before after,"
    " positive negative, male female, public private, local global, internal external, upper lower, left right,"
    " above below, hard soft, deep shallow, wet dry, clean dirty, alive dead, same different, near far, win lose,"
    " buy sell, begin end, accept reject, increase decrease, success failure, friend enemy, day night",
}
TEMPLATES = {
    "plural": ("The {} and the other", "one {}, two"),
    "opposite": ("not {} but", "The opposite of {} is"),
}
LEAST_PAIRS = 10  # a relation with fewer pairs in the vocabulary is left out
OTHER_HEADS = 3  # removed for comparison with each named head
N_REVIEWS = 240  # held-out reviews whose words activate keys
CHARACTERS = 300  # of a review, from its start
LEAST_SEEN = 3  # times that a word must occur in them
N_WORDS = 5  # words of highest activation per neuron
RESAMPLES = 200  # of the words, for the interval of a correlation

Row = tuple[str, str, str, str, str, float, float, float]
COLUMNS = ["experiment", "model", "setting", "subject", "quantity", "value", "low", "high"]
NONE = float("nan")


def list_pairs(text: str, w: Weights) -> dict[str, str]:
    """Return the pairs whose words are items of both embedding spaces, each second word once."""
    known = set(embedding_space(w).names) & set(embedding_space(w, side="in").names)
    pairs = {second: first for first, second in (pair.split() for pair in text.split(", ")) if {first, second} <= known}
    return {first: second for second, first in pairs.items()}


def score_heads(model: str, w: Weights) -> Iterator[Row]:
    """Yield how many heads pass the tests for each relation, by both readings, and which."""
    for setting, upper in {"embeddings": None, "first MLP": embed_through_first_mlp(w)}.items():
        copying = measures.score_copying(w, upper=upper)
        for relation, text in PAIRS.items():
            pairs = list_pairs(text, w)
            if len(pairs) < LEAST_PAIRS:
                continue
            scored = measures.score_relation(w, pairs, upper=upper)
            alone = [measures.correct_by_holm(scored.parts[part].flatten().tolist()) for part in scored.parts]
            counts = {
                "pairs": len(pairs),
                "heads": scored.p.numel(),
                "pass shuffled pairs": sum(p < 0.05 for p in alone[0]),
                "pass copying": sum(p < 0.05 for p in alone[1]),
                "pass both": int((scored.holm < 0.05).sum()),
                "pass both, uncorrected": int((scored.p < 0.05).sum()),
                "rank correlation with copying": spearmanr(scored.scores.flatten(), copying.scores.flatten()).statistic,
            }
            for quantity, value in counts.items():
                yield "relations", model, setting, relation, quantity, float(value), NONE, NONE
            for layer, head in (scored.holm < 0.05).nonzero().tolist():
                yield "named", model, setting, relation, f"{layer}.{head}", float(scored.holm[layer, head]), NONE, NONE


def confirm(model: str, source: str, w: Weights, named: list[Row]) -> Iterator[Row]:
    """Yield the p-value of each named head on held-out pairs, and what its removal does to pairs of both lists."""
    adapter, generator = load_adapter(source), torch.Generator().manual_seed(0)
    for _, _, setting, relation, place, *_ in named:
        if relation not in HELD_OUT:
            continue
        layer, head = map(int, place.split("."))
        lists = {name: list_pairs(texts[relation], w) for name, texts in (("named", PAIRS), ("held out", HELD_OUT))}
        upper = embed_through_first_mlp(w) if setting == "first MLP" else None
        p = measures.score_relation(w, lists["held out"], upper=upper).p[layer, head]
        yield "held out", model, setting, relation, place, float(p), NONE, NONE
        others = [each for each in torch.randperm(w.n_heads, generator=generator).tolist() if each != head]
        for pairs_name, pairs in lists.items():
            for template in TEMPLATES[relation]:
                subject = f"{relation}, {pairs_name}: {template}"
                whole = contrast(adapter, pairs, template)
                for each in [head, *others[:OTHER_HEADS]]:
                    left = contrast(adapter.without_head(layer, each), pairs, template)
                    lost = {word: (whole[word] - left[word]) / whole[word].mean() for word in whole}
                    lost["second minus itself"] = lost["second"] - lost["itself"]
                    for word, share in lost.items():
                        yield "removed", model, f"{layer}.{each}", subject, word, *measures.mean_interval(share)


@torch.no_grad()
def contrast(adapter, pairs: dict[str, str], template: str) -> dict[str, Tensor]:
    """Return by how many nats the first word of each pair raises the second word, and itself, over other texts."""
    numbers = {name: i for i, name in reversed(list(enumerate(adapter.item_names)))}
    outputs = torch.stack([adapter.log_probabilities(adapter.encode(template.format(word))) for word in pairs])
    contrasts = {}
    for name, words in (("second", pairs.values()), ("itself", pairs)):
        table = outputs[:, [numbers[word] for word in words]]
        contrasts[name] = table.diagonal() - (table.sum(0) - table.diagonal()) / (len(pairs) - 1)
    return contrasts


@torch.no_grad()
def compare_keys(model: str, source: str, w: Weights) -> Iterator[Row]:
    """Yield how well the reading of each key agrees with what the neuron does on the words of held-out reviews.

    It is compared with the product of key and state, with the activation, and with the words of highest activation.
    """
    products, generator = average_products(source, w), torch.Generator().manual_seed(0)
    for setting, space in {
        "embeddings": embedding_space(w, side="in"),
        "first MLP": embed_through_first_mlp(w),
    }.items():
        for layer in range(w.n_layers):
            seen = products["count"][space.ids] >= LEAST_SEEN
            read = space.rows[seen] @ w.vectors("W_in", layer).T
            draws = [torch.randint(len(read), (len(read),), generator=generator) for _ in range(RESAMPLES)]
            order = torch.randperm(w.d_mlp, generator=generator)
            for quantity in ("product", "activation"):
                own = products[quantity][layer, space.ids[seen]]
                means = torch.stack([correlate(read[draw], own[draw]) for draw in draws])
                interval = means.quantile(torch.tensor([0.025, 0.975])).tolist()
                yield "keys", model, setting, f"layer {layer}", quantity, float(correlate(read, own)), *interval
                other = float(correlate(read, own[:, order]))
                yield "keys", model, setting, f"layer {layer}", f"{quantity}, other neurons", other, NONE, NONE
            percentiles = read.argsort(0).argsort(0) / (len(read) - 1)
            for name, active in (("most active words", own), ("most active words, other neurons", own[:, order])):
                means = percentiles.gather(0, active.topk(N_WORDS, dim=0).indices).mean(0)
                yield "keys", model, setting, f"layer {layer}", name, *measures.mean_interval(means)


def average_products(source: str, w: Weights) -> dict[str, Tensor]:
    """Run held-out reviews; return per layer, item and neuron the mean product with the key and the mean activation."""
    adapter, taken = GPT2Adapter.load(source), []
    shape = w.n_layers, w.d_vocab, w.d_mlp
    sums = {"product": torch.zeros(shape), "activation": torch.zeros(shape)}
    count = torch.zeros(w.d_vocab)
    blocks = adapter.model.transformer.h
    hooks = [block.mlp.c_fc.register_forward_hook(lambda _m, _i, output: taken.append(output[0])) for block in blocks]
    reviews = read_table("imdb", "test")["text"].str.replace("<br />", " ")
    for text in reviews[reviews.map(str.isascii)].sample(N_REVIEWS, random_state=0).str[:CHARACTERS]:
        ids = torch.tensor(adapter.token_ids(text))
        taken.clear()
        adapter.model(input_ids=ids[None])
        products = torch.stack(taken)
        sums["product"].index_add_(1, ids, products)
        sums["activation"].index_add_(1, ids, blocks[0].mlp.act(products))
        count.index_add_(0, ids, torch.ones(len(ids)))
    for hook in hooks:
        hook.remove()
    return {name: each / count.clamp(min=1)[:, None] for name, each in sums.items()} | {"count": count}


def correlate(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean over columns of the correlation of two tables."""
    a, b = a - a.mean(0), b - b.mean(0)
    return ((a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0)).clamp(min=1e-30)).mean()


def main() -> None:
    """Ask the models of the command line, and store the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    rows: list[Row] = []
    for model in tqdm(parser.parse_args().models):
        name, source = model.split("=", 1) if "=" in model else (model, model)
        w = load_weights(source, fold=True)
        scored = list(score_heads(name, w))
        rows += scored
        rows += confirm(name, source, w, [row for row in scored if row[0] == "named"])
        if w.config.model_type == "gpt2":
            rows += compare_keys(name, source, w)
        write_table(pd.DataFrame(rows, columns=COLUMNS), BUNDLED_RESULTS.with_stem("heads"))


if __name__ == "__main__":
    main()
