"""Reverse-mode derivatives of a smooth map, with the backward passes run in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

SmoothMap = Callable[[Tensor], Tensor]  # one point of any shape -> its outputs (k,)
MAX_JACOBIAN_ENTRIES = 2**28  # the largest Jacobian that is kept whole: 2 GiB in float64
BATCH_ENTRIES = 2**22  # entries of the points whose backward passes run in one batch: 16 MiB per layer in float32
BATCH_ENTRIES_CPU = 2**16  # the same on a CPU, where a batch that outgrows the cache of a core is slower than two


class Linearization:
    """A map evaluated at a point, ready to be differentiated there by reverse mode.

    Attributes:
        outputs: the value of the map at the point, (k,).
    """

    def __init__(self, f: SmoothMap, point: Tensor):
        self._point = point.detach().requires_grad_()
        with torch.enable_grad():
            self._outputs = f(self._point)
        if self._outputs.ndim != 1:
            raise ValueError(f"f: must return a vector of shape (k,), got shape {tuple(self._outputs.shape)}")
        self.outputs: Float[Tensor, " k"] = self._outputs.detach()

    def gradient(self, output: int) -> Tensor:
        """Differentiate one output; the gradient has the shape of the point."""
        return self._pull_back(torch.nn.functional.one_hot(torch.tensor(output), len(self.outputs)).to(self.outputs))

    def jacobian(self, chunk_size: int | None = None) -> Float[Tensor, "k *point"]:
        """Differentiate every output by batched backward passes; see ``jacobian``."""
        entries, count = self._point.numel(), len(self.outputs)
        if count * entries > MAX_JACOBIAN_ENTRIES:
            raise ValueError(
                f"f: its Jacobian has {count:,} outputs times {entries:,} coordinates and does not fit into memory; "
                "keep a few outputs and the rest with output_map(point, target=10), or use low_rank_metric"
            )
        directions = torch.eye(count, dtype=self.outputs.dtype, device=self.outputs.device)
        chunks = directions.split(chunk_size or backward_batch(self._point))
        return torch.cat([self._pull_back(chunk, batched=True) for chunk in chunks])

    def _pull_back(self, directions: Tensor, batched: bool = False) -> Tensor:
        """Run the backward passes of one direction (k,) or of many (m, k); zeros where f ignores the point."""
        if not self._outputs.requires_grad:
            return self._point.new_zeros(*directions.shape[:-1], *self._point.shape)
        (gradients,) = torch.autograd.grad(
            self._outputs,
            self._point,
            directions,
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
            materialize_grads=True,
        )
        return gradients


def jacobian(
    f: SmoothMap, point: Float[Tensor, "*point"], chunk_size: int | None = None
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k *point"]]:
    """Differentiate every output by reverse mode, with the backward passes batched.

    Args:
        f: the map.
        point: any shape, floating point.
        chunk_size: backward passes held in memory at once; by default as many as a small laptop can hold.

    Returns:
        Outputs (k,) and Jacobian (k, *point.shape), in the precision of the point.

    Raises:
        ValueError: f does not return a vector, or its Jacobian does not fit into memory.
    """
    linearization = Linearization(f, point)
    return linearization.outputs, linearization.jacobian(chunk_size)


def backward_batch(point: Tensor) -> int:
    """Return how many backward passes to run in one batch, so that every model needs about the same memory."""
    return max(1, (BATCH_ENTRIES_CPU if point.device.type == "cpu" else BATCH_ENTRIES) // point.numel())
