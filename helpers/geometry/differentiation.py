"""Reverse-mode derivatives of a smooth map, with the backward passes run in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.geometry.metrics import check_floating

# A map whose outputs are the log-probabilities of one distribution in every point may say so by an attribute
# ``is_distribution``; its Jacobian is then exact to rounding in one more direction.
SmoothMap = Callable[[Tensor], Tensor]  # one point of any shape -> its outputs (k,)
MAX_JACOBIAN_ENTRIES = 2**28  # the largest Jacobian that is kept whole: 2 GiB in float64
BATCH_ENTRIES = 2**22  # entries of the points whose backward passes run in one batch: 16 MiB per layer in float32
BATCH_ENTRIES_CPU = 2**16  # the same on a CPU, where a batch that outgrows the cache of a core is slower than two


PROBE_SIZE = 1e-3  # length of a probing move, as a fraction of the norm of the point
ROUNDING = 64  # multiples of the machine precision that count as rounding


class Linearization:
    """A map evaluated at a point, ready to be differentiated there by reverse mode.

    The map gets a copy of the point, so that a map that changes its argument changes nothing of the caller's, and its
    outputs are copied, so that a map may use one buffer for all its results.

    Attributes:
        outputs: the value of the map at the point, (k,).

    Raises:
        ValueError: the point or the outputs are not of a kind that can be differentiated; see ``check_outputs``.
    """

    def __init__(self, f: SmoothMap, point: Float[Tensor, "*point"]):
        check_floating(point)
        with torch.inference_mode(False), torch.enable_grad():
            self._point = point.detach().clone().requires_grad_()
            self._outputs = f(self._point.clone())
        check_outputs(self._outputs)
        self._f = f
        self.outputs: Float[Tensor, " k"] = self._outputs.detach().clone()

    def gradient(self, output: int) -> Float[Tensor, "*point"]:
        """Differentiate one output."""
        direction = torch.nn.functional.one_hot(torch.tensor(output), len(self.outputs)).to(self.outputs)
        return self._checked(self._pull_back(direction))

    def jacobian(self, chunk_size: int | None = None) -> Float[Tensor, "k *point"]:
        """Differentiate every output by batched backward passes; see ``jacobian``."""
        entries, count = self._point.numel(), len(self.outputs)
        if count * entries > MAX_JACOBIAN_ENTRIES:
            raise ValueError(
                f"f: its Jacobian has {count:,} outputs times {entries:,} coordinates and does not fit into memory; "
                "keep a few outputs and the rest with output_map(point, target=10), or use low_rank_metric"
            )
        rows = self.pull_back(torch.eye(count), chunk_size)
        return self._without_total(rows) if getattr(self._f, "is_distribution", False) else rows

    def _without_total(self, rows: Tensor) -> Tensor:
        """Remove what rounding adds to the derivative of the total probability, which is 1 in every point.

        In a deep model in float32 this can be as large as a true singular value, and would count as a direction.
        """
        direction = self.outputs.exp()
        direction = direction / direction.norm()
        return rows - torch.tensordot(direction[:, None], torch.tensordot(direction, rows, 1)[None], 1)

    def pull_back(self, combinations: Float[Tensor, "m k"], chunk_size: int | None = None) -> Float[Tensor, "m *point"]:
        """Differentiate linear combinations of the outputs, by one backward pass each."""
        if not len(combinations):
            return self._point.new_zeros(0, *self._point.shape)
        chunks = combinations.to(self.outputs).split(chunk_size or backward_batch(self._point))
        return self._checked(torch.cat([self._pull_back_batch(chunk) for chunk in chunks]))

    def _pull_back_batch(self, directions: Float[Tensor, "m k"]) -> Float[Tensor, "m *point"]:
        """Run the backward passes of many directions in one batch, or one by one where f has no batched backward."""
        try:
            return self._pull_back(directions, batched=True)
        except RuntimeError:  # compiled maps, for example, cannot run their backward pass in batches
            return torch.stack([self._pull_back(direction) for direction in directions])

    def _pull_back(self, directions: Tensor, batched: bool = False) -> Tensor:
        """Run the backward passes of one direction (k,) or of many (m, k); zeros where f ignores the point."""
        gradients = None
        if self._outputs.requires_grad:
            options = {"retain_graph": True, "is_grads_batched": batched, "allow_unused": True}
            (gradients,) = torch.autograd.grad(self._outputs, self._point, directions, **options)
        if gradients is None:
            return self._point.new_zeros(*directions.shape[:-1], *self._point.shape)
        return gradients.detach()

    def _checked(self, gradients: Tensor) -> Tensor:
        """Raise a ValueError if all derivatives are zero although the outputs change with the point to first order."""
        if not gradients.any() and self._outputs_move():
            raise ValueError(
                "f: gives no gradient, although its outputs change with the point; look for torch.no_grad, "
                "inference_mode, .detach(), .item() or numpy in it"
            )
        return gradients

    @torch.no_grad()
    def _outputs_move(self) -> bool:
        """Return whether a small move changes the outputs to first order: in proportion to its length."""
        point = self._point.detach()
        move = torch.randn(point.shape, generator=torch.Generator().manual_seed(0), dtype=point.dtype).to(point.device)
        move = move * (PROBE_SIZE * (float(point.norm()) or 1.0) / float(move.norm()))
        whole, half = (float(self._odd_change(part * move)) for part in (1.0, 0.5))
        resolution = ROUNDING * torch.finfo(self.outputs.dtype).eps * (1 + float(self.outputs.abs().max()))
        return whole > resolution and half > whole / 3  # a half of it to first order, an eighth to third

    def _odd_change(self, move: Tensor) -> Tensor:
        """Return the largest difference of the outputs between opposite moves; zero to second order."""
        forward, backward = self._f(self._point.detach() + move).clone(), self._f(self._point.detach() - move).clone()
        return (forward - backward).abs().max()


def check_outputs(outputs: object) -> None:
    """Raise a ValueError unless the outputs of a map are a vector of float32 or float64 numbers."""
    if not isinstance(outputs, Tensor):
        advice = "return one tensor of shape (k,), for example log-probabilities: model(...).logits[0].log_softmax(-1)"
        raise ValueError(f"f: returned an object of type {type(outputs).__name__}; {advice}")
    if outputs.ndim != 1 or not len(outputs):
        raise ValueError(f"f: must return a vector of shape (k,) with k at least 1, got shape {tuple(outputs.shape)}")
    check_floating(outputs, "outputs")


def jacobian(
    f: SmoothMap, point: Float[Tensor, "*point"], chunk_size: int | None = None
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k *point"]]:
    """Differentiate every output by reverse mode, with the backward passes batched.

    Args:
        f: the map.
        point: any shape, floating point.
        chunk_size: backward passes held in memory at once; by default as many as a small laptop can hold.

    Returns:
        Outputs ``(k,)`` and Jacobian ``(k, *point.shape)``, in the precision of the point.

    Raises:
        ValueError: f does not return a vector, or its Jacobian does not fit into memory.
    """
    linearization = Linearization(f, point)
    return linearization.outputs, linearization.jacobian(chunk_size)


def backward_batch(point: Tensor) -> int:
    """Return how many backward passes to run in one batch, so that every model needs about the same memory."""
    return max(1, (BATCH_ENTRIES_CPU if point.device.type == "cpu" else BATCH_ENTRIES) // point.numel())
