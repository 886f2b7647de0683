"""Load the weights of a model by bundled name, folder or hub id."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Int
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer

from helpers.resources import COUNTS, load_config, load_model, load_pretrained, resolve
from helpers.weights import bert, gpt2
from helpers.weights.base import Weights

FAMILIES = {"gpt2": gpt2, "bert": bert}


def load_weights(name: str | Path, device: str | torch.device = "cpu", fold: bool = False) -> Weights:
    """Load the parameters of a model for reading.

    Args:
        name: bundled name, local folder or hub id of a GPT-2 or BERT with tied embeddings.
        device: "cpu", "cuda" or "mps".
        fold: True for a copy with the scales of the layer norms multiplied in; False for views of the parameters.

    Raises:
        ModelNotFoundError: there is no such model, or the hub cannot be reached.
        ValueError: another architecture, or one whose embeddings do not also turn hidden states into words.
    """
    config, head = load_config(name, {kind: family.MODEL_CLASSES for kind, family in FAMILIES.items()})
    if not config.tie_word_embeddings:
        raise ValueError(f"name={str(name)!r}: its embeddings are not tied, so they do not turn its states into words")
    family = FAMILIES[config.model_type]
    weights = Weights(
        name=str(name),
        tokenizer=load_pretrained(AutoTokenizer, name),
        counts=_read_token_counts(Path(resolve(name))),
        **family.name_parameters(load_model(family.MODEL_CLASSES[head], name, device)),
    )
    return weights.fold_layer_norms() if fold else weights


def _read_token_counts(folder: Path) -> Int[Tensor, " d_vocab"] | None:
    """Read how often each token occurs in the training text, if a file beside the model says so."""
    path = folder / COUNTS
    return load_file(path)["counts"] if path.is_file() else None
