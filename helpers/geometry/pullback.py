"""The metric that a smooth map pulls back to its input, kept as a factor.

A map f takes one point (a tensor of any shape with n entries) to a vector of k outputs. Let J be its Jacobian (k, n)
and L^T L the metric of the outputs. The pullback metric at the point is G = J^T L^T L J. Only the factor A = L J is
kept: its right singular vectors are eigenvectors of G, its squared singular values are the non-zero eigenvalues of G,
and all directions orthogonal to them form the kernel of G. To first order, a move in the kernel leaves every output
unchanged.

Source: Benfenati et al., arXiv 2410.06019, section 2; the factored form is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.geometry.arguments import check_whole
from helpers.geometry.differentiation import SmoothMap, jacobian
from helpers.geometry.metrics import Euclidean, OutputMetric, check_finite, check_floating, to_float64

RANK_TOLERANCE = 1e-5  # fraction of the largest singular value; the noise of float32 Jacobians is near 1e-7


def thin_svd(factor: Float[Tensor, "m n"]) -> tuple[Float[Tensor, "m r"], Float[Tensor, " r"], Float[Tensor, "r n"]]:
    """Decompose a factor as left @ diag(values) @ right, with r = min(m, n) values, largest first.

    The transpose is decomposed, which is faster where m is far below n. An SVD leaves the signs open. Here the entry
    of largest size in each right vector is positive, so that a seed gives the same walk on every machine.
    """
    right, values, left = torch.linalg.svd(factor.T, full_matrices=False)
    signs = right.gather(0, right.abs().argmax(0, keepdim=True)).sign() if len(values) else right.new_ones(1, 0)
    return (left * signs.T).T, values, (right * signs).T


@dataclass(frozen=True)
class PullbackMetric:
    """The pullback metric at a base point, as the thin SVD of its factor A = L J (float64).

    Attributes:
        base_point: where the metric is taken, any shape with n entries.
        outputs: the value of the map there.
        factor: A = L J.
        output_metric: the metric of the outputs that was pulled back.
        left, singular_values, right: A = left @ diag(singular_values) @ right, with r = min(m, n) singular values.
        rank_tolerance: singular values up to this fraction of the largest count as zero.
        missing_trace: estimated share of the trace (the sum of all eigenvalues) that a randomised factor lacks; 0 for
            an exact one.
    """

    base_point: Float[Tensor, "*point"]
    outputs: Float[Tensor, " k"]
    factor: Float[Tensor, "m n"]
    output_metric: OutputMetric
    left: Float[Tensor, "m r"]
    singular_values: Float[Tensor, " r"]
    right: Float[Tensor, "r n"]
    rank_tolerance: float = RANK_TOLERANCE
    missing_trace: float = 0.0

    @classmethod
    def at(
        cls,
        f: SmoothMap,
        point: Float[Tensor, "*point"],
        output_metric: OutputMetric | None = None,
        rank_tolerance: float = RANK_TOLERANCE,
    ) -> PullbackMetric:
        """Pull the output metric (Euclidean if None) back to a point.

        Raises:
            ValueError: the point, the output or the Jacobian has values that are not finite.
        """
        check_finite(point)
        outputs, rows = jacobian(f, point)
        return cls.from_jacobian(point, outputs, rows, output_metric, rank_tolerance)

    @classmethod
    def from_jacobian(
        cls,
        point: Float[Tensor, "*point"],
        outputs: Float[Tensor, " k"],
        rows: Float[Tensor, "k *point"],
        output_metric: OutputMetric | None = None,
        rank_tolerance: float = RANK_TOLERANCE,
    ) -> PullbackMetric:
        """Build the metric from a Jacobian that was computed before."""
        check_finite(outputs, "outputs")
        check_finite(rows, "jacobian")
        metric = output_metric or Euclidean()
        factor = metric.weigh(outputs, rows.flatten(1))
        return cls(point, outputs, factor, metric, *thin_svd(factor), rank_tolerance)

    def __repr__(self) -> str:
        nonzero = self.eigenvalues[: self.rank]
        span = f"{nonzero[0]:.3g} to {nonzero[-1]:.3g}" if self.rank else "none"
        lack = f", about {self.missing_trace:.2g} of the trace missing" if self.missing_trace else ""
        return (
            f"PullbackMetric(n={self.n}, rank={self.rank}, nullity={self.nullity}, non-zero eigenvalues: {span}{lack})"
        )

    @property
    def n(self) -> int:
        """Number of input coordinates."""
        return self.factor.shape[1]

    @property
    def rank(self) -> int:
        """Number of eigenvalues that are not zero, at most k."""
        largest = self.singular_values.max() if len(self.singular_values) else 0.0
        return int((self.singular_values > self.rank_tolerance * largest).sum())

    @property
    def nullity(self) -> int:
        """Dimension of the kernel: n - rank."""
        return self.n - self.rank

    @property
    def eigenvalues(self) -> Float[Tensor, " r"]:
        """The r = min(m, n) largest eigenvalues, largest first; all others are exactly zero."""
        return self.singular_values**2

    @property
    def eigenvectors(self) -> Float[Tensor, "r *point"]:
        """Unit eigenvectors of those eigenvalues, each in the shape of the base point."""
        return self.right.reshape(-1, *self.base_point.shape)

    @property
    def condition(self) -> float:
        """The largest eigenvalue divided by the smallest non-zero one; NaN where all are zero."""
        return float(self.eigenvalues[0] / self.eigenvalues[self.rank - 1]) if self.rank else float("nan")

    def norm(self, tangent_vec: Float[Tensor, "*point"]) -> Float[Tensor, ""]:
        """Return the pullback length of a tangent vector: how far the outputs move, to first order."""
        return (self.factor @ self._flatten(tangent_vec)).norm()

    def inner(self, first: Float[Tensor, "*point"], second: Float[Tensor, "*point"]) -> Float[Tensor, ""]:
        """Return the pullback inner product of two tangent vectors."""
        return (self.factor @ self._flatten(first)) @ (self.factor @ self._flatten(second))

    def project_to_row_space(self, tangent_vec: Float[Tensor, "*point"]) -> Float[Tensor, "*point"]:
        """Project onto the span of the eigenvectors whose eigenvalue is not zero, the complement of the kernel."""
        rows = self.right[: self.rank]
        return self._shape_like(rows.T @ (rows @ self._flatten(tangent_vec)), tangent_vec)

    def project_to_kernel(self, tangent_vec: Float[Tensor, "*point"]) -> Float[Tensor, "*point"]:
        """Project onto the kernel: the part of a move that leaves every output unchanged, to first order."""
        rows, flat = self.right[: self.rank], self._flatten(tangent_vec)
        null = flat - rows.T @ (rows @ flat)
        return self._shape_like(null - rows.T @ (rows @ null), tangent_vec)  # a second time, against round-off

    def solve_least_norm(self, output_change: Float[Tensor, " k"]) -> Float[Tensor, "*point"]:
        """Return the shortest move that changes the outputs by ``output_change``, to first order: J^+ dy."""
        r = self.rank
        components = self.left[:, :r].T @ self.output_metric.weigh(self.outputs, output_change)
        return self._shape_like(self.right[:r].T @ (components / self.singular_values[:r]), self.base_point)

    def block(self, part: int) -> PullbackMetric:
        """Restrict the metric to moves of one part (an index of the point's first axis)."""
        check_whole("part", part, most=len(self.base_point) - 1)
        columns = self.factor.reshape(len(self.factor), *self.base_point.shape)[:, part].flatten(1)
        left, values, right = thin_svd(columns)
        base_point = self.base_point[part]
        return replace(self, factor=columns, base_point=base_point, left=left, singular_values=values, right=right)

    def part_norms(self) -> Float[Tensor, " parts"]:
        """Return the largest pullback length of a unit move of each part, the root of its block's top eigenvalue."""
        blocks = self.factor.reshape(len(self.factor), len(self.base_point), -1).transpose(0, 1)
        return torch.linalg.matrix_norm(blocks, ord=2)

    def dense(self) -> Float[Tensor, "n n"]:
        """Multiply the metric out; use it to look at small examples only."""
        return self.factor.T @ self.factor

    def _flatten(self, tangent_vec: Tensor) -> Tensor:
        if tangent_vec.numel() != self.n:
            raise ValueError(
                f"tangent_vec: has {tangent_vec.numel()} entries, the base point of the metric has {self.n}"
            )
        check_floating(tangent_vec, "tangent_vec")
        return to_float64(tangent_vec.flatten())

    def _shape_like(self, flat: Tensor, like: Tensor) -> Tensor:
        return flat.reshape(like.shape).to(like)
