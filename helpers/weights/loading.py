"""Load the weights of a model by bundled name, folder or hub id."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
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
        fold: multiply in the scales of the layer norms; the default is to return views of the parameters.

    Raises:
        ModelNotFoundError: there is no such model, or the hub cannot be reached.
        ValueError: another architecture, or one whose embeddings do not also turn hidden states into words.
    """
    config, head = load_config(name, {kind: family.MODEL_CLASSES for kind, family in FAMILIES.items()})
    if not config.tie_word_embeddings:
        raise ValueError(f"name={str(name)!r}: its embeddings are not tied, so they do not turn its states into words")
    family, counts = FAMILIES[config.model_type], Path(resolve(name)) / COUNTS
    weights = Weights(
        name=str(name),
        tokenizer=load_pretrained(AutoTokenizer, name),
        counts=load_file(counts)["counts"] if counts.is_file() else None,
        **family.name_parameters(load_model(family.MODEL_CLASSES[head], name, device)),
    )
    return weights.fold_layer_norms() if fold else weights
