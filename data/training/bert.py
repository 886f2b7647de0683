"""The bundled BERTs: a masked-LM on reviews, and the same body finetuned for sentiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizerFast

from data.training.loop import Optimisation, epoch_order, fit
from data.training.text import (
    Labelled,
    load_or_make_tokenizer,
    load_reviews,
    load_sentiment,
    make_bert_tokenizer,
    token_stream,
)

SEED = 1810
POSITIONS = 256
WIDTH, ATTENTION_HEADS, HIDDEN_LAYERS = 192, 6, 4
BATCH_TOKENS = 4096
LENGTHS = (32, 64, 128)  # tokens of a sequence, batch by batch in turn; the shortest are single sentences
MASKED = 0.15
FINETUNING_BATCH = 32
REVIEW_TOKENS = max(LENGTHS)  # to which a review is cut; positions beyond were never trained


@dataclass(frozen=True)
class Corpus:
    """A token stream with the places where sentences begin and the tokens that end them."""

    stream: Tensor
    starts: Tensor
    end_tokens: Tensor


def make_bert(tokenizer: BertTokenizerFast, vectors: np.ndarray) -> BertForMaskedLM:
    """Build an untrained BERT whose token embeddings begin as word vectors and whose positions are sinusoids.

    With ordinary initial weights a BERT of this size stays at the loss of a unigram model for millions of tokens.
    """
    torch.manual_seed(SEED)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=HIDDEN_LAYERS,
            num_attention_heads=ATTENTION_HEADS,
            intermediate_size=4 * WIDTH,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    embeddings = model.bert.embeddings
    angles = torch.arange(POSITIONS)[:, None] / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    with torch.no_grad():
        embeddings.word_embeddings.weight.copy_(torch.from_numpy(vectors))
        embeddings.position_embeddings.weight.copy_(0.03 * torch.cat([angles.sin(), angles.cos()], 1))
    return model


def word_vectors(stream: np.ndarray, vocabulary: int, width: int, spread: float = 0.05, window: int = 4) -> np.ndarray:
    """Make word vectors: the truncated SVD of the positive pointwise mutual information within a window.

    Args:
        stream: token ids.
        vocabulary: number of tokens.
        width: of a vector.
        spread: standard deviation of the result's entries.
        window: how far apart two tokens may stand.

    Returns:
        (vocabulary, width) float32.
    """
    ids = stream.astype(np.int64)
    counts = np.zeros(vocabulary * vocabulary, dtype=np.float32)
    for offset in range(1, window + 1):
        counts += np.bincount(ids[:-offset] * vocabulary + ids[offset:], minlength=vocabulary**2)
    counts = counts.reshape(vocabulary, vocabulary)
    counts += counts.T
    share = counts.sum(1) / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts / counts.sum() / np.outer(share, share))
    information[~np.isfinite(information)] = 0
    left, values, _ = randomized_svd(information.clip(min=0), width, random_state=SEED)
    vectors = left * np.sqrt(values)
    return (vectors * spread / vectors.std()).astype(np.float32)


def make_corpus(stream: np.ndarray, tokenizer: BertTokenizerFast) -> Corpus:
    """Find where sentences begin in a stream of reviews, each of which ends with [SEP]."""
    tokens = torch.from_numpy(stream.astype(np.int32))
    end_tokens = torch.tensor(tokenizer.convert_tokens_to_ids([".", "!", "?"]), dtype=torch.int32)
    ends = torch.isin(tokens, end_tokens) | (tokens == tokenizer.sep_token_id)
    starts = (ends[:-1] & ~ends[1:]).nonzero()[:, 0] + 1
    return Corpus(tokens, starts[starts < len(tokens) - max(LENGTHS)], end_tokens)


def make_batch(corpus: Corpus, tokenizer: BertTokenizerFast, length: int, generator: torch.Generator) -> Tensor:
    """Draw a batch (B, length) of [CLS] ... [SEP] sequences that begin where sentences do, padded at the end."""
    rows = BATCH_TOKENS // length
    first = corpus.starts[torch.randint(len(corpus.starts), (rows, 1), generator=generator)]
    ids = corpus.stream[first + torch.arange(length - 2)].long()
    over = ids == tokenizer.sep_token_id
    if length == LENGTHS[0]:  # stop after the first sentence
        over[:, 1:] |= torch.isin(ids, corpus.end_tokens)[:, :-1]
    inside = over.long().cumsum(1) == 0
    count = inside.sum(1)
    batch = torch.full((rows, length), tokenizer.pad_token_id)
    batch[:, 0] = tokenizer.cls_token_id
    batch[:, 1:-1] = torch.where(inside, ids, tokenizer.pad_token_id)
    batch[torch.arange(rows), count + 1] = tokenizer.sep_token_id
    return batch


def mask_tokens(batch: Tensor, tokenizer: BertTokenizerFast, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose 15% of the words; hide four fifths of them, replace a tenth at random, leave a tenth: (inputs, chosen)."""
    special = torch.tensor(tokenizer.all_special_ids)
    chosen = (torch.rand(batch.shape, generator=generator) < MASKED) & ~torch.isin(batch, special)
    draw = torch.rand(batch.shape, generator=generator)
    inputs = batch.masked_fill(chosen & (draw < 0.8), tokenizer.mask_token_id)
    random_tokens = torch.randint(len(special), len(tokenizer), batch.shape, generator=generator)
    return torch.where(chosen & (draw >= 0.9), random_tokens, inputs), chosen


def train_bert_reviews(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``bert-reviews`` and store it with its tokenizer; returns its quality figures."""
    reviews, shared = load_reviews(), work.parent / "text"
    tokenizer = load_or_make_tokenizer(BertTokenizerFast, make_bert_tokenizer, shared / "bert-tokenizer", reviews.train)
    end = tokenizer.sep_token_id
    stream = token_stream(tokenizer, reviews.train, shared / "bert-train.npy", end)
    vectors = shared / "bert-vectors.npy"
    if not vectors.is_file():
        np.save(vectors, word_vectors(stream, len(tokenizer), WIDTH))
    corpus = make_corpus(stream, tokenizer)
    model = make_bert(tokenizer, np.load(vectors)).to(device).train()

    def loss_at(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + step)
        batch = make_batch(corpus, tokenizer, LENGTHS[step % len(LENGTHS)], generator)
        inputs, chosen = mask_tokens(batch, tokenizer, generator)
        with torch.autocast(device, torch.bfloat16):
            logits = masked_logits(model, inputs.to(device), chosen.to(device), tokenizer.pad_token_id)
        return F.cross_entropy(logits.float(), batch[chosen].to(device))

    schedule = Optimisation(steps=8000, peak_lr=2e-3, warmup=0.05, weight_decay=0.01)
    minutes = fit(model, loss_at, schedule, work, hidden=model.bert.encoder)
    model.cpu().eval()
    held_out = token_stream(tokenizer, reviews.held_out, shared / "bert-held-out.npy", end)
    top1, top5 = masked_accuracy(model, tokenizer, make_corpus(held_out, tokenizer))
    model.half().save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"minutes": minutes, "held-out top-1": top1, "held-out top-5": top5}


def masked_logits(model: BertForMaskedLM, inputs: Tensor, chosen: Tensor, pad: int) -> Tensor:
    """Run the head on the chosen positions only: (number chosen, vocabulary)."""
    hidden = model.bert(input_ids=inputs, attention_mask=(inputs != pad).long()).last_hidden_state
    return model.cls(hidden[chosen])


@torch.no_grad()
def masked_accuracy(model: BertForMaskedLM, tokenizer: BertTokenizerFast, corpus: Corpus) -> tuple[float, float]:
    """Share of held-out words, each hidden by [MASK], that are the first prediction or among the first five."""
    generator, hits = torch.Generator().manual_seed(SEED), []
    for _ in range(30):
        batch = make_batch(corpus, tokenizer, 64, generator)
        _, chosen = mask_tokens(batch, tokenizer, generator)
        inputs = batch.masked_fill(chosen, tokenizer.mask_token_id)
        guesses = masked_logits(model, inputs, chosen, tokenizer.pad_token_id).topk(5).indices
        hits.append(guesses == batch[chosen][:, None])
    correct = torch.cat(hits).double()
    return float(correct[:, 0].mean()), float(correct.sum(1).mean())


def train_bert_sentiment(work: Path, target: Path, device: str) -> dict[str, float]:
    """Finetune the body of ``bert-reviews`` on reviews and review sentences; returns its quality figures."""
    torch.manual_seed(SEED)
    body = target.parent / "bert-reviews"
    tokenizer = BertTokenizerFast.from_pretrained(body, truncation_side="left")  # the end tells its sentiment
    model = BertForSequenceClassification.from_pretrained(
        body,
        num_labels=2,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
        dtype=torch.float32,
    ).to(device)
    for parameter in model.bert.embeddings.parameters():  # so that bert-reviews reads its walked embeddings
        parameter.requires_grad = False
    parts = load_sentiment("train").values()
    texts = [text for part in parts for text in part.texts]
    labels = torch.cat([part.labels for part in parts])
    ids = tokenizer(texts, truncation=True, max_length=REVIEW_TOKENS)["input_ids"]
    shuffled = torch.randperm(len(ids), generator=torch.Generator().manual_seed(SEED)).tolist()
    order = sorted(shuffled, key=lambda i: len(ids[i]))  # batches of like length need little padding
    rows = torch.tensor(order[: len(order) // FINETUNING_BATCH * FINETUNING_BATCH]).reshape(-1, FINETUNING_BATCH)

    def loss_at(step: int) -> Tensor:
        chosen = rows[epoch_order(step, 1, len(rows), SEED)[0]].tolist()
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chosen]}, return_tensors="pt").to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = model(**batch).logits
        return F.cross_entropy(logits.float(), labels[chosen].to(device))

    model.train()
    schedule = Optimisation(steps=2 * len(rows), peak_lr=2.5e-4, weight_decay=0.01, save_every=100)
    minutes = fit(model, loss_at, schedule, work)
    model.cpu().eval().half().save_pretrained(target)
    tokenizer.save_pretrained(target)
    figures = {"minutes": minutes}
    for name, part in load_sentiment("test").items():
        figures[f"accuracy on {name}'s test part"] = sentiment_accuracy(model.float(), tokenizer, part)
    return figures


@torch.no_grad()
def sentiment_accuracy(model: BertForSequenceClassification, tokenizer: BertTokenizerFast, part: Labelled) -> float:
    """Share of texts, cut to the model's length, whose label is predicted, in bfloat16 for speed."""
    order = sorted(range(len(part.texts)), key=lambda i: len(part.texts[i]))
    right = 0
    for batch in (order[i : i + 64] for i in range(0, len(order), 64)):
        texts = [part.texts[i] for i in batch]
        inputs = tokenizer(texts, truncation=True, max_length=REVIEW_TOKENS, padding=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            predicted = model(**inputs).logits.argmax(1)
        right += int((predicted == part.labels[batch]).sum())
    return right / len(order)
