"""Text for the bundled language models: split by document, cleaned, tokenised once."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizerFast, GPT2TokenizerFast

from helpers.datasets import read_table
from helpers.resources import COUNTS

VOCABULARY = 8192
WHOLE_WORDS = 7000  # WordPiece: so many of the most frequent words are tokens of their own
MIN_FREQUENCY = 30
HELD_OUT_EVERY = 100  # every hundredth review is held out of pretraining
END = "<|endoftext|>"


@dataclass(frozen=True)
class Reviews:
    """Reviews for pretraining and those held out of it, neither containing any review of a test part."""

    train: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Labelled:
    """Texts with sentiment labels: 0 negative, 1 positive."""

    texts: list[str]
    labels: torch.Tensor


def clean(text: str) -> str:
    """Turn a raw review into plain text: no markup, no typographic variants, single spaces."""
    text = html.unescape(re.sub(r"<br\s*/?>", " ", text))
    for fancy, plain in {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "…": "..."}.items():
        text = text.replace(fancy, plain)
    return re.sub(r"\s+", " ", text).strip()


def letters_and_digits(text: str) -> str:
    """Reduce a text to its lower-case letters and digits, the same for copies with other spacing or punctuation."""
    return re.sub(r"[^a-z0-9]", "", clean(text).lower())


def load_reviews() -> Reviews:
    """Load IMDB's training and unlabelled reviews, without copies of test reviews and of one another."""
    excluded = {letters_and_digits(text) for text in read_table("imdb", "test")["text"]}
    reviews = []
    for split in ("train", "unsupervised"):
        for text in read_table("imdb", split)["text"]:
            letters = letters_and_digits(text)
            if letters not in excluded:
                excluded.add(letters)
                reviews.append(clean(text))
    return Reviews([text for i, text in enumerate(reviews) if i % HELD_OUT_EVERY], reviews[::HELD_OUT_EVERY])


def load_sentiment(split: str) -> dict[str, Labelled]:
    """Load the labelled reviews and sentences of a split, without training texts that are in a test part too."""
    names = ("imdb", "rotten_tomatoes")
    tables = {name: read_table(name, split) for name in names}
    test_texts = [] if split == "test" else [text for name in names for text in read_table(name, "test")["text"]]
    excluded = {letters_and_digits(text) for text in test_texts}
    parts = {}
    for name, table in tables.items():
        rows = table[~table["text"].map(letters_and_digits).isin(excluded)]
        parts[name] = Labelled([clean(text) for text in rows["text"]], torch.tensor(rows["label"].tolist()))
    return parts


def make_gpt2_tokenizer(texts: Iterable[str]) -> GPT2TokenizerFast:
    """Train a byte-level BPE whose alphabet is limited to what the texts use."""
    tokenizer = Tokenizer(models.BPE(unk_token=END))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[END],
        limit_alphabet=100,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return GPT2TokenizerFast(tokenizer_object=tokenizer, unk_token=END, bos_token=END, eos_token=END, pad_token=END)


def make_bert_tokenizer(texts: Iterable[str]) -> BertTokenizerFast:
    """Make an uncased WordPiece tokenizer: the most frequent words whole, pieces learned from the rarer ones."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    ranked = [word for word, _ in counts.most_common() if word.isascii()]
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY - WHOLE_WORDS,
        min_frequency=MIN_FREQUENCY,
        special_tokens=special,
        show_progress=False,
    )
    pieces.train_from_iterator((w for w in ranked[WHOLE_WORDS:] for _ in range(counts[w])), trainer)
    learned = sorted(pieces.get_vocab(), key=pieces.get_vocab().get)
    vocabulary = list(dict.fromkeys(learned + ranked))[:VOCABULARY]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = (
        normalizer,
        splitter,
        decoders.WordPiece(),
    )
    tokenizer.add_special_tokens(special)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return BertTokenizerFast(tokenizer_object=tokenizer)


def load_or_make_tokenizer(cls: Any, make: Callable[[Iterable[str]], Any], folder: Path, texts: Iterable[str]) -> Any:
    """Load a tokenizer of a class from a folder, or make it from texts the first time."""
    if not (folder / "tokenizer.json").is_file():
        make(texts).save_pretrained(folder)
    return cls.from_pretrained(folder)


def token_stream(tokenizer: Any, texts: list[str], cache: Path, end: int | None = None) -> np.ndarray:
    """Tokenise texts into one long array (uint16), each text followed by ``end`` if given; cached on disk."""
    if not cache.is_file():
        cache.parent.mkdir(parents=True, exist_ok=True)
        pieces = []
        for first in range(0, len(texts), 2000):
            for ids in tokenizer(texts[first : first + 2000], add_special_tokens=False)["input_ids"]:
                pieces.append(np.array([*ids, end] if end is not None else ids, dtype=np.uint16))
        np.save(cache, np.concatenate(pieces))
    return np.load(cache)


def save_token_counts(stream: np.ndarray, size: int, folder: Path) -> None:
    """Store beside a model how often each of ``size`` tokens occurs in its training text."""
    counts = np.bincount(stream.astype(np.int64), minlength=size)
    save_file({"counts": torch.from_numpy(counts.astype(np.int32))}, folder / COUNTS)
