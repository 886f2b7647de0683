"""A box of feasible points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """A feasible box: each coordinate lies between its two bounds, which broadcast against a point.

    Attributes:
        lower: smallest feasible values.
        upper: largest feasible values.
    """

    lower: Tensor
    upper: Tensor

    def __post_init__(self) -> None:
        """Refuse bounds that are NaN or cross."""
        if not bool((self.lower <= self.upper).all()):
            raise ValueError("bounds: every lower bound must be a number and at most the upper one")

    def clamp(self, point: Float[Tensor, "*point"]) -> Float[Tensor, "*point"]:
        """Move a point to the nearest feasible one."""
        return torch.minimum(torch.maximum(point, self.lower), self.upper).to(point.dtype)

    def broadcast_shape(self, point: Tensor) -> torch.Size | None:
        """Return the shape of a point and the bounds together, or None where they do not broadcast."""
        try:
            return torch.broadcast_shapes(point.shape, self.lower.shape, self.upper.shape)
        except RuntimeError:
            return None

    def contains(self, point: Float[Tensor, "*point"]) -> bool:
        """Return whether every coordinate lies within its bounds."""
        return bool(((point >= self.lower) & (point <= self.upper)).all())

    def blocks(self, point: Float[Tensor, "*point"], move: Float[Tensor, "*point"]) -> Bool[Tensor, "*point"]:
        """Mark the coordinates that lie on a bound and that the move would push beyond it."""
        return ((point <= self.lower) & (move < 0)) | ((point >= self.upper) & (move > 0))
