"""The models that the benchmarks walk on, each as a smooth map and a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from helpers.adapters import BertAdapter, PartsMap, ViTAdapter
from helpers.datasets import load_digits

SENTENCE = (
    "The story takes far too long to begin and the jokes are old, but the two leads are so warm together that I left "
    "the cinema smiling anyway."
)
TOKENS = 32


@dataclass(frozen=True)
class Case:
    """A map, a start, and whether its weights were trained."""

    f: PartsMap
    x: Tensor
    trained: bool


def digits_case(name: str, index: int, device: str) -> Case:
    """Take a bundled ViT and a held-out digit."""
    adapter = ViTAdapter.load(name, device)
    x = adapter.encode(load_digits("test").images[index])
    return Case(adapter.output_map(x), x, trained=True)


def sentence_case(name: str, index: int, device: str) -> Case:
    """Take a bundled BERT and a sentence, cut or filled up to 32 tokens; only special tokens stay."""
    adapter = BertAdapter.load(name, device)
    ids = adapter.token_ids(SENTENCE)
    words = ids[1 + index : -1] + ids[1 : 1 + index]
    x = adapter.embed([ids[0], *(words * 2)[: TOKENS - 2], ids[-1]])
    f = adapter.output_map(x)
    return Case(f, f.start, trained=True)


def random_vit(index: int, device: str, **shape: int) -> Case:
    """Build a ViT of a shape with random weights, and a noise image."""
    torch.manual_seed(0)
    config = ViTConfig(**shape)
    channels, side = config.num_channels, config.image_size
    processor = ViTImageProcessorPil(
        size={"height": side, "width": side}, image_mean=[0.5] * channels, image_std=[0.5] * channels
    )
    config._attn_implementation = "eager"
    model = ViTForImageClassification(config).eval().requires_grad_(False).to(device)
    adapter = ViTAdapter("random", model, processor)
    image = torch.rand(channels, side, side, generator=torch.Generator().manual_seed(index))
    x = adapter.encode(image.numpy())
    return Case(adapter.output_map(x, target="all"), x, trained=False)


def random_bert(index: int, device: str, tokens: int = TOKENS, **shape: int) -> Case:
    """Build a BERT classifier of a shape with random weights, and a random sentence."""
    torch.manual_seed(0)
    config = BertConfig(**shape)
    config._attn_implementation = "eager"
    model = BertForSequenceClassification(config).eval().requires_grad_(False).to(device)
    ids = torch.randint(config.vocab_size, (1, tokens), generator=torch.Generator().manual_seed(index))
    with torch.no_grad():
        x = model.bert.embeddings(input_ids=ids.to(device))[0]

    def classify(point: Tensor) -> Tensor:
        hidden = point[None]
        for layer in model.bert.encoder.layer:
            hidden = layer(hidden)
        return model.classifier(model.bert.pooler(hidden))[0].log_softmax(-1)

    names = tuple(model.config.id2label.values())
    return Case(PartsMap(classify, x, tuple(range(tokens)), names), x, trained=False)


def random_gpt2(index: int, device: str, tokens: int = TOKENS, own_output: int = 10, **shape: int) -> Case:
    """Build a GPT-2 of a shape with random weights, and a random sentence; some words have an output of their own."""
    torch.manual_seed(0)
    config = GPT2Config(**shape)
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config).eval().requires_grad_(False).to(device)
    ids = torch.randint(config.vocab_size, (tokens,), generator=torch.Generator().manual_seed(index))
    x = model.transformer.wte(ids.to(device))

    def predict(point: Tensor) -> Tensor:
        hidden = model.transformer(inputs_embeds=point[None], use_cache=False).last_hidden_state
        return model.lm_head(hidden[0, -1]).log_softmax(-1)

    target = tuple(range(own_output))
    names = (*map(str, target), "the rest")
    return Case(PartsMap(predict, x, tuple(range(tokens)), names, target), x, trained=False)


CIFAR10 = dict(
    image_size=32,
    patch_size=2,
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=8,
    intermediate_size=4 * 384,
    num_labels=10,
)
CASES: dict[str, Callable[[int, str], Case]] = {
    "vit-digits": lambda i, d: digits_case("vit-digits", i, d),
    "vit-mnist (the paper's MNIST shape)": lambda i, d: digits_case("vit-mnist", i, d),
    "bert-sentiment, 32 tokens": lambda i, d: sentence_case("bert-sentiment", i, d),
    "the paper's CIFAR10 shape": lambda i, d: random_vit(i, d, **CIFAR10),
    "BERT-base shape, 32 tokens": lambda i, d: random_bert(i, d),
    "ViT-base shape": lambda i, d: random_vit(i, d),
}
SHAPES = {  # which case has the shape of the paper's model, by the data of its published seconds
    "mnist": "vit-mnist (the paper's MNIST shape)",
    "cifar10": "the paper's CIFAR10 shape",
    "reviews": "BERT-base shape, 32 tokens",
    "winobias": "BERT-base shape, 32 tokens",
}


def small_vit(device: str, tokens: int = 49, width: int = 48, outputs: int = 10) -> Case:
    """Build a small random ViT, to see how costs grow; tokens must be a square."""
    side = 4 * round(tokens**0.5)
    shape = dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=4, num_attention_heads=4)
    return random_vit(0, device, image_size=side, patch_size=4, num_channels=1, num_labels=outputs, **shape)
