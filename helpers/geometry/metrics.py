"""Riemannian metrics on the outputs of a map, measures of how far outputs moved, and checks of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


def to_float64(tensor: Tensor) -> Tensor:
    """Convert a tensor to float64 on its device, or on the CPU where the device has none (MPS)."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


class OutputMetric(Protocol):
    """A Riemannian metric on the outputs, given by a factor L (m, k) of the metric L^T L."""

    def weigh(self, outputs: Float[Tensor, " k"], changes: Float[Tensor, "k *shape"]) -> Float[Tensor, "m *shape"]:
        """Return L @ changes in float64, with L taken at the outputs."""


@dataclass(frozen=True)
class Euclidean:
    """The identity metric on the outputs, which the paper chooses."""

    def weigh(self, outputs: Float[Tensor, " k"], changes: Float[Tensor, "k *shape"]) -> Float[Tensor, "k *shape"]:
        """Return the changes themselves, because L is the identity."""
        return to_float64(changes)


@dataclass(frozen=True)
class FisherRao:
    """The Fisher-Rao metric of a categorical distribution, for maps whose outputs are log-probabilities.

    The squared length of a small change is sum_i p_i (d log p_i)^2.
    """

    def weigh(self, outputs: Float[Tensor, " k"], changes: Float[Tensor, "k *shape"]) -> Float[Tensor, "k *shape"]:
        """Return the changes times sqrt(p), because L is diag(sqrt(p)).

        Raises:
            ValueError: the outputs are not log-probabilities.
        """
        check_log_probabilities(outputs)
        weights = (to_float64(outputs) / 2).exp()
        return weights.reshape(-1, *[1] * (changes.ndim - 1)) * to_float64(changes)


def total_variation(outputs: Float[Tensor, "*batch k"], reference: Float[Tensor, " k"]) -> Float[Tensor, "*batch"]:
    """Return half the summed change of the probabilities, from log-probabilities; between 0 and 1."""
    return (outputs.exp() - reference.exp()).abs().sum(-1) / 2


def drift(outputs: Float[Tensor, "*batch k"], reference: Float[Tensor, " k"]) -> Float[Tensor, "*batch"]:
    """Return the largest change of any output, in the unit of the outputs (nats for log-probabilities)."""
    return (outputs - reference).abs().amax(-1)


def check_log_probabilities(outputs: Float[Tensor, "*batch k"]) -> None:
    """Raise a ValueError unless exp(outputs) sums to one over the last axis."""
    if not are_log_probabilities(outputs):
        total = float(to_float64(outputs).exp().sum(-1).flatten()[0])
        raise ValueError(
            f"outputs: must be log-probabilities of one distribution, but their exponentials sum to {total:.4g}, not 1"
        )


def are_log_probabilities(outputs: Float[Tensor, "*batch k"]) -> bool:
    """Return whether exp(outputs) sums to one over the last axis."""
    total = to_float64(outputs).exp().sum(-1)
    return torch.allclose(total, torch.ones_like(total), atol=1e-3)


def check_floating(tensor: Tensor, name: str = "point") -> None:
    """Raise a ValueError unless a tensor holds float32 or float64 numbers, at least one."""
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise ValueError(f"{name}: is a {kind}, must be a tensor; use torch.as_tensor, or encode of an adapter")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name}: holds {tensor.dtype}, must hold torch.float32 or torch.float64 numbers")
    if not tensor.numel() or not tensor.ndim:
        kind = "is a single number" if not tensor.ndim else "is empty"
        raise ValueError(f"{name}: {kind}, its shape is {tuple(tensor.shape)}; it needs one coordinate at least")


def check_finite(point: Tensor, name: str = "point") -> None:
    """Raise a ValueError that names the first entry of a tensor that is not a finite floating-point number."""
    check_floating(point, name)
    bad = (~torch.isfinite(point)).nonzero()
    if len(bad):
        first = tuple(bad[0].tolist())
        raise ValueError(f"{name}: {len(bad)} of {point.numel()} values are NaN or infinite, the first at {first}")
