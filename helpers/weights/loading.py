"""Weights by bundled name, folder or hub id."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from helpers.resources import COUNTS, load_model, load_pretrained, resolve
from helpers.weights import bert, gpt2
from helpers.weights.base import Weights

ARCHITECTURES = {"gpt2": gpt2, "bert": bert}


def load_weights(name: str | Path, device: str | torch.device = "cpu", fold: bool = False) -> Weights:
    """Load a model's parameters for reading.

    Args:
        name: bundled name, local folder or hub id of a GPT-2 or BERT with tied embeddings.
        device: "cpu", "cuda" or "mps".
        fold: multiply the layer norms' scales in, for reading; a copy. Else views of the parameters as stored.

    Raises:
        ModelNotFoundError: there is no such model, or the hub cannot be reached.
        ValueError: another architecture, or one whose embeddings do not also turn states into words.
    """
    config = load_pretrained(AutoConfig, name)
    mapping = ARCHITECTURES.get(config.model_type)
    head = (config.architectures or ["none"])[0]
    if mapping is None or head not in mapping.HEADS:
        known = "; ".join(f"{kind!r}: {', '.join(found.HEADS)}" for kind, found in ARCHITECTURES.items())
        raise ValueError(f"name={str(name)!r}: is a {config.model_type!r} model with head {head!r}, wanted {known}")
    if not config.tie_word_embeddings:
        raise ValueError(f"name={str(name)!r}: its embeddings are not tied, so they do not turn its states into words")
    model = load_model(mapping.HEADS[head], name, device)
    weights = Weights(
        name=str(name),
        tokenizer=load_pretrained(AutoTokenizer, name),
        counts=_token_counts(Path(resolve(name))),
        **mapping.map_weights(model),
    )
    return weights.fold_layer_norms() if fold else weights


def _token_counts(folder: Path) -> Tensor | None:
    """Read how often each token occurs in the model's training text, where that was stored beside it."""
    path = folder / COUNTS
    return load_file(path)["counts"] if path.is_file() else None
