"""Quality figures of the bundled language models, for their cards: ``python -m data.training.quality``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import bootstrap
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import Tensor
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizerFast,
    GPT2TokenizerFast,
)

from data.training.bert import sentiment_accuracy, word_vectors
from data.training.text import Labelled, load_reviews, load_sentiment, token_stream
from helpers.datasets import read_sentences
from helpers.stitching import last_tokens, load_body, load_classifier, stitching_table
from helpers.vocabulary import coherence, embedding_space
from helpers.weights import load_weights

ROOT = Path(__file__).resolve().parents[2]
MODELS, TEXT = ROOT / "data" / "models", ROOT / "runs" / "text"
STITCHING_REVIEWS = 2000  # test reviews on which stitched classifiers are judged
STITCHING_CONTROLS = 2  # random kernels, and as many kernels of shuffled words


def report_coherence(name: str, judges: np.ndarray) -> Iterator[str]:
    """Yield, for each layer, how many times more coherent its feed-forward values are than random vectors.

    Args:
        name: of a bundled GPT-2.
        judges: word vectors made without the model, (vocabulary, width).
    """
    w = load_weights(MODELS / name, fold=True)
    space = embedding_space(w)
    vectors = torch.from_numpy(judges)[space.ids]
    noise = torch.randn(2000, w.d_model, generator=torch.Generator().manual_seed(0))
    for judged_by, rows in (("word vectors", vectors), ("centred", vectors - vectors.mean(0))):
        unit = torch.nn.functional.normalize(rows, dim=1)
        control = coherence(noise, space, unit).numpy()
        for layer in range(w.n_layers):
            values = coherence(w.W_out(layer), space, unit).numpy()
            interval = bootstrap(
                (values, control), lambda a, b, axis: a.mean(axis) / b.mean(axis), method="percentile", rng=0
            ).confidence_interval
            ratio = values.mean() / control.mean()
            yield f"{name}, layer {layer}, {judged_by}: {ratio:.2f} ({interval.low:.2f} to {interval.high:.2f})"


@torch.no_grad()
def token_recovery(model: BertForMaskedLM, tokenizer: BertTokenizerFast, texts: list[str]) -> tuple[float, float]:
    """Return the share of tokens recovered from their own embeddings: by the head, and by the nearest cosine."""
    table = torch.nn.functional.normalize(model.get_input_embeddings().weight, dim=1)
    by_head, by_cosine = [], []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)["input_ids"]
        inner = slice(1, -1)
        by_head.append((model(input_ids=ids).logits.argmax(-1) == ids)[0, inner])
        embedded: Tensor = model.get_input_embeddings()(ids)
        by_cosine.append(((embedded @ table.T).argmax(-1) == ids)[0, inner])
    return float(torch.cat(by_head).double().mean()), float(torch.cat(by_cosine).double().mean())


def load_sentences() -> Labelled:
    """Load the labelled review sentences that were written for this project."""
    table = read_sentences("review")
    return Labelled(table["text"].tolist(), torch.tensor(table["label"].tolist(), dtype=torch.long))


def bag_of_words_accuracy(train: list[Labelled], test: Labelled) -> float:
    """Accuracy of a logistic regression on word counts, the reference for ``bert-sentiment``, on the same text."""
    texts, labels = [text for part in train for text in part.texts], torch.cat([part.labels for part in train])
    model = make_pipeline(CountVectorizer(min_df=3, binary=True), LogisticRegression(C=0.1, max_iter=300))
    return float(model.fit(texts, labels.numpy()).score(test.texts, test.labels.numpy()))


def report_bert() -> Iterator[str]:
    """Yield the quality figures in the cards of the BERTs that their training did not print."""
    tokenizer, sentences = BertTokenizerFast.from_pretrained(MODELS / "bert-reviews"), load_sentences()
    masked = BertForMaskedLM.from_pretrained(MODELS / "bert-reviews", dtype=torch.float32).eval()
    by_head, by_cosine = token_recovery(masked, tokenizer, sentences.texts)
    yield f"bert-reviews recovers tokens from their own embeddings: head {by_head:.3f}, nearest cosine {by_cosine:.4f}"
    if (MODELS / "bert-sentiment" / "config.json").is_file():
        model = BertForSequenceClassification.from_pretrained(MODELS / "bert-sentiment", dtype=torch.float32).eval()
        yield f"bert-sentiment on data/sentences.csv: {sentiment_accuracy(model, tokenizer, sentences):.3f}"
        train, test = list(load_sentiment("train").values()), load_sentiment("test")
        for name, part in {**test, "data/sentences.csv": sentences}.items():
            yield f"bag of words, {name}: {bag_of_words_accuracy(train, part):.3f}"


def report_stitching() -> Iterator[str]:
    """Yield the accuracy on test reviews of ``gpt2-sentiment`` stitched onto ``gpt2-reviews-b``, all depths of both."""
    tokenizer, part = GPT2TokenizerFast.from_pretrained(MODELS / "gpt2-sentiment"), load_sentiment("test")["imdb"]
    chosen = torch.randperm(len(part.texts), generator=torch.Generator().manual_seed(0))[:STITCHING_REVIEWS]
    tokens = last_tokens(tokenizer, [part.texts[i] for i in chosen.tolist()])
    models = load_classifier("gpt2-sentiment"), load_body("gpt2-reviews-b")
    table = stitching_table(*models, tokens, part.labels[chosen], seeds=range(STITCHING_CONTROLS))
    yield repr(table)
    random = table.measure_accuracy(table.random_log_odds).movedim(1, 0)
    for keep, (row, controls) in enumerate(zip(table.accuracy, random, strict=True)):
        shares = ", ".join(f"{share:.1%}" for share in row.tolist())
        yield f"keep {keep}, transplant 0, 1, ...: {shares}; random {controls.min():.1%} to {controls.max():.1%}"


def main() -> None:
    """Print the figures of every language model that is there."""
    tokenizer = GPT2TokenizerFast.from_pretrained(MODELS / "gpt2-reviews")
    cache, end = TEXT / "gpt2-train.npy", tokenizer.eos_token_id
    stream = token_stream(tokenizer, [] if cache.is_file() else load_reviews().train, cache, end)
    judges = word_vectors(stream, len(tokenizer), 100, window=5)
    for name in ("gpt2-reviews", "gpt2-reviews-b"):
        for line in report_coherence(name, judges):
            print(line)
    for line in report_stitching():
        print(line)
    if (MODELS / "bert-reviews" / "config.json").is_file():
        for line in report_bert():
            print(line)


if __name__ == "__main__":
    main()
