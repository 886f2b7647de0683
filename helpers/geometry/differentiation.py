"""Reverse-mode derivatives of a smooth map, its backward passes run in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SmoothMap = Callable[[Tensor], Tensor]  # one point, any shape -> its outputs, (k,)
JACOBIAN_NUMBERS = 2**28  # of a Jacobian that is still kept whole: 2 GiB in float64
PASS_NUMBERS = 2**22  # of the points whose backward passes run at once: 16 MiB of each layer's states in float32
CACHED_NUMBERS = 2**16  # the same on a CPU, where a batch that outgrows a core's cache is slower than two
KEPT_NUMBERS = 2**17  # of the points that are made ready for their backward passes at once


class Linearised:
    """A map evaluated at a point, ready to be differentiated there by reverse mode.

    Attributes:
        outputs: (k,).
    """

    def __init__(self, f: SmoothMap, point: Tensor):
        self._point = point.detach().requires_grad_()
        with torch.enable_grad():
            self._outputs = f(self._point)
        if self._outputs.ndim != 1:
            raise ValueError(f"f: must return a vector of shape (k,), got shape {tuple(self._outputs.shape)}")
        self.outputs = self._outputs.detach()

    def gradient(self, output: int) -> Tensor:
        """Differentiate one output alone; the point's shape."""
        return self._pull(torch.nn.functional.one_hot(torch.tensor(output), len(self.outputs)).to(self.outputs))

    def jacobian(self, chunk_size: int | None = None, rows: Sequence[int] | None = None) -> Tensor:
        """Run the backward passes, batched: (k, *point.shape), zeros but for ``rows`` if given; see ``jacobian``."""
        numbers, count = self._point.numel(), len(self.outputs)
        if count * numbers > JACOBIAN_NUMBERS:
            raise ValueError(
                f"f: has {count:,} outputs of {numbers:,} numbers, and its Jacobian would not fit; "
                "take a few outputs and the rest, output_map(point, target=10), or low_rank_metric"
            )
        directions = torch.eye(count, dtype=self.outputs.dtype, device=self.outputs.device)
        chunks = (directions if rows is None else directions[list(rows)]).split(
            chunk_size or passes_at_once(self._point)
        )
        found = torch.cat([self._pull(chunk, batched=True) for chunk in chunks])
        if rows is None:
            return found
        return found.new_zeros(count, *self._point.shape).index_copy(0, torch.tensor(rows, device=found.device), found)

    def _pull(self, directions: Tensor, batched: bool = False) -> Tensor:
        """Run backward passes of one direction (k,) or many (m, k); zeros where f does not depend on the point."""
        if not self._outputs.requires_grad:
            return self._point.new_zeros(*directions.shape[:-1], *self._point.shape)
        (found,) = torch.autograd.grad(
            self._outputs,
            self._point,
            directions,
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
            materialize_grads=True,
        )
        return found


def jacobian(f: SmoothMap, point: Tensor, chunk_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Differentiate every output by reverse mode, the backward passes batched.

    Args:
        f: the map.
        point: any shape, floating point.
        chunk_size: backward passes held in memory at once; by default as many as a small laptop takes.

    Returns:
        Outputs (k,) and Jacobian (k, *point.shape), in the point's precision.

    Raises:
        ValueError: f returns no vector, or so many outputs that the Jacobian would not fit into memory.
    """
    linearised = Linearised(f, point)
    return linearised.outputs, linearised.jacobian(chunk_size)


def passes_at_once(point: Tensor) -> int:
    """Say how many backward passes to run in one batch, so that their memory is about the same for every model."""
    return max(1, (CACHED_NUMBERS if point.device.type == "cpu" else PASS_NUMBERS) // point.numel())


def batched_jacobian(f: SmoothMap, points: Tensor, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Differentiate a map at many points by reverse mode.

    Args:
        f: the map of one point.
        points: (B, *point.shape).
        rows: the outputs to differentiate, all if None; the rows of others are zero.

    Returns:
        Outputs (B, k) and Jacobians (B, k, *point.shape).
    """
    at_once = KEPT_NUMBERS // points[0].numel()
    differentiate = _differentiate if at_once > 1 else _differentiate_one  # a batch of large points gains nothing
    found = [differentiate(f, some, rows) for some in points.split(max(1, at_once))]
    return torch.cat([outputs for outputs, _ in found]), torch.cat([jacobians for _, jacobians in found])


def _differentiate_one(f: SmoothMap, points: Tensor, rows: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """Differentiate at one point, (1, *point.shape); see ``batched_jacobian``."""
    linearised = Linearised(f, points[0])
    return linearised.outputs[None], linearised.jacobian(rows=rows)[None]


def _differentiate(f: SmoothMap, points: Tensor, rows: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """Differentiate at points that fit into memory together; see ``batched_jacobian``."""
    outputs, pull = torch.func.vjp(torch.func.vmap(f), points)
    chosen = list(range(outputs.shape[1]) if rows is None else rows)
    directions = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)[chosen]
    directions = directions[:, None].expand(-1, len(points), -1)
    (found,) = torch.func.vmap(pull, chunk_size=passes_at_once(points))(directions)
    jacobians = found.new_zeros(len(points), outputs.shape[1], *points.shape[1:])
    jacobians[:, chosen] = found.detach().movedim(0, 1)
    return outputs.detach(), jacobians
