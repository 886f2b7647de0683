"""The bundled Vision Transformers: one for MNIST and scikit-learn's digits, one of the paper's shape for MNIST."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import ViTConfig, ViTForImageClassification

from helpers.datasets import LabelledImages, load_digits, load_mnist
from helpers.training.loop import Optimisation, epoch_order, fit

SEED = 20241006
BATCH = 128
DIGITS_COPIES = 3  # the 1,433 digits are seen three times for each time MNIST is


def make_vit(patch: int = 4, width: int = 48, layers: int = 4, heads: int = 4) -> ViTForImageClassification:
    """Build an untrained ViT for 28 x 28 grey digits.

    The spread of the initial weights matters at this size: with 0.02 training sits on a plateau for epochs.
    """
    torch.manual_seed(SEED)
    return ViTForImageClassification(
        ViTConfig(
            image_size=28,
            patch_size=patch,
            num_channels=1,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            initializer_range=0.08,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=10,
            id2label={i: str(i) for i in range(10)},
            label2id={str(i): i for i in range(10)},
        )
    )


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn, shift, scale and shear a batch a little, and add noise: (B, 1, 28, 28) in and out, in [0, 1]."""
    count = len(images)

    def spread(limit: float) -> torch.Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * limit

    angle, shear, scale = spread(0.2), spread(0.15), 1 + spread(0.1)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 0, 1] = angle.cos() * scale, (shear - angle.sin()) * scale
    affine[:, 1, 0], affine[:, 1, 1] = angle.sin() * scale, angle.cos() * scale
    affine[:, 0, 2], affine[:, 1, 2] = spread(4 / 28), spread(4 / 28)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    return (moved + 0.05 * torch.randn(moved.shape, generator=generator)).clamp(0, 1)


def train_vit_digits(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``vit-digits`` and store it; see ``_train``."""
    mnist, digits = load_mnist("train"), load_digits("train")
    figures = _train(make_vit(), [mnist, *[digits] * DIGITS_COPIES], 12, False, (work, target), device)
    model = ViTForImageClassification.from_pretrained(target)
    return {**figures, "accuracy on the held-out digits": accuracy(model, load_digits("test"))}


def train_vit_mnist(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``vit-mnist``, the paper's shape for MNIST (patches of 2 x 2), and store it; see ``_train``."""
    return _train(make_vit(patch=2), [load_mnist("train")], 2, True, (work, target), device)


def _train(
    model: ViTForImageClassification,
    data: list[LabelledImages],
    epochs: int,
    by_muon: bool,
    folders: tuple[Path, Path],
    device: str,
) -> dict[str, float]:
    """Train a ViT on handwritten digits and store it.

    Args:
        model: untrained; trained in place.
        data: to train on, together.
        epochs: passes over it.
        by_muon: whether Muon trains the layers' matrices.
        folders: for checkpoints and log; for the finished model in ``save_pretrained`` form.
        device: cpu, cuda or mps.

    Returns:
        Quality figures for the model's card.
    """
    work, target = folders
    images = torch.cat([torch.from_numpy(part.images) for part in data]).unsqueeze(1)
    labels = torch.cat([torch.from_numpy(part.labels) for part in data])
    model.to(device).train()
    optimisation = Optimisation(steps=epochs * (len(labels) // BATCH), peak_lr=2e-3)

    def loss_at(step: int) -> torch.Tensor:
        chosen = epoch_order(step, BATCH, len(labels), SEED)
        batch = augment(images[chosen], torch.Generator().manual_seed(SEED + step)).to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = model(pixel_values=(batch - 0.5) / 0.5).logits
        return F.cross_entropy(logits.float(), labels[chosen].to(device))

    minutes = fit(model, loss_at, optimisation, work, hidden=model.vit.layers if by_muon else None)
    model.cpu().eval().save_pretrained(target)
    _save_image_processor(target)
    return {"minutes": minutes, "accuracy on MNIST's test part": accuracy(model, load_mnist("test"))}


def _save_image_processor(target: Path) -> None:
    """Store the image processor that says how pixels become the model's input."""
    from transformers import ViTImageProcessorPil

    ViTImageProcessorPil(
        size={"height": 28, "width": 28}, image_mean=[0.5], image_std=[0.5], do_convert_rgb=False
    ).save_pretrained(target)


@torch.no_grad()
def accuracy(model: ViTForImageClassification, data: LabelledImages) -> float:
    """Share of images whose most likely class is their label."""
    images = torch.from_numpy(data.images).unsqueeze(1)
    predicted = torch.cat([model(pixel_values=(b - 0.5) / 0.5).logits.argmax(-1) for b in images.split(500)])
    return float((predicted == torch.from_numpy(data.labels)).double().mean())
