"""BERT with any of its heads: the paper's language models."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import torch

from helpers.adapters.encoders import EncoderAdapter


class BertAdapter(EncoderAdapter):
    """A BERT as a map from its embeddings to the outputs of the checkpoint's head; see ``EncoderAdapter``.

    Source: arXiv 2410.06019, section 4.
    """

    families = ("bert",)

    @classmethod
    def load(
        cls,
        name: str | Path = "bert-sentiment",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Load a BERT by bundled name, local folder or hub id; errors as in ``load_adapter``."""
        return super().load(name, device, dtype)
