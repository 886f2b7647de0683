"""The bundled Vision Transformers: for MNIST and scikit-learn's digits, of the paper's shape for MNIST, for CIFAR10."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import ViTConfig, ViTForImageClassification

from data.training.loop import Optimisation, epoch_order, fit
from helpers.datasets import CIFAR10_CLASSES, LabelledImages, load_cifar10, load_digits, load_mnist

SEED = 20241006
BATCH = 128
DIGITS_COPIES = 3  # of the 1,433 digits in an epoch, beside one of MNIST


def make_vit(
    patch: int = 4, side: int = 28, channels: int = 1, names: Sequence[str] = "0123456789"
) -> ViTForImageClassification:
    """Build an untrained ViT of 4 layers, 4 heads and width 48: by default for 28 x 28 grey digits.

    The spread of the initial weights matters at this size: with 0.02 training sits on a plateau for epochs.
    """
    torch.manual_seed(SEED)
    return ViTForImageClassification(
        ViTConfig(
            image_size=side,
            patch_size=patch,
            num_channels=channels,
            hidden_size=48,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=192,
            initializer_range=0.08,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: i for i, name in enumerate(names)},
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


def augment_photos(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image of a batch by up to 4 pixels, its edge repeated, and mirror half of them: (B, C, H, W)."""
    count, _, height, width = images.shape
    padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
    down, right = torch.randint(9, (2, count, 1, 1), generator=generator)
    columns = torch.arange(width).expand(count, 1, width)
    mirrored = torch.rand(count, 1, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, width - 1 - columns, columns) + right
    rows = torch.arange(height)[None, :, None] + down
    return padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns].permute(0, 3, 1, 2)


def train_vit_digits(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``vit-digits`` and store it; see ``_train``."""
    mnist, digits, model = load_mnist("train"), load_digits("train"), make_vit()
    minutes = _train(model, [mnist, *[digits] * DIGITS_COPIES], 12, False, (work, target), device)
    return {
        "minutes": minutes,
        "accuracy on MNIST's test part": accuracy(model, load_mnist("test")),
        "accuracy on the held-out digits": accuracy(model, load_digits("test")),
    }


def train_vit_mnist(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``vit-mnist``, the paper's shape for MNIST (patches of 2 x 2), and store it; see ``_train``."""
    model = make_vit(patch=2)
    minutes = _train(model, [load_mnist("train")], 2, True, (work, target), device)
    return {"minutes": minutes, "accuracy on MNIST's test part": accuracy(model, load_mnist("test"))}


def train_vit_cifar10(work: Path, target: Path, device: str) -> dict[str, float]:
    """Train ``vit-cifar10``, coarser and narrower than the paper's, and store it; see ``_train``."""
    model = make_vit(side=32, channels=3, names=CIFAR10_CLASSES)
    minutes = _train(model, [load_cifar10("train")], 14, True, (work, target), device, augment_photos)
    return {"minutes": minutes, "accuracy on CIFAR10's test part": accuracy(model, load_cifar10("test"))}


def _train(
    model: ViTForImageClassification,
    data: list[LabelledImages],
    epochs: int,
    by_muon: bool,
    folders: tuple[Path, Path],
    device: str,
    vary: Callable[[torch.Tensor, torch.Generator], torch.Tensor] = augment,
) -> float:
    """Train a ViT on labelled images and store it.

    Args:
        model: untrained; trained in place.
        data: to train on, together.
        epochs: passes over it.
        by_muon: whether Muon trains the layers' matrices.
        folders: for checkpoints and log; for the finished model in ``save_pretrained`` form.
        device: cpu, cuda or mps.
        vary: augments a batch (B, C, H, W) with a generator.

    Returns:
        Minutes of training.
    """
    work, target = folders
    images = torch.cat([with_channels(part) for part in data])
    labels = torch.cat([torch.from_numpy(part.labels) for part in data])
    model.to(device).train()
    optimisation = Optimisation(steps=epochs * (len(labels) // BATCH), peak_lr=2e-3)

    def loss_at(step: int) -> torch.Tensor:
        chosen = epoch_order(step, BATCH, len(labels), SEED)
        batch = vary(images[chosen], torch.Generator().manual_seed(SEED + step)).to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = model(pixel_values=(batch - 0.5) / 0.5).logits
        return F.cross_entropy(logits.float(), labels[chosen].to(device))

    minutes = fit(model, loss_at, optimisation, work, hidden=model.vit.layers if by_muon else None)
    model.cpu().eval().save_pretrained(target)
    _save_image_processor(target, model.config)
    return minutes


def with_channels(data: LabelledImages) -> torch.Tensor:
    """Return images as the model takes them, (N, C, H, W)."""
    images = torch.from_numpy(data.images)
    return images if images.ndim == 4 else images[:, None]


def _save_image_processor(target: Path, config: ViTConfig) -> None:
    """Store the image processor that says how pixels become the model's input."""
    from transformers import ViTImageProcessorPil

    side, spread = config.image_size, [0.5] * config.num_channels
    ViTImageProcessorPil(
        size={"height": side, "width": side},
        image_mean=spread,
        image_std=spread,
        do_convert_rgb=config.num_channels == 3,
    ).save_pretrained(target)


@torch.no_grad()
def accuracy(model: ViTForImageClassification, data: LabelledImages) -> float:
    """Share of images whose most likely class is their label."""
    batches = with_channels(data).split(500)
    predicted = torch.cat([model(pixel_values=(b - 0.5) / 0.5).logits.argmax(-1) for b in batches])
    return float((predicted == torch.from_numpy(data.labels)).double().mean())
