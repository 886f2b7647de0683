"""What every adapter offers, and the map over chosen parts of a point."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.geometry import Box, check_finite


@dataclass(frozen=True, repr=False)
class PartsMap:
    """A model's class log-probabilities as a function of some parts of a point; the other parts stay fixed.

    Attributes:
        whole: the map from a whole point (parts, d_model) to the log-probabilities of all classes.
        point: the whole point (parts, d_model) at which the map is taken.
        parts: indices of the parts that may move, ascending.
        names: one name per output.
        target: the classes with an output of their own; all other classes are summed into one more output, "the
            rest", which comes last. None if every class has its own output.
    """

    whole: Callable[[Tensor], Tensor]
    point: Tensor
    parts: tuple[int, ...]
    names: tuple[str, ...]
    target: tuple[int, ...] | None = None

    def __call__(self, chosen: Float[Tensor, "chosen_parts d_model"]) -> Float[Tensor, " k"]:
        """Map the vectors of the chosen parts to the outputs."""
        outputs = self.whole(self.complete(chosen))
        if self.target is None:
            return outputs
        index = torch.tensor(self.target, device=outputs.device)
        rest = outputs.index_fill(0, index, -torch.inf).logsumexp(0, keepdim=True)
        return torch.cat([outputs.index_select(0, index), rest])

    @property
    def start(self) -> Float[Tensor, "chosen_parts d_model"]:
        """The vectors of the chosen parts at the point itself, where a walk begins."""
        return self.point[list(self.parts)]

    def complete(self, chosen: Float[Tensor, "*batch chosen_parts d_model"]) -> Float[Tensor, "*batch parts d_model"]:
        """Insert vectors of the chosen parts into the whole point."""
        if tuple(chosen.shape[-2:]) != (len(self.parts), self.point.shape[-1]):
            raise ValueError(
                f"point: has shape {tuple(chosen.shape)}, but this map moves {len(self.parts)} of {len(self.point)} "
                f"parts and takes points of shape {(len(self.parts), self.point.shape[-1])}; start from f.start"
            )
        if len(self.parts) == len(self.point):
            return chosen
        whole = self.point.expand(*chosen.shape[:-2], *self.point.shape)
        index = torch.tensor(self.parts, device=chosen.device)
        return torch.index_copy(whole, whole.ndim - 2, index, chosen)

    def __repr__(self) -> str:
        return f"PartsMap({len(self.parts)} of {len(self.point)} parts, {self.point.shape[-1]} coordinates each)"


class Adapter(ABC):
    """A model seen as a smooth map from points (parts, d_model) to class log-probabilities (k,).

    An adapter has no history: what it returns depends on its arguments and the model's weights only.

    Attributes:
        name: the name by which it was loaded.
        class_names: one name per output.
        d_model: number of coordinates of a part.
        dtype: precision of a point.
        default_target: the number of classes that ``output_map`` distinguishes by default; all if None.
    """

    name: str
    class_names: list[str]
    d_model: int
    dtype: torch.dtype = torch.float32
    default_target: int | None = None

    @abstractmethod
    def encode(self, raw: Any) -> Float[Tensor, "parts d_model"]:
        """Turn a raw input into a point."""

    @abstractmethod
    def decode(self, point: Float[Tensor, "*batch parts d_model"]) -> Any:
        """Turn a point back into a raw input, as closely as possible."""

    @abstractmethod
    def log_probabilities(self, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " k"]:
        """Run the model on one whole point and return the log-probabilities of the classes."""

    @abstractmethod
    def part_names(self, point: Float[Tensor, "parts d_model"]) -> list[str]:
        """Name the parts of a point, one name per row."""

    @abstractmethod
    def bounds(self, point: Float[Tensor, "parts d_model"]) -> Box:
        """Return the feasible box of points with the same parts as this one; it broadcasts against the point."""

    def reencode(self, points: Float[Tensor, "n parts d_model"]) -> Float[Tensor, "n parts d_model"]:
        """Decode points to raw inputs and encode those again."""
        return torch.stack([self.encode(raw) for raw in self.decode(points)]).to(points.device)

    def output_map(
        self,
        point: Float[Tensor, "parts d_model"],
        parts: Sequence[int] | None = None,
        target: int | Sequence[int | str] | None = None,
    ) -> PartsMap:
        """Return the model as a function of the vectors of the chosen parts.

        Args:
            point: whole point.
            parts: indices of the parts that may move; ``movable_parts(point)`` if None.
            target: the classes to distinguish, by index or name, or the number of the most probable ones at the
                point. All other classes become one output, "the rest", which keeps a walk affordable when there are
                very many classes. ``default_target`` if None.

        Raises:
            ValueError: a point of the wrong shape or with NaN; parts or classes that are missing, out of range or
                repeated.
        """
        self.check_point(point)
        chosen = self.movable_parts(point) if parts is None else _check_indices("parts", parts, len(point))
        if not chosen:
            raise ValueError(f"point: none of its {len(point)} parts moves by default; name some in parts")
        classes = self._target_classes(point, self.default_target if target is None else target)
        names = self.class_names if classes is None else [*(self.class_names[i] for i in classes), "the rest"]
        return PartsMap(self.whole_map(point), point.detach(), tuple(sorted(chosen)), tuple(names), classes)

    def movable_parts(self, point: Float[Tensor, "parts d_model"]) -> list[int]:
        """List the parts of a point that may move by default: all of them."""
        return list(range(len(point)))

    def whole_map(self, point: Float[Tensor, "parts d_model"]) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points like this one to the log-probabilities of all classes."""
        return self.log_probabilities

    def _target_classes(self, point: Tensor, target: int | Sequence[int | str] | None) -> tuple[int, ...] | None:
        """Turn the target of ``output_map`` into class indices, None for all classes."""
        count = len(self.class_names)
        if target is None:
            return None
        if isinstance(target, bool):
            raise ValueError(f"target={target}: must be a number of classes, or their indices or names")
        if isinstance(target, int):
            if not 1 <= target < count:
                raise ValueError(f"target={target}: must be between 1 and {count - 1}, of {count} classes")
            return tuple(self.predict(point).topk(target).indices.tolist())
        classes = _check_indices("target", [self._class_index(name) for name in target], count)
        if len(classes) == count:
            raise ValueError(f"target={classes}: names all classes, so there is no rest; leave target out")
        return tuple(classes)

    def _class_index(self, name: int | str) -> int:
        """Return the index of a class given by name or index."""
        if not isinstance(name, str):
            return name
        if name not in self.class_names:
            raise ValueError(f"target={name!r}: is not among the model's {len(self.class_names):,} classes")
        return self.class_names.index(name)

    @torch.no_grad()
    def predict(self, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " k"]:
        """Return the class probabilities at a whole point."""
        self.check_point(point)
        return self.whole_map(point)(point).exp()

    def check_point(self, point: Tensor) -> None:
        """Raise a ValueError unless a point has one row per part, the model's width and precision, and is finite."""
        self._check_rows(point, len(self.part_names(point)))

    def _check_rows(self, point: Tensor, count: int) -> None:
        """Raise a ValueError unless a point has ``count`` rows, the model's width and precision, and is finite."""
        shape = (count, self.d_model)
        if tuple(point.shape) != shape or point.dtype != self.dtype:
            raise ValueError(
                f"point: has shape {tuple(point.shape)} of {point.dtype}, wanted {shape} of {self.dtype}, "
                "one row per part"
            )
        check_finite(point)


def _check_indices(name: str, values: Sequence[int], count: int) -> list[int]:
    """Return indices as a list after checking that there is at least one, and that they differ and are in range."""
    if any(isinstance(value, bool) for value in values):
        raise ValueError(f"{name}={list(values)}: must be indices, not a mask")
    indices = [operator.index(value) for value in values]
    if not indices or len(set(indices)) != len(indices) or not 0 <= min(indices) <= max(indices) < count:
        raise ValueError(f"{name}={indices}: must be different indices between 0 and {count - 1}, at least one")
    return indices
