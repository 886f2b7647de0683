"""The pullback metric of a map with very many outputs: by its largest eigenvalues, or through the state before them.

Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.3 and 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.geometry.differentiation import SmoothMap, backward_batch, jacobian
from helpers.geometry.metrics import Euclidean, OutputMetric, check_finite, widen
from helpers.geometry.pullback import PullbackMetric

OVERSAMPLING = 10  # directions drawn in excess of the rank
PROBES = 10  # fresh directions by which the result is judged


@dataclass(frozen=True, eq=False)
class SoftmaxFisherRao:
    """Fisher-Rao distance of the probabilities softmax(weight @ state), as a metric of the state.

    It lets a map end at a model's last state, so that all words of a vocabulary are weighed by as many backward
    passes as the state has coordinates, and nothing is left out.

    Attributes:
        weight: (k, d), without bias.
    """

    weight: Tensor

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return a factor of the metric at a state (d,) applied to changes (d, ...): float64, (d, ...)."""
        rows = widen(self.weight)
        p = (rows @ widen(outputs)).softmax(0)
        mean = p @ rows
        values, vectors = torch.linalg.eigh((rows.T * p) @ rows - torch.outer(mean, mean))
        factor = values.clamp(min=0).sqrt()[:, None] * vectors.T
        return torch.tensordot(factor, widen(changes), dims=1)


def mean_block_metric(f: SmoothMap, points: Iterable[Tensor], output_metric: OutputMetric) -> Tensor:
    """Average a part's own block of the pullback metric over the parts of many points: (d, d), float64.

    Its eigenvectors with the smallest eigenvalues are directions that no part of any of these points is seen to move
    in; nothing beyond these points is claimed.

    Args:
        f: the map.
        points: (parts, d) each; the number of parts may differ.
        output_metric: pulled back at each.

    Raises:
        ValueError: no points.
    """
    total, parts = None, 0
    for point in tqdm(list(points), unit=" points", leave=False, delay=2):
        outputs, rows = jacobian(f, point)
        factor = output_metric.weigh(outputs, rows)
        found = torch.einsum("kpi,kpj->ij", factor, factor)
        total, parts = found if total is None else total + found, parts + len(point)
    if total is None:
        raise ValueError("points: there are none")
    return total / parts


@dataclass(frozen=True)
class _Projected:
    """An output metric seen through an orthonormal basis (m, s) of what it weighs: the factor U^T L."""

    metric: OutputMetric
    basis: Tensor

    def weigh(self, outputs: Tensor, changes: Tensor) -> Tensor:
        """Return U^T L @ changes."""
        return self.basis.T @ self.metric.weigh(outputs, changes)


def low_rank_metric(
    f: SmoothMap,
    point: Tensor,
    rank: int = 32,
    output_metric: OutputMetric | None = None,
    generator: torch.Generator | None = None,
) -> PullbackMetric:
    """Find the largest eigenvalues of the pullback metric, and their eigenvectors, without the Jacobian.

    A randomised range finder with one power iteration: some 2 rank backward passes of random combinations of outputs
    and as many forward-mode passes, however many outputs there are. Ten more passes estimate what is missing.

    Args:
        f: the map.
        point: any shape, floating point.
        rank: how many eigenvalues.
        output_metric: Euclidean if None.
        generator: source of randomness; seed 0 if None.

    Returns:
        The metric of that rank; its ``missed`` is the estimated share of the trace that it lacks.

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
    weighed, pull = torch.func.vjp(weighed_map, point)
    push = lambda v: torch.func.jvp(weighed_map, (point,), (v,))[1].detach()  # noqa: E731
    chunk = backward_batch(point)
    backward = torch.func.vmap(lambda v: widen(pull(v)[0].flatten()).detach(), chunk_size=chunk)
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
    missed = float((probes - probes @ right.T @ right).square().sum(1).mean())
    return PullbackMetric(
        base_point=point,
        outputs=outputs,
        factor=values[:, None] * right,
        output_metric=_Projected(metric, left),
        left=torch.eye(len(values), dtype=torch.float64, device=values.device),
        singular_values=values,
        right=right,
        missed=missed / max(missed + float(values.square().sum()), 1e-300),
    )
