"""Riemannian metrics on a map's outputs, and the checks that tensors pass before they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Turn a tensor to float64 on its device, or on the CPU where the device has none (MPS)."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


class OutputMetric(Protocol):
    """A Riemannian metric on the outputs, given by a factor L (m, k) with metric L^T L."""

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return L @ changes in float64: L taken at outputs (k,), changes of shape (k, ...)."""


@dataclass(frozen=True)
class Euclidean:
    """The identity metric on the outputs, the paper's choice."""

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return the changes themselves: L is the identity."""
        return widen(changes)


@dataclass(frozen=True)
class FisherRao:
    """The Fisher-Rao metric of a categorical distribution, for maps whose outputs are log-probabilities.

    The squared length of a small change is sum_i p_i (d log p_i)^2.
    """

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return the changes times sqrt(p): L is diag(sqrt(p)).

        Raises:
            ValueError: the outputs are not log-probabilities.
        """
        check_log_probabilities(outputs)
        weights = (widen(outputs) / 2).exp()
        return weights.reshape(-1, *[1] * (changes.ndim - 1)) * widen(changes)


def check_log_probabilities(outputs: Tensor) -> None:
    """Raise a ValueError unless exp(outputs) sums to one over the last axis."""
    total = widen(outputs).exp().sum(-1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-3):
        raise ValueError(
            f"outputs: must be log-probabilities, but their exponentials sum to {total.flatten()[0]:.4g}, not 1"
        )


def check_floating(tensor: Tensor, name: str = "point") -> None:
    """Raise a ValueError unless a tensor holds floating-point numbers."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name}: holds {tensor.dtype}, wanted floating-point numbers")


def check_finite(point: Tensor, name: str = "point") -> None:
    """Raise a ValueError that says where a tensor is not floating-point or not finite."""
    check_floating(point, name)
    bad = (~torch.isfinite(point)).nonzero()
    if len(bad):
        first = tuple(bad[0].tolist())
        raise ValueError(f"{name}: {len(bad)} of {point.numel()} values are NaN or infinite, the first at {first}")


def total_variation(outputs: Tensor, reference: Tensor) -> Tensor:
    """Return half the summed change of the probabilities between log-probabilities (..., k) and (k,): (...)."""
    return (outputs.exp() - reference.exp()).abs().sum(-1) / 2


def drift(outputs: Tensor, reference: Tensor) -> Tensor:
    """Return the largest change of any output between outputs (..., k) and (k,), in the outputs' unit: (...)."""
    return (outputs - reference).abs().amax(-1)
