"""Vision Transformer classifiers: the paper's image models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch

from helpers.adapters.images import ImageAdapter


class ViTAdapter(ImageAdapter):
    """A ViT classifier as a map from its patch embeddings to class log-probabilities; see ``ImageAdapter``."""

    families = ("vit",)

    @classmethod
    def load(
        cls,
        name: str | Path = "vit-digits",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        prompts: Sequence[str] | None = None,
    ) -> Self:
        """Load a ViT classifier by bundled name, local folder or hub id; errors as in ``load_adapter``."""
        return super().load(name, device, dtype, prompts)
