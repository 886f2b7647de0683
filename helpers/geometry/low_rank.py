"""The pullback metric of a map with very many outputs: its largest eigenvalues, or the metric of the last hidden state.

Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.3 and 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from helpers.geometry.differentiation import SmoothMap, backward_batch, jacobian
from helpers.geometry.metrics import Euclidean, OutputMetric, check_finite, to_float64
from helpers.geometry.pullback import PullbackMetric

OVERSAMPLING = 10  # random directions drawn in excess of the rank; 5 to 10 suffice (the source, section 1.3)
PROBES = 10  # further random directions, from which the missing share of the trace is estimated


@dataclass(frozen=True, eq=False)
class SoftmaxFisherRao:
    """The Fisher-Rao metric of the probabilities softmax(weight @ state), as a metric of the state.

    A map can then end at the last hidden state of a model. As many backward passes as the state has coordinates
    account for every word of the vocabulary.

    Attributes:
        weight: the unembedding, without bias.
    """

    weight: Float[Tensor, "k d"]

    def weigh(self, outputs: Float[Tensor, " d"], changes: Float[Tensor, "d *shape"]) -> Float[Tensor, "d *shape"]:
        """Return a factor of the metric at a state, applied to changes of it, in float64."""
        rows = to_float64(self.weight)
        p = (rows @ to_float64(outputs)).softmax(0)
        mean = p @ rows
        values, vectors = torch.linalg.eigh((rows.T * p) @ rows - torch.outer(mean, mean))
        factor = values.clamp(min=0).sqrt()[:, None] * vectors.T
        return torch.tensordot(factor, to_float64(changes), dims=1)


def mean_block_metric(
    f: SmoothMap, points: Iterable[Float[Tensor, "parts d"]], output_metric: OutputMetric
) -> Float[Tensor, "d d"]:
    """Average the diagonal blocks of the pullback metric over the parts of many points, in float64.

    The eigenvectors with the smallest eigenvalues are the directions that change the outputs least, in the mean over
    the parts of these points. They say nothing about other points.

    Args:
        f: the map.
        points: the number of parts may differ between points.
        output_metric: the metric that is pulled back at each point.

    Raises:
        ValueError: no points.
    """
    total, parts = None, 0
    for point in tqdm(list(points), unit=" points", leave=False, delay=2):
        outputs, rows = jacobian(f, point)
        factor = output_metric.weigh(outputs, rows)
        block_sum = torch.einsum("kpi,kpj->ij", factor, factor)
        total, parts = block_sum if total is None else total + block_sum, parts + len(point)
    if total is None:
        raise ValueError("points: must hold at least one point")
    return total / parts


@dataclass(frozen=True)
class _Projected:
    """An output metric restricted to the span of an orthonormal basis U (m, s): its factor is U^T L."""

    metric: OutputMetric
    basis: Tensor

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return U^T L @ changes."""
        return self.basis.T @ self.metric.weigh(outputs, changes)


def low_rank_metric(
    f: SmoothMap,
    point: Float[Tensor, "*point"],
    rank: int = 32,
    output_metric: OutputMetric | None = None,
    generator: torch.Generator | None = None,
) -> PullbackMetric:
    """Find the largest eigenvalues of the pullback metric, and their eigenvectors, without the Jacobian.

    A randomised range finder with one power iteration. It takes about 2 rank backward passes of random combinations of
    the outputs and as many forward-mode passes, for any number of outputs. Ten more passes estimate what is missing.

    Args:
        f: the map.
        point: any shape, floating point.
        rank: how many eigenvalues to find.
        output_metric: Euclidean if None.
        generator: source of randomness; seed 0 if None.

    Returns:
        The metric of that rank; its ``missing_trace`` is the estimated share of the trace that it lacks.

    Raises:
        ValueError: a rank below 1, or a point or output that is not finite.
    """
    if rank < 1:
        raise ValueError(f"rank={rank}: must be 1 or more")
    check_finite(point)
    metric, generator = output_metric or Euclidean(), generator or torch.Generator().manual_seed(0)
    with torch.no_grad():
        outputs = f(point)
    check_finite(outputs, "outputs")

    def weighed_map(x: Tensor) -> Tensor:
        return metric.weigh(outputs, f(x))

    point = point.detach()
    weighed, pull = torch.func.vjp(weighed_map, point)[:2]
    push = lambda v: torch.func.jvp(weighed_map, (point,), (v,))[1].detach()  # noqa: E731
    chunk = backward_batch(point)
    backward = torch.func.vmap(lambda v: to_float64(pull(v)[0].flatten()).detach(), chunk_size=chunk)
    forward = torch.func.vmap(push, chunk_size=chunk)

    def random(count: int) -> Tensor:
        return torch.randn(count, len(weighed), generator=generator, dtype=torch.float64).to(weighed.device)

    def apply_to_span(directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return orthonormal rows (s, n) that span the directions, and A applied to them, (m, s)."""
        basis = torch.linalg.qr(directions.T).Q.T
        return basis, forward(basis.reshape(-1, *point.shape).to(point)).T

    size = min(rank + OVERSAMPLING, len(weighed), point.numel())
    _, image = apply_to_span(backward(random(size)))
    basis, image = apply_to_span(backward(torch.linalg.qr(image).Q.T))
    left, values, turn = torch.linalg.svd(image, full_matrices=False)
    left, values, right = left[:, :rank], values[:rank], (turn @ basis)[:rank]
    probes = backward(random(PROBES))
    missing = float((probes - probes @ right.T @ right).square().sum(1).mean())
    return PullbackMetric(
        base_point=point,
        outputs=outputs,
        factor=values[:, None] * right,
        output_metric=_Projected(metric, left),
        left=torch.eye(len(values), dtype=torch.float64, device=values.device),
        singular_values=values,
        right=right,
        missing_trace=missing / max(missing + float(values.square().sum()), 1e-300),
    )
