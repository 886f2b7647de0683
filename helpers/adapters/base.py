"""What every adapter offers, and the map over chosen parts."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from helpers.geometry import Box, check_finite


@dataclass(frozen=True, repr=False)
class PartsMap:
    """A model's class log-probabilities as a function of some parts of a point, the others held fixed.

    Attributes:
        whole: the map of a whole point (parts, d_model) to (k,).
        point: the whole point around which it is taken.
        parts: indices of the parts that may move, ascending.
    """

    whole: Callable[[Tensor], Tensor]
    point: Tensor
    parts: tuple[int, ...]

    def __call__(self, chosen: Tensor) -> Tensor:
        """Map the chosen parts' vectors (len(parts), d_model) to outputs (k,)."""
        return self.whole(self.complete(chosen))

    @property
    def start(self) -> Tensor:
        """The chosen parts' vectors at the point itself, (len(parts), d_model): where a walk begins."""
        return self.point[list(self.parts)]

    def complete(self, chosen: Tensor) -> Tensor:
        """Put chosen parts' vectors (..., len(parts), d_model) back among the others: (..., parts, d_model)."""
        if len(self.parts) == len(self.point):
            return chosen
        whole = self.point.expand(*chosen.shape[:-2], *self.point.shape)
        index = torch.tensor(self.parts, device=chosen.device)
        return torch.index_copy(whole, whole.ndim - 2, index, chosen)

    def __repr__(self) -> str:
        return f"PartsMap({len(self.parts)} of {len(self.point)} parts, {self.point.shape[-1]} coordinates each)"


class Adapter(ABC):
    """A model seen as a smooth map from points (parts, d_model) to class log-probabilities (k,).

    Attributes:
        name: what it was loaded as.
        class_names: one name an output.
        part_names: one name a part.
        d_model: coordinates of a part.
        dtype: precision of a point.
    """

    name: str
    class_names: list[str]
    part_names: list[str]
    d_model: int
    dtype: torch.dtype = torch.float32

    @abstractmethod
    def encode(self, raw: Any) -> Tensor:
        """Turn a raw input into a point (parts, d_model)."""

    @abstractmethod
    def decode(self, point: Tensor) -> Any:
        """Turn a point (..., parts, d_model) back into raw input, as well as can be."""

    @abstractmethod
    def log_probabilities(self, point: Tensor) -> Tensor:
        """Run the model on one whole point (parts, d_model): class log-probabilities (k,)."""

    @abstractmethod
    def bounds(self) -> Box:
        """Return the feasible box, which broadcasts against points."""

    def output_map(self, point: Tensor, parts: Sequence[int] | None = None) -> PartsMap:
        """Take the model as a function of the chosen parts' vectors.

        Args:
            point: whole point (parts, d_model).
            parts: which parts may move; all if None.

        Raises:
            ValueError: a point of another shape or with NaN, no parts, parts out of range or named twice.
        """
        self.check_point(point)
        count = len(self.part_names)
        chosen = sorted(range(count) if parts is None else (operator.index(part) for part in parts))
        if any(isinstance(part, bool) for part in parts or ()):
            raise ValueError(f"parts={list(parts)}: must be indices, not a mask")
        if not chosen or len(set(chosen)) != len(chosen) or not 0 <= chosen[0] <= chosen[-1] < count:
            raise ValueError(f"parts={chosen}: must be different indices between 0 and {count - 1}, at least one")
        return PartsMap(self.log_probabilities, point.detach(), tuple(chosen))

    @torch.no_grad()
    def predict(self, point: Tensor) -> Tensor:
        """Return the class probabilities (k,) at a whole point."""
        self.check_point(point)
        return self.log_probabilities(point).exp()

    def check_point(self, point: Tensor) -> None:
        """Raise a ValueError unless a point has the model's shape and precision and is finite."""
        wanted = (len(self.part_names), self.d_model)
        if tuple(point.shape) != wanted or point.dtype != self.dtype:
            raise ValueError(
                f"point: has shape {tuple(point.shape)} of {point.dtype}, wanted {wanted} of {self.dtype}: a row a part"
            )
        check_finite(point)
