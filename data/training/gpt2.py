"""The bundled GPT-2s: two language models that share only a vocabulary, and a sentiment classifier."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
    PreTrainedModel,
)

from data.training.loop import Optimisation, epoch_order, fit
from data.training.text import (
    Labelled,
    load_or_make_tokenizer,
    load_reviews,
    load_sentiment,
    make_gpt2_tokenizer,
    save_token_counts,
    token_stream,
)
from helpers.resources import COUNTS, MEAN_POOLING
from helpers.stitching import CONTEXT, MeanStateClassifier, last_tokens

BATCH = 16
FINETUNING_BATCH = 32
FINETUNED_LAYERS = 2  # of 4; the paper finetunes the top 3 of 12
SENTIMENT_SEED = 2011


@dataclass(frozen=True)
class Recipe:
    """The shape and the training of a GPT-2."""

    width: int
    heads: int
    layers: int
    steps: int
    seed: int


RECIPES = {
    "gpt2-reviews": Recipe(width=192, heads=6, layers=4, steps=8000, seed=2022),
    "gpt2-reviews-b": Recipe(width=128, heads=4, layers=4, steps=9000, seed=2209),
}


def make_gpt2(recipe: Recipe, tokenizer: GPT2TokenizerFast) -> GPT2LMHeadModel:
    """Build an untrained GPT-2 with ordinary initialisation and tied embeddings."""
    torch.manual_seed(recipe.seed)
    end = tokenizer.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=CONTEXT,
            n_embd=recipe.width,
            n_layer=recipe.layers,
            n_head=recipe.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def train_gpt2(name: str, work: Path, target: Path, device: str) -> dict[str, float]:
    """Train one of ``RECIPES`` on reviews and store it with its tokenizer; returns its quality figures."""
    recipe = RECIPES[name]
    return train_language_model(
        lambda tokenizer: make_gpt2(recipe, tokenizer), recipe.steps, recipe.seed, work, target, device
    )


def train_language_model(
    make: Callable[[GPT2TokenizerFast], PreTrainedModel], steps: int, seed: int, work: Path, target: Path, device: str
) -> dict[str, float]:
    """Train a causal language model, made for the shared tokenizer, on reviews; returns its quality figures."""
    reviews, shared = load_reviews(), work.parent / "text"
    tokenizer = load_or_make_tokenizer(GPT2TokenizerFast, make_gpt2_tokenizer, shared / "gpt2-tokenizer", reviews.train)
    end = tokenizer.eos_token_id
    tokens = token_stream(tokenizer, reviews.train, shared / "gpt2-train.npy", end)
    stream = torch.from_numpy(tokens.astype(np.int32))
    model = make(tokenizer).to(device).train()

    def loss_at(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        starts = torch.randint(len(stream) - CONTEXT - 1, (BATCH, 1), generator=generator)
        windows = stream[starts + torch.arange(CONTEXT + 1)].long().to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = model(input_ids=windows[:, :-1]).logits
        return F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())

    schedule = Optimisation(steps=steps, peak_lr=3e-3, warmup=0.03, weight_decay=0.1, betas=(0.9, 0.95))
    minutes = fit(model, loss_at, schedule, work)
    model.cpu().eval()
    held_out = token_stream(tokenizer, reviews.held_out, shared / "gpt2-held-out.npy", end).astype(np.int64)
    figures = {"minutes": minutes, "held-out perplexity": perplexity(model, torch.from_numpy(held_out))}
    model.half().save_pretrained(target)
    tokenizer.save_pretrained(target)
    save_token_counts(tokens, len(tokenizer), target)
    return figures


def train_gpt2_sentiment(work: Path, target: Path, device: str) -> dict[str, float]:
    """Finetune the top layers of ``gpt2-reviews`` and a classifier on IMDB's reviews; returns its quality figures."""
    torch.manual_seed(SENTIMENT_SEED)
    body = target.parent / "gpt2-reviews"
    tokenizer = GPT2TokenizerFast.from_pretrained(body)
    labels_by_id = {0: "negative", 1: "positive"}
    stored = GPT2ForSequenceClassification.from_pretrained(body, id2label=labels_by_id, dtype=torch.float32)
    stored.config.state_pooling = MEAN_POOLING
    model = MeanStateClassifier(stored).to(device).train()
    torch.nn.init.zeros_(model.score.weight)
    for parameter in model.body.parameters():
        parameter.requires_grad = False
    for parameter in model.body.h[-FINETUNED_LAYERS:].parameters():
        parameter.requires_grad = True
    reviews = load_sentiment("train")["imdb"]
    ids, mask = last_tokens(tokenizer, reviews.texts)

    def loss_at(step: int) -> torch.Tensor:
        chosen = epoch_order(step, FINETUNING_BATCH, len(ids), SENTIMENT_SEED)
        with torch.autocast(device, torch.bfloat16):
            logits = model(ids[chosen].to(device), mask[chosen].to(device))
        return F.cross_entropy(logits.float(), reviews.labels[chosen].to(device))

    steps = 3 * (len(ids) // FINETUNING_BATCH)
    minutes = fit(model, loss_at, Optimisation(steps=steps, peak_lr=5e-4, weight_decay=0.05), work)
    model.cpu().eval()
    accuracy = classifier_accuracy(model, tokenizer, load_sentiment("test")["imdb"])
    stored.cpu().half().save_pretrained(target)
    tokenizer.save_pretrained(target)
    shutil.copy(body / COUNTS, target / COUNTS)
    return {"minutes": minutes, "accuracy on imdb's test part": accuracy}


@torch.no_grad()
def classifier_accuracy(model: torch.nn.Module, tokenizer: GPT2TokenizerFast, part: Labelled) -> float:
    """Share of texts, cut to their last tokens, whose label is predicted, in bfloat16 for speed."""
    ids, mask = last_tokens(tokenizer, part.texts)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = torch.cat([model(i, m).argmax(1) for i, m in zip(ids.split(64), mask.split(64), strict=True)])
    return float((predicted == part.labels).double().mean())


@torch.no_grad()
def perplexity(model: PreTrainedModel, stream: torch.Tensor) -> float:
    """Perplexity over a stream of tokens cut into windows of the model's length."""
    windows = stream[: len(stream) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)
    total, count = 0.0, 0
    for batch in windows.split(32):
        logits = model(input_ids=batch).logits[:, :-1]
        total += float(F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum"))
        count += batch[:, 1:].numel()
    return math.exp(total / count)
