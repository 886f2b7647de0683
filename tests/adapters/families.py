"""Small models of every family with random weights, saved as on the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig

from helpers.adapters.families import FAMILIES, model_classes
from helpers.resources import MODELS

WEIGHT_SCALE = 3.0  # times the usual random weights, so that outputs depend on the input as in trained models
IMAGE_SIDE, PATCH = 24, 8
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "num_labels": 4,
}
ENCODER_TOKENS = {"vocab_size": 8192, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}
CAUSAL_TOKENS = {"vocab_size": 8192, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
VISION = {"image_size": IMAGE_SIDE, "patch_size": PATCH, "num_channels": 3}
DIFFERENCES: dict[str, dict[str, object]] = {
    "swin": {"embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 3, "patch_size": 2},
    "dinov2": {"mlp_ratio": 2},
    "dinov2_with_registers": {"mlp_ratio": 2},
    "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16, "num_hidden_layers": 3},
    "roberta": {"pad_token_id": 1, "max_position_embeddings": 130},
    "xlm-roberta": {"pad_token_id": 1, "max_position_embeddings": 130},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    "modernbert": {"global_attn_every_n_layers": 2},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "gemma2": {"query_pre_attn_scalar": 8},
    "gemma3_text": {"query_pre_attn_scalar": 8},
}


def make_model(model_class: str, folder: Path, **options: object) -> Path:
    """Save a small model with random weights and the tokenizer or processor that belongs to it."""
    torch.manual_seed(0)
    model_type = next(kind for kind in FAMILIES if model_class in model_classes(kind))
    cls = getattr(transformers, model_class)
    is_image = "Image" in model_class or model_type in ("clip", "siglip")
    is_causal = "next word" in FAMILIES[model_type].tasks
    tokens = {} if is_image else CAUSAL_TOKENS if is_causal else ENCODER_TOKENS
    shape = {"num_labels": SMALL["num_labels"]} if model_type == "swin" else SMALL  # Swin's sizes are lists
    settings = shape | tokens | (VISION if is_image else {}) | DIFFERENCES.get(model_type, {})
    if model_type in ("clip", "siglip"):
        text = SMALL | {"vocab_size": 8192, "bos_token_id": 0, "eos_token_id": 0, "max_position_embeddings": 64}
        settings = {"vision_config": SMALL | VISION, "text_config": text, "projection_dim": 32, "num_labels": 4}
    config = AutoConfig.for_model(model_type, **(settings | options))
    model = cls(config).eval()
    scale = 1.0 if model_class == "CLIPForImageClassification" else WEIGHT_SCALE  # its logits reach 40 as they are
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    model.save_pretrained(folder)
    if is_image:
        save_processor(folder)
    if not is_image or model_type in ("clip", "siglip"):
        save_tokenizer("gpt2-reviews" if is_causal or is_image else "bert-reviews", folder)
    return folder


def save_processor(folder: Path, side: int = IMAGE_SIDE) -> None:
    """Save an image processor that resizes bicubically, crops and normalises each channel in its own way."""
    processor = transformers.ViTImageProcessorPil(
        size={"height": side, "width": side},
        resample=3,
        image_mean=[0.4, 0.5, 0.6],
        image_std=[0.2, 0.25, 0.3],
    )
    processor.save_pretrained(folder)


def save_tokenizer(name: str, folder: Path) -> None:
    """Copy the tokenizer of a bundled model."""
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODELS / name / file, folder / file)


def every_model_class() -> list[str]:
    """List all model classes that adapters support."""
    return [name for kind in FAMILIES for name in model_classes(kind)]
