"""Classifiers of the plane whose equivalence classes are known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from helpers.adapters.base import Adapter
from helpers.geometry import Box, check_finite


def paraboloid(point: Float[Tensor, "*plane"]) -> Float[Tensor, "1"]:
    """Return the height x^2 + y^2; its level curves are circles."""
    return point.square().sum().reshape(1)


def saddle(point: Float[Tensor, "*plane"]) -> Float[Tensor, "1"]:
    """Return the height x^2 - y^2; its level curves are hyperbolas."""
    x, y = point.flatten()
    return (x.square() - y.square()).reshape(1)


def waves(point: Float[Tensor, "*plane"]) -> Float[Tensor, "1"]:
    """Return the height sin x + cos y; its level curves are closed around its maxima and minima."""
    x, y = point.flatten()
    return (x.sin() + y.cos()).reshape(1)


def _two_classes(score: Tensor) -> Tensor:
    """Return the log-probabilities of a positive and of a negative score."""
    return torch.cat([logsigmoid(score), logsigmoid(-score)])


def _three_hills(point: Tensor) -> Tensor:
    angles = torch.tensor([0.0, 2.0, 4.0], dtype=point.dtype) * torch.pi / 3
    peaks = torch.stack([angles.cos(), angles.sin()], 1)
    return (-(point.flatten() - peaks).square().sum(1)).log_softmax(0)


TOYS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "circle": (lambda point: _two_classes(1 - paraboloid(point)), ["inside", "outside"]),
    "saddle": (lambda point: _two_classes(saddle(point)), ["east-west", "north-south"]),
    "three-hills": (_three_hills, ["hill 0", "hill 1", "hill 2"]),
}


class ToyAdapter(Adapter):
    """A classifier of the plane; its parts are the two coordinates, so a point has shape (2, 1).

    "circle": log-probabilities of being inside or outside the unit circle; the equivalence classes are circles.
    "saddle": of x^2 > y^2; hyperbolas. "three-hills": three classes, so the metric has rank 2 and no kernel.
    """

    def __init__(self, name: str):
        if name not in TOYS:
            raise ValueError(f"name={name!r}: must be one of {sorted(TOYS)}")
        self.name, self.d_model, self.dtype = name, 1, torch.float64
        self._log_probabilities, self.class_names = TOYS[name]

    @classmethod
    def load(cls, name: str = "circle", device: str = "cpu") -> ToyAdapter:
        """Return the toy of this name ("circle", "saddle" or "three-hills").

        Raises:
            ValueError: another name, or a device that is not the CPU.
        """
        if device != "cpu":
            raise ValueError(f"device={device!r}: a toy runs on the CPU only; leave device out")
        return cls(name)

    def encode(self, raw: Sequence[float], layer: int = 0) -> Float[Tensor, "2 1"]:
        """Turn a pair of numbers into a point, float64.

        Raises:
            ValueError: not exactly two finite numbers.
        """
        self._check_layer(layer)
        try:
            pair = torch.as_tensor(raw, dtype=torch.float64).flatten()
        except (TypeError, ValueError) as error:
            raise ValueError(f"raw={raw!r}: must be two finite numbers") from error
        if len(pair) != 2:
            raise ValueError(f"raw={raw!r}: must be two finite numbers, not {len(pair)}")
        check_finite(pair, "raw")
        return pair.unsqueeze(1)

    def decode(self, point: Float[Tensor, "*batch 2 1"]) -> np.ndarray:
        """Turn points into pairs of numbers (..., 2)."""
        return point.squeeze(-1).detach().numpy()

    def whole_map(self, point: Float[Tensor, "2 1"], layer: int = 0, raw: Any = None) -> Callable[[Tensor], Tensor]:
        """Return the map to the log-probabilities of the classes."""
        self._check_layer(layer)
        return self._log_probabilities

    def part_names(self, point: Float[Tensor, "2 1"]) -> list[str]:
        """Name the two coordinates."""
        return ["x", "y"]

    def bounds(self, point: Float[Tensor, "2 1"]) -> Box:
        """Return the square from -3 to 3."""
        return Box(torch.tensor(-3.0), torch.tensor(3.0))
