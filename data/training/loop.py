"""A training loop that can be killed at any moment and goes on where it stopped."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tqdm import tqdm


@dataclass(frozen=True)
class Optimisation:
    """How to optimise: AdamW (and Muon, see ``fit``), linear warm-up, cosine decay to a hundredth.

    Attributes:
        steps: optimiser steps in all.
        peak_lr: learning rate after the warm-up.
        warmup: fraction of the steps spent warming up.
        weight_decay: decoupled, on matrices only.
        clip: largest gradient norm.
        save_every: steps between checkpoints.
    """

    steps: int
    peak_lr: float
    warmup: float = 0.1
    weight_decay: float = 0.05
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    save_every: int = 250

    def lr(self, step: int) -> float:
        """Learning rate at a step."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.peak_lr * (step + 1) / rising
        progress = (step - rising) / max(1, self.steps - rising)
        return self.peak_lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def fit(
    model: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    optimisation: Optimisation,
    folder: Path,
    hidden: torch.nn.Module | None = None,
) -> float:
    """Train a model in place, or go on with a training that was stopped.

    Args:
        model: trained in place.
        loss_at: the loss of step t; it must depend on t and the weights alone, which is what
            makes a resumed training equal to an undisturbed one.
        optimisation: the schedule.
        folder: checkpoint (safetensors) and log.csv go here.
        hidden: the part of the model (its stack of layers) whose matrices are trained by Muon, with updates as
            large as AdamW's; all else, and everything if None, is trained by AdamW.

    Returns:
        Minutes of training in all, those before a stop included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizers = _make_optimizers(model, optimisation, hidden)
    first, minutes = _resume(model, optimizers, optimisation, folder)
    started, recent = time.perf_counter(), []
    bar = tqdm(range(first, optimisation.steps), initial=first, total=optimisation.steps, desc=folder.name)
    for step in bar:
        recent.append(_take_step(model, optimizers, optimisation, loss_at, step))
        if (step + 1) % optimisation.save_every == 0 or step + 1 == optimisation.steps:
            spent = minutes + (time.perf_counter() - started) / 60
            mean_loss = float(torch.stack(recent).mean())
            if not math.isfinite(mean_loss):
                raise FloatingPointError(f"loss is {mean_loss} before step {step + 1}")
            bar.set_postfix(loss=f"{mean_loss:.3f}")
            _log(folder / "log.csv", step + 1, mean_loss, optimisation.lr(step), spent)
            _save(model, optimizers, optimisation, folder, step + 1, spent)
            recent.clear()
    return minutes + (time.perf_counter() - started) / 60


def _take_step(
    model: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    optimisation: Optimisation,
    loss_at: Callable[[int], torch.Tensor],
    step: int,
) -> torch.Tensor:
    """Update the weights once and return the loss before the update."""
    for optimizer in optimizers:
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = optimisation.lr(step)
    loss = loss_at(step)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), optimisation.clip)
    for optimizer in optimizers:
        optimizer.step()
    return loss.detach()


def _make_optimizers(
    model: torch.nn.Module, optimisation: Optimisation, hidden: torch.nn.Module | None
) -> list[torch.optim.Optimizer]:
    """Build AdamW, with weight decay on the trainable matrices only, and Muon for the hidden ones if there are any."""
    trained = [p for p in model.parameters() if p.requires_grad]
    by_muon = [] if hidden is None else [p for p in hidden.parameters() if p.requires_grad and p.ndim == 2]
    muon_parameters = set(by_muon)
    groups = [
        {
            "params": [p for p in trained if p.ndim > 1 and p not in muon_parameters],
            "weight_decay": optimisation.weight_decay,
        },
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr, decay = optimisation.peak_lr, optimisation.weight_decay
    adamw = torch.optim.AdamW(groups, lr=lr, betas=optimisation.betas)
    if not by_muon:
        return [adamw]
    return [adamw, torch.optim.Muon(by_muon, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")]


def _save(
    model: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    optimisation: Optimisation,
    folder: Path,
    step: int,
    minutes: float,
) -> None:
    """Write weights and optimiser states in one file, atomically."""
    tensors = {f"model.{name}": p for name, p in model.named_parameters() if p.requires_grad}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{index}.{name}": value for name, value in state.items()}
    tensors = {name: t.detach().contiguous().clone() for name, t in tensors.items()}
    settings = {"step": step, "minutes": minutes, "optimisation": asdict(optimisation)}
    partial = folder / "checkpoint.partial"
    save_file(tensors, partial, metadata={"settings": json.dumps(settings)})
    os.replace(partial, folder / "checkpoint.safetensors")


def _resume(
    model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], optimisation: Optimisation, folder: Path
) -> tuple[int, float]:
    """Load the last checkpoint if there is one: (next step, minutes spent)."""
    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return 0, 0.0
    with safe_open(path, "pt") as file:
        settings = json.loads(file.metadata()["settings"])
    if settings["optimisation"] != json.loads(json.dumps(asdict(optimisation))):
        raise ValueError(f"{path} belongs to another recipe ({settings['optimisation']}); delete it to start again")
    tensors = load_file(path)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name.startswith("model."):
                parameters[name.removeprefix("model.")].copy_(tensor)
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                index, key = name.split(".")[2:]
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return settings["step"], settings["minutes"]


def _log(path: Path, step: int, loss: float, lr: float, minutes: float) -> None:
    """Append a row to the training log."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "loss", "lr", "minutes"])
        writer.writerow([step, f"{loss:.5f}", f"{lr:.3e}", f"{minutes:.2f}"])


def epoch_order(step: int, batch: int, size: int, generator_seed: int) -> torch.Tensor:
    """Indices of the batch of a step, each epoch in an order of its own; depends on the arguments alone."""
    per_epoch = size // batch
    epoch, place = divmod(step, per_epoch)
    order = _permutation(size, generator_seed * 100_003 + epoch)
    return order[place * batch : (place + 1) * batch]


@lru_cache(maxsize=1)  # every step of an epoch needs the same permutation
def _permutation(size: int, seed: int) -> torch.Tensor:
    """Permute range(size) with a seed."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))
