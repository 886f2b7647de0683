"""The bundled Llama: the GPT-2s' text and tokenizer in another architecture."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import GPT2TokenizerFast, LlamaConfig, LlamaForCausalLM

from data.training.gpt2 import train_language_model
from helpers.stitching import CONTEXT

STEPS, SEED = 8000, 2302


def make_llama(tokenizer: GPT2TokenizerFast) -> LlamaForCausalLM:
    """Build an untrained Llama whose width and layers are those of ``gpt2-reviews``; its embeddings are not tied."""
    torch.manual_seed(SEED)
    end = tokenizer.eos_token_id
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=CONTEXT,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            tie_word_embeddings=False,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def train_llama(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train the Llama on reviews and store it with its tokenizer; returns its quality figures."""
    return train_language_model(make_llama, STEPS, SEED, work, target, device)
