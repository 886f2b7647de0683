"""The bundled GPT-2s: two language models that share only a vocabulary, and a sentiment classifier."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
from helpers.geometry.arguments import check_whole
from helpers.resources import COUNTS, MEAN_POOLING, load_config, load_pretrained, load_tokenizer, resolve
from helpers.stitching import CONTEXT, MeanStateClassifier, last_tokens, load_classifier

BATCH = 16
HEADS = ("GPT2LMHeadModel", "GPT2Model", "GPT2ForSequenceClassification")  # of models that can be finetuned


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


@dataclass(frozen=True)
class Finetuning:
    """How a GPT-2 becomes a classifier: AdamW on its top layers and a new head on the mean of its last states.

    Attributes:
        layers: how many of the top layers are trained; the paper finetunes the top 3 of 12.
        epochs: times that each text is seen.
        batch: texts per step.
        peak_lr: largest learning rate.
        seed: of the order of the texts.
        device: cpu, cuda or mps.
    """

    layers: int = 2
    epochs: int = 3
    batch: int = 32
    peak_lr: float = 5e-4
    seed: int = 2011
    device: str = "cpu"


def finetune_classifier(
    name: str | Path,
    texts: Sequence[str],
    labels: Sequence[str],
    folder: str | Path,
    recipe: Finetuning | None = None,
    work: Path | None = None,
) -> Path:
    """Finetune a GPT-2 to tell texts of different labels, as ``gpt2-sentiment`` was made, and store it in a folder.

    ``helpers.stitching.load_classifier`` runs it, and ``helpers.weights.difference`` reads what has changed. The last
    128 tokens of a text count. Classes are numbered in alphabetical order. The weights, in safetensors, keep the
    precision of the model's own file. With a folder for work, a training that was stopped goes on.

    Raises:
        ModelNotFoundError: there is no such model.
        ValueError: another family; labels that are not one per text, or all alike; fewer texts than a batch of the
            recipe; more layers than the model has.
    """
    recipe = recipe or Finetuning()
    stored, numbers = _make_classifier(name, texts, labels, recipe)
    model, tokenizer = MeanStateClassifier(stored).to(recipe.device).train(), load_tokenizer(name)
    ids, mask = last_tokens(tokenizer, texts)

    def loss_at(step: int) -> torch.Tensor:
        chosen = epoch_order(step, recipe.batch, len(ids), recipe.seed)
        with torch.autocast(recipe.device, torch.bfloat16):
            logits = model(ids[chosen].to(recipe.device), mask[chosen].to(recipe.device))
        return F.cross_entropy(logits.float(), numbers[chosen].to(recipe.device))

    steps = recipe.epochs * (len(ids) // recipe.batch)
    with TemporaryDirectory() as temporary, torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # for a model with dropout
        schedule = Optimisation(steps, recipe.peak_lr, weight_decay=0.05)
        fit(model, loss_at, schedule, work or Path(temporary, "finetuning"))
    stored.cpu().eval().to(stored.config.dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if (counts := Path(resolve(name), COUNTS)).is_file():
        shutil.copy(counts, Path(folder, COUNTS))
    return Path(folder)


def _make_classifier(
    name: str | Path, texts: Sequence[str], labels: Sequence[str], recipe: Finetuning
) -> tuple[GPT2ForSequenceClassification, torch.Tensor]:
    """Return a classifier whose top layers and head are to be trained, and the number of each text's class."""
    classes = sorted(set(labels))
    if len(labels) != len(texts) or len(classes) < 2:
        raise ValueError(
            f"labels: are {len(labels):,} of {len(classes)} classes for {len(texts):,} texts; wanted one per text, and "
            "two classes or more"
        )
    check_whole("number of texts", len(texts), least=recipe.batch)
    config, _ = load_config(name, {"gpt2": HEADS})
    check_whole("recipe.layers", recipe.layers, 1, config.n_layer)
    options: dict[str, Any] = {"dtype": torch.float32, "ignore_mismatched_sizes": True}
    options["id2label"] = dict(enumerate(classes))
    options["label2id"] = {label: number for number, label in enumerate(classes)}
    stored = load_pretrained(GPT2ForSequenceClassification, name, **options)
    stored.config.state_pooling, stored.config.dtype = MEAN_POOLING, config.dtype or torch.float32
    torch.nn.init.zeros_(stored.score.weight)
    stored.transformer.requires_grad_(False)
    stored.transformer.h[-recipe.layers :].requires_grad_(True)
    return stored, torch.tensor([classes.index(label) for label in labels])


def train_gpt2_sentiment(work: Path, target: Path, device: str) -> dict[str, float]:
    """Finetune ``gpt2-reviews`` on IMDB's reviews; returns the accuracy of the classifier."""
    reviews, names = load_sentiment("train")["imdb"], ("negative", "positive")
    labels = [names[label] for label in reviews.labels.tolist()]
    finetune_classifier(target.parent / "gpt2-reviews", reviews.texts, labels, target, Finetuning(device=device), work)
    model, tokenizer = load_classifier(target), load_tokenizer(target)
    return {"accuracy on imdb's test part": classifier_accuracy(model, tokenizer, load_sentiment("test")["imdb"])}


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
