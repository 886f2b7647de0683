"""A box of feasible points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """A feasible box: each coordinate between its bounds, which broadcast against a point.

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

    def clamp(self, point: Tensor) -> Tensor:
        """Move a point to the nearest feasible one."""
        return torch.minimum(torch.maximum(point, self.lower), self.upper).to(point.dtype)

    def shape_with(self, point: Tensor) -> torch.Size | None:
        """Shape of a point and the bounds together, None where they do not fit."""
        try:
            return torch.broadcast_shapes(point.shape, self.lower.shape, self.upper.shape)
        except RuntimeError:
            return None

    def contains(self, point: Tensor) -> bool:
        """Say whether every coordinate lies within its bounds."""
        return bool(((point >= self.lower) & (point <= self.upper)).all())

    def blocked(self, point: Tensor, move: Tensor) -> Tensor:
        """Mark the coordinates at a wall that the move would push through it; boolean, the point's shape."""
        return ((point <= self.lower) & (move < 0)) | ((point >= self.upper) & (move > 0))
