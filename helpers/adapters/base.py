"""What every adapter offers, and the map over chosen parts of a point."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters.heads import CLASSES, Head
from helpers.geometry import Box, check_finite, check_floating

AFFORDABLE_OUTPUTS = 20  # a step costs a backward pass per output; beyond this, maps distinguish a few classes
DEFAULT_TARGET = 10  # the number of classes that they then distinguish, as many as the paper's masked words


@dataclass(frozen=True, repr=False)
class PartsMap:
    """A model's outputs as a function of some parts of a point; the other parts stay fixed.

    Attributes:
        whole: the map from a whole point (parts, d_model) to all outputs.
        point: the whole point (parts, d_model) at which the map is taken.
        parts: indices of the parts that may move, ascending.
        names: one name per output.
        target: the classes with an output of their own; all other classes are summed into one more output, "the
            rest", which comes last. Where labels do not exclude each other, the others are left out. None if every
            class has its own output.
        head: what the outputs are.
        layer: the layer whose state the point is.
    """

    whole: Callable[[Tensor], Tensor]
    point: Tensor
    parts: tuple[int, ...]
    names: tuple[str, ...]
    target: tuple[int, ...] | None = None
    head: Head = CLASSES
    layer: int = 0

    def __call__(self, chosen: Float[Tensor, "chosen_parts d_model"]) -> Float[Tensor, " k"]:
        """Map the vectors of the chosen parts to the outputs."""
        outputs = self.whole(self.complete(chosen))
        if self.target is None:
            return outputs
        index = torch.tensor(self.target, device=outputs.device)
        if not self.head.is_distribution:
            return outputs.index_select(0, index)
        rest = outputs.index_fill(0, index, -torch.inf).logsumexp(0, keepdim=True)
        return torch.cat([outputs.index_select(0, index), rest])

    @property
    def is_distribution(self) -> bool:
        """True if the outputs are the log-probabilities of one distribution."""
        return self.head.is_distribution

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

    @property
    def held(self) -> str:
        """What the outputs are, in words."""
        held = self.head.held
        if self.target is not None:
            others = "the rest as one" if self.head.is_distribution else "the others free"
            names = ", ".join(self.names[: min(3, len(self.target))]) + (", …" if len(self.target) > 3 else "")
            held = f"{held}: {len(self.target)} of them ({names}), {others}"
        return held

    def __repr__(self) -> str:
        where = f" at layer {self.layer}" if self.layer else ""
        moving = f"{len(self.parts)} of {len(self.point)} parts{where}, {self.point.shape[-1]} coordinates each"
        return f"PartsMap({moving}; holds {self.held})"


class Adapter(ABC):
    """A model seen as a smooth map from points (parts, d_model) to outputs (k,), such as class log-probabilities.

    An adapter has no history: what it returns depends on its arguments and the model's weights only. A point is the
    state at layer 0, where the embedded input enters, unless another layer is named.

    Attributes:
        name: the name by which it was loaded.
        class_names: one name per output, all different.
        d_model: number of coordinates of a part at layer 0.
        dtype: precision of a point.
        head: what the outputs are.
        n_layers: number of blocks. The state at layer k is the input of block k, that at the last layer the output of
            the last block.
    """

    name: str
    class_names: list[str]
    d_model: int
    dtype: torch.dtype = torch.float32
    head: Head = CLASSES
    n_layers: int = 0

    @property
    def default_target(self) -> int | None:
        """The number of classes that ``output_map`` distinguishes by default; None for all of them."""
        return DEFAULT_TARGET if len(self.class_names) > AFFORDABLE_OUTPUTS else None

    @abstractmethod
    def encode(self, raw: Any, layer: int = 0) -> Float[Tensor, "parts d_model"]:
        """Turn a raw input into a point: the state at a layer."""

    @abstractmethod
    def decode(self, point: Float[Tensor, "*batch parts d_model"]) -> Any:
        """Turn a point back into a raw input, as closely as possible."""

    @abstractmethod
    def whole_map(
        self, point: Float[Tensor, "parts d_model"], layer: int = 0, raw: Any = None
    ) -> Callable[[Tensor], Tensor]:
        """Return the map from whole points like this one to all outputs; arguments as in ``output_map``."""

    def __repr__(self) -> str:
        classes = ", ".join(self.class_names[:3]) + (", …" if len(self.class_names) > 3 else "")
        outputs = f"{self.head.held}: {len(self.class_names):,} ({classes})"
        return f"{type(self).__name__}({self.name}: {self.n_layers} layers, width {self.d_model}; {outputs})"

    def log_probabilities(self, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " k"]:
        """Run the model on one whole point of layer 0 and return all outputs."""
        return self.whole_map(point)(point)

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
        layer: int = 0,
        raw: Any = None,
    ) -> PartsMap:
        """Return the model as a function of the vectors of the chosen parts.

        Args:
            point: whole point.
            parts: indices of the parts that may move; if None, all that are not special tokens of layer 0.
            target: the classes to distinguish, by index or name, or the number of the most probable ones at the
                point; the others become one output, "the rest". "all" for every class. If None, every class where
                there are at most twenty of them, else ten.
            layer: the layer whose state the point is.
            raw: the input that was encoded. It is needed where the outputs depend on tokens that the point does not
                show: at later layers of masked-word models, of causal classifiers with padding and of pairs.

        Raises:
            ValueError: a point of the wrong shape or with NaN; parts or classes that are missing, out of range or
                repeated.
        """
        self.check_point(point, layer)
        whole = self.whole_map(point, layer, raw)
        chosen = self.movable_parts(point, layer) if parts is None else check_indices("parts", parts, len(point))
        if not chosen:
            raise ValueError(f"point: none of its {len(point)} parts moves by default; name some in parts")
        target = self.default_target if target is None else target
        classes = None if target in (None, "all") else self._target_classes(whole, point, target)
        names = self.class_names if classes is None else [self.class_names[i] for i in classes]
        if classes is not None and self.head.is_distribution:
            names = [*names, "the rest"]
        return PartsMap(whole, point.detach().clone(), tuple(sorted(chosen)), tuple(names), classes, self.head, layer)

    def movable_parts(self, point: Float[Tensor, "parts d_model"], layer: int = 0) -> list[int]:
        """List the parts of a point that may move by default: all of them."""
        return list(range(len(point)))

    @torch.no_grad()
    def _target_classes(
        self, whole: Callable[[Tensor], Tensor], point: Tensor, target: int | Sequence[int | str]
    ) -> tuple[int, ...]:
        """Turn the target of ``output_map`` into class indices."""
        count = len(self.class_names)
        if count < 2:
            raise ValueError(f"target={target!r}: the model has one output only; leave target out")
        if isinstance(target, str):
            target = [target]
        if isinstance(target, bool) or not isinstance(target, (SupportsIndex, Iterable)):
            raise ValueError(f"target={target!r}: must be a number of classes, a list of indices or names, or 'all'")
        if isinstance(target, SupportsIndex):
            target = operator.index(target)
            if not 1 <= target < count:
                raise ValueError(f"target={target}: must be between 1 and {count - 1}, of {count} classes")
            return tuple(whole(point).topk(target).indices.tolist())
        listed = "classes, which class_names lists"
        indices = [find_name("target", i, self.class_names, listed) if isinstance(i, str) else i for i in target]
        classes = check_indices("target", indices, count)
        if len(classes) == count:
            raise ValueError(f"target={classes}: names all classes, so there is no rest; leave target out")
        return tuple(classes)

    @torch.no_grad()
    def predict(self, point: Float[Tensor, "parts d_model"], layer: int = 0, raw: Any = None) -> Float[Tensor, " k"]:
        """Return the probabilities of the classes at a whole point, or the values of a regression."""
        self.check_point(point, layer)
        return self.head.probabilities(self.whole_map(point, layer, raw)(point))

    def check_point(self, point: Tensor, layer: int = 0) -> None:
        """Raise a ValueError unless a point has one row per part, the layer's width and precision, and is finite."""
        check_floating(point)
        self._check_rows(point, len(self.part_names(point)), self.d_model)

    def _check_layer(self, layer: int) -> None:
        """Raise a ValueError unless the model has a layer of this number."""
        if not isinstance(layer, int) or isinstance(layer, bool) or not 0 <= layer <= self.n_layers:
            raise ValueError(f"layer={layer!r}: must be between 0 and {self.n_layers}, the output of the last block")

    def _check_rows(self, point: Tensor, count: int, width: int) -> None:
        """Raise a ValueError unless a point has ``count`` rows, the given width and precision, and is finite."""
        check_floating(point)
        shape = (count, width)
        if tuple(point.shape) != shape or point.dtype != self.dtype:
            raise ValueError(
                f"point: has shape {tuple(point.shape)} of {point.dtype}, wanted {shape} of {self.dtype}, "
                "one row per part"
            )
        check_finite(point)


def find_name(argument: str, name: str, names: Sequence[str], what: str) -> int:
    """Return the place of a name among others, which differ from each other; an error names similar ones."""
    if name not in names:
        near = get_close_matches(str(name), names, 3) or names[:3]
        raise ValueError(
            f"{argument}={name!r}: is not among the model's {len(names):,} {what}; some are "
            f"{', '.join(map(repr, near))}"
        )
    return names.index(name)


def check_indices(name: str, values: Sequence[int], count: int, distinct: bool = True) -> list[int]:
    """Return indices as a list after checking that there is at least one, and that they are in range and distinct."""
    try:
        indices = [operator.index(value) for value in values]
        indices = [index + count if -count <= index < 0 else index for index in indices]  # counted from the end
    except TypeError as error:
        raise ValueError(f"{name}={values!r}: must be a list of indices between 0 and {count - 1}") from error
    if any(isinstance(value, bool) for value in values):
        raise ValueError(f"{name}={list(values)}: must be indices, not a mask")
    repeats = distinct and len(set(indices)) != len(indices)
    if not indices or repeats or not 0 <= min(indices) <= max(indices) < count:
        kind = "different indices" if distinct else "indices"
        raise ValueError(f"{name}={indices}: must be {kind} between 0 and {count - 1:,}, at least one")
    return indices
