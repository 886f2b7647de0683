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
        whole: the map of a whole point (parts, d_model) to all classes' log-probabilities.
        point: the whole point around which it is taken.
        parts: indices of the parts that may move, ascending.
        names: of the outputs.
        target: the classes that have an output of their own, those of all others being added up to one more, "the
            rest", which comes last; None if all have one.
    """

    whole: Callable[[Tensor], Tensor]
    point: Tensor
    parts: tuple[int, ...]
    names: tuple[str, ...]
    target: tuple[int, ...] | None = None

    def __call__(self, chosen: Tensor) -> Tensor:
        """Map the chosen parts' vectors (len(parts), d_model) to outputs (k,)."""
        outputs = self.whole(self.complete(chosen))
        if self.target is None:
            return outputs
        index = torch.tensor(self.target, device=outputs.device)
        rest = outputs.index_fill(0, index, -torch.inf).logsumexp(0, keepdim=True)
        return torch.cat([outputs.index_select(0, index), rest])

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
        default_target: how many classes ``output_map`` tells apart unless told otherwise; all if None.
    """

    name: str
    class_names: list[str]
    part_names: list[str]
    d_model: int
    dtype: torch.dtype = torch.float32
    default_target: int | None = None

    @abstractmethod
    def encode(self, raw: Any) -> Tensor:
        """Turn a raw input into a point (parts, d_model)."""

    @abstractmethod
    def decode(self, point: Tensor) -> Any:
        """Turn a point (..., parts, d_model) back into raw input, as well as can be."""

    def reread(self, points: Tensor) -> Tensor:
        """Decode points (N, parts, d_model) to raw inputs and encode those again: points of the same shape."""
        return torch.stack([self.encode(raw) for raw in self.decode(points)]).to(points.device)

    @abstractmethod
    def log_probabilities(self, point: Tensor) -> Tensor:
        """Run the model on one whole point (parts, d_model): class log-probabilities (k,)."""

    @abstractmethod
    def bounds(self) -> Box:
        """Return the feasible box, which broadcasts against points."""

    def output_map(
        self, point: Tensor, parts: Sequence[int] | None = None, target: int | Sequence[int | str] | None = None
    ) -> PartsMap:
        """Take the model as a function of the chosen parts' vectors.

        Args:
            point: whole point (parts, d_model).
            parts: which parts may move; ``movable(point)`` if None.
            target: the classes to tell apart, by index or name, or how many of the most probable ones at the point;
                all others are one output more, "the rest", which makes a walk affordable where classes are very many.
                ``default_target`` if None.

        Raises:
            ValueError: a point of another shape or with NaN; no parts or classes, some out of range or named twice.
        """
        self.check_point(point)
        chosen = self.movable(point) if parts is None else _indices("parts", parts, len(point))
        if not chosen:
            raise ValueError(f"point: none of its {len(point)} parts moves unless named; name some in parts")
        classes = self._target(point, self.default_target if target is None else target)
        names = self.class_names if classes is None else [*(self.class_names[i] for i in classes), "the rest"]
        return PartsMap(self.whole_map(point), point.detach(), tuple(sorted(chosen)), tuple(names), classes)

    def movable(self, point: Tensor) -> list[int]:
        """Say which parts of a point move unless others are asked for: all of them."""
        return list(range(len(point)))

    def whole_map(self, point: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points around this one to the log-probabilities of all classes."""
        return self.log_probabilities

    def _target(self, point: Tensor, target: int | Sequence[int | str] | None) -> tuple[int, ...] | None:
        """Turn ``output_map``'s target into class indices, None for all classes."""
        count = len(self.class_names)
        if target is None:
            return None
        if isinstance(target, int) and not isinstance(target, bool):
            if not 1 <= target < count:
                raise ValueError(f"target={target}: must be between 1 and {count - 1}, of {count} classes")
            return tuple(self.predict(point).topk(target).indices.tolist())
        if isinstance(target, bool):
            raise ValueError(f"target={target}: must be a number of classes, or their indices or names")
        found = _indices("target", [self._class_index(name) for name in target], count)
        if len(found) == count:
            raise ValueError(f"target={found}: names all classes and leaves no rest; leave it out")
        return tuple(found)

    def _class_index(self, name: int | str) -> int:
        """Find a class by name; an index passes through."""
        if not isinstance(name, str):
            return name
        if name not in self.class_names:
            raise ValueError(f"target={name!r}: is none of the model's {len(self.class_names):,} classes")
        return self.class_names.index(name)

    @torch.no_grad()
    def predict(self, point: Tensor) -> Tensor:
        """Return the class probabilities (k,) at a whole point."""
        self.check_point(point)
        return self.whole_map(point)(point).exp()

    def check_point(self, point: Tensor) -> None:
        """Raise a ValueError unless a point has the model's shape and precision and is finite."""
        self.check_rows(point, len(self.part_names))

    def check_rows(self, point: Tensor, count: int) -> None:
        """Raise a ValueError unless a point has so many rows, the model's width and precision, and is finite."""
        wanted = (count, self.d_model)
        if tuple(point.shape) != wanted or point.dtype != self.dtype:
            raise ValueError(
                f"point: has shape {tuple(point.shape)} of {point.dtype}, wanted {wanted} of {self.dtype}: a row a part"
            )
        check_finite(point)


def _indices(name: str, values: Sequence[int], count: int) -> list[int]:
    """Check indices: at least one, different, in range; no mask."""
    if any(isinstance(value, bool) for value in values):
        raise ValueError(f"{name}={list(values)}: must be indices, not a mask")
    found = [operator.index(value) for value in values]
    if not found or len(set(found)) != len(found) or not 0 <= min(found) <= max(found) < count:
        raise ValueError(f"{name}={found}: must be different indices between 0 and {count - 1}, at least one")
    return found
