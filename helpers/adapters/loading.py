"""Load any supported model by name, with the adapter that fits its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from helpers.adapters.causal import CausalAdapter
from helpers.adapters.encoders import EncoderAdapter
from helpers.adapters.families import FAMILIES, IMAGE_CLASSES, IMAGE_PROMPTS, NEXT_WORD
from helpers.adapters.images import ImageAdapter
from helpers.adapters.model import check_prompts, load_task


def load_adapter(
    name: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    prompts: Sequence[str] | None = None,
) -> ImageAdapter | EncoderAdapter | CausalAdapter:
    """Load any supported model by bundled name, local folder or hub id; its configuration says which it is.

    Args:
        name: bundled name, folder or hub id.
        device: "cpu", "cuda" or "mps".
        dtype: torch.float32, or torch.float64 where the device supports it.
        prompts: texts that describe the classes, for a model of images and texts such as CLIP.

    Raises:
        ModelNotFoundError: no such model exists or is complete, or the hub cannot be reached.
        ValueError: an architecture that is not supported, quantized weights, prompts that the model does not take or
            that are missing, a device that this machine does not have, or a precision that is too low for walks.
    """
    model_type, _, task = load_task(name, FAMILIES)
    check_prompts(name, model_type, task, prompts)
    if task in (IMAGE_CLASSES, IMAGE_PROMPTS):
        return ImageAdapter.load(name, device, dtype, prompts)
    if NEXT_WORD in FAMILIES[model_type].tasks:
        return CausalAdapter.load(name, device, dtype)
    return EncoderAdapter.load(name, device, dtype)
