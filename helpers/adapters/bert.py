"""BERT with any of its heads: the paper's language models."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.adapters.loading import load_text_adapter
from helpers.adapters.text import EncoderAdapter


class BertAdapter(EncoderAdapter):
    """A BERT as a map from its embeddings to the outputs of its head; see ``EncoderAdapter``.

    The head is that of the checkpoint: a classification, the word at the one [MASK] of a text, or labels of tokens.

    Source: arXiv 2410.06019, section 4.
    """

    @classmethod
    def load(
        cls,
        name: str | Path = "bert-sentiment",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> BertAdapter:
        """Load a BERT by bundled name, local folder or hub id; errors as in ``load_adapter``."""
        return load_text_adapter(cls, name, device, dtype, ["bert"])
