"""Vision Transformer classifiers: the paper's image models."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.adapters.images import ImageAdapter
from helpers.adapters.loading import load_image_adapter


class ViTAdapter(ImageAdapter):
    """A ViT classifier as a map from its patch embeddings to class log-probabilities; see ``ImageAdapter``."""

    @classmethod
    def load(
        cls,
        name: str | Path = "vit-digits",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> ViTAdapter:
        """Load a ViT classifier by bundled name, local folder or hub id; errors as in ``load_adapter``."""
        return load_image_adapter(cls, name, device, dtype, ["vit"])
