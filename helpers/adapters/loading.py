"""Load any supported model by name, with the adapter that fits its configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from transformers import AutoImageProcessor

from helpers.adapters.families import (
    FAMILIES,
    IMAGE_CLASSES,
    IMAGE_PROMPTS,
    MASKED_WORD,
    NEXT_WORD,
    model_classes,
)
from helpers.adapters.images import ImageAdapter
from helpers.adapters.text import CausalAdapter, EncoderAdapter, TextAdapter
from helpers.resources import load_config, load_model, load_pretrained, load_tokenizer

AnyImageAdapter = TypeVar("AnyImageAdapter", bound=ImageAdapter)
AnyTextAdapter = TypeVar("AnyTextAdapter", bound=TextAdapter)

Device = str | torch.device


def load_adapter(
    name: str | Path,
    device: Device = "cpu",
    dtype: torch.dtype = torch.float32,
    prompts: Sequence[str] | None = None,
) -> ImageAdapter | TextAdapter:
    """Load any supported model by bundled name, local folder or hub id; its configuration says which it is.

    Args:
        name: bundled name, folder or hub id.
        device: "cpu", "cuda" or "mps".
        dtype: torch.float32, or torch.float64 where the device supports it.
        prompts: texts that describe the classes, for a model of images and texts such as CLIP.

    Raises:
        ModelNotFoundError: no such model exists or is complete, or the hub cannot be reached.
        ValueError: an architecture that is not supported, or a precision that is too low for walks.
    """
    _, task = _load_task(name, FAMILIES)
    if task in (IMAGE_CLASSES, IMAGE_PROMPTS):
        return load_image_adapter(ImageAdapter, name, device, dtype, FAMILIES, prompts)
    if prompts is not None:
        raise ValueError(f"prompts={prompts!r}: {str(name)!r} is no model of images and texts; leave them out")
    config = load_pretrained(transformers.AutoConfig, name)
    is_causal = NEXT_WORD in FAMILIES[config.model_type].tasks
    return load_text_adapter(CausalAdapter if is_causal else EncoderAdapter, name, device, dtype, FAMILIES)


def load_image_adapter(
    cls: type[AnyImageAdapter],
    name: str | Path,
    device: Device,
    dtype: torch.dtype,
    families: Collection[str],
    prompts: Sequence[str] | None = None,
) -> AnyImageAdapter:
    """Load an image model with its own processor; errors as in ``load_adapter``."""
    model_class, task = _load_task(name, families)
    if (task == IMAGE_PROMPTS) != (prompts is not None):
        wanted = "texts that describe the classes" if task == IMAGE_PROMPTS else "none, its classes are fixed"
        raise ValueError(f"prompts={prompts!r}: {str(name)!r} takes {wanted}")
    processor = load_pretrained(AutoImageProcessor, name)
    model = load_model(model_class, name, device, dtype)
    if prompts is None:
        return cls(str(name), model, processor)
    options: dict[str, Any] = {"padding": True}
    if model.config.model_type == "siglip":  # it was trained on texts that are padded to their full length
        options = {"padding": "max_length", "max_length": model.config.text_config.max_position_embeddings}
    texts = load_tokenizer(name)(list(prompts), return_tensors="pt", **options).to(device)
    return cls(str(name), model, processor, dict(texts), list(prompts))


def load_text_adapter(
    cls: type[AnyTextAdapter], name: str | Path, device: Device, dtype: torch.dtype, families: Collection[str]
) -> AnyTextAdapter:
    """Load a language model with its own tokenizer; errors as in ``load_adapter``."""
    model_class, _ = _load_task(name, families)
    tokenizer = load_tokenizer(name)
    model = load_model(model_class, name, device, dtype)
    model.config.use_cache = False  # a walk never continues a text, and a cache breaks batched passes
    return cls(str(name), model, tokenizer)


def _load_task(name: str | Path, families: Collection[str]) -> tuple[Any, str]:
    """Return the class of a model, from its configuration, and its task."""
    supported = {family: list(model_classes(family)) for family in families}
    if "bert" in supported:  # its masked-word head is used, the other one is left out
        supported["bert"].append("BertForPreTraining")
    config, head = load_config(name, supported)
    if head == "BertForPreTraining":
        return transformers.BertForMaskedLM, MASKED_WORD
    return getattr(transformers, head), model_classes(config.model_type)[head]
