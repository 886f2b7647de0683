"""The metric that a smooth map pulls back to its input, kept as a factor.

A map f takes one point (a tensor of any shape with n entries) to a vector of k outputs. With J its
Jacobian (k, n) and L^T L the metric of the outputs, the pullback metric at the point is
G = J^T L^T L J. Only the factor A = L J is kept: its right singular vectors are G's eigenvectors,
its squared singular values G's non-zero eigenvalues, and everything orthogonal to them is the
kernel of G, the moves that the map cannot see.

Source: Benfenati et al., arXiv 2410.06019, section 2; the factored form is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.geometry.differentiation import SmoothMap, jacobian
from helpers.geometry.metrics import Euclidean, OutputMetric, check_finite, check_floating, widen

RANK_TOLERANCE = 1e-5  # fraction of the largest singular value; float32 Jacobians carry noise near 1e-7


def thin_svd(factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decompose a factor (m, n) as left @ diag(values) @ right, r = min(m, n) of them; values (r,), largest first.

    By the transpose, which is faster where m is far below n. An SVD leaves the signs open: here each right vector's
    entry of largest size is positive, so that a seed means the same walk everywhere.
    """
    right, values, left = torch.linalg.svd(factor.T, full_matrices=False)
    signs = right.gather(0, right.abs().argmax(0, keepdim=True)).sign() if len(values) else right.new_ones(1, 0)
    return (left * signs.T).T, values, (right * signs).T


@dataclass(frozen=True)
class PullbackMetric:
    """The pullback metric at a base point, as the thin SVD of its factor A = L J (float64).

    Attributes:
        base_point: where the metric is taken, any shape with n entries.
        outputs: the map's value there, (k,).
        factor: A, shape (m, n).
        output_metric: the metric that was pulled back.
        left, singular_values, right: A = left @ diag(singular_values) @ right, r = min(m, n) of them.
        rank_tolerance: singular values up to this fraction of the largest count as zero.
        missed: estimated share of the trace (the sum of all eigenvalues) that a randomised factor lacks, else 0.
    """

    base_point: Tensor
    outputs: Tensor
    factor: Tensor
    output_metric: OutputMetric
    left: Tensor
    singular_values: Tensor
    right: Tensor
    rank_tolerance: float = RANK_TOLERANCE
    missed: float = 0.0

    @classmethod
    def at(
        cls,
        f: SmoothMap,
        point: Tensor,
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
        point: Tensor,
        outputs: Tensor,
        rows: Tensor,
        output_metric: OutputMetric | None = None,
        rank_tolerance: float = RANK_TOLERANCE,
    ) -> PullbackMetric:
        """Build the metric from a Jacobian (k, *point.shape) that is already there."""
        check_finite(outputs, "outputs")
        check_finite(rows, "jacobian")
        metric = output_metric or Euclidean()
        factor = metric.weigh(outputs, rows.flatten(1))
        return cls(point, outputs, factor, metric, *thin_svd(factor), rank_tolerance)

    def __repr__(self) -> str:
        seen = self.eigenvalues[: self.rank]
        span = f"{seen[0]:.3g} to {seen[-1]:.3g}" if self.rank else "none"
        lack = f", about {self.missed:.2g} of the trace missed" if self.missed else ""
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
    def eigenvalues(self) -> Tensor:
        """The r = min(m, n) largest eigenvalues, largest first; all others are exactly zero. Shape (r,)."""
        return self.singular_values**2

    @property
    def eigenvectors(self) -> Tensor:
        """Unit eigenvectors of those eigenvalues, shape (r, *base_point.shape)."""
        return self.right.reshape(-1, *self.base_point.shape)

    @property
    def condition(self) -> float:
        """Largest over smallest non-zero eigenvalue."""
        return float(self.eigenvalues[0] / self.eigenvalues[self.rank - 1]) if self.rank else float("nan")

    def norm(self, tangent_vec: Tensor) -> Tensor:
        """Pullback length of a tangent vector: how far the outputs move, to first order."""
        return (self.factor @ self._flat(tangent_vec)).norm()

    def inner(self, first: Tensor, second: Tensor) -> Tensor:
        """Pullback inner product of two tangent vectors."""
        return (self.factor @ self._flat(first)) @ (self.factor @ self._flat(second))

    def project_to_row_space(self, tangent_vec: Tensor) -> Tensor:
        """Project onto the span of the non-zero eigenvectors: the part of a move that the map sees."""
        seen = self.right[: self.rank]
        return self._shaped(seen.T @ (seen @ self._flat(tangent_vec)), tangent_vec)

    def project_to_kernel(self, tangent_vec: Tensor) -> Tensor:
        """Project onto the kernel: the part of a move that the map cannot see, to first order."""
        seen, flat = self.right[: self.rank], self._flat(tangent_vec)
        vertical = flat - seen.T @ (seen @ flat)
        return self._shaped(vertical - seen.T @ (seen @ vertical), tangent_vec)  # twice, against round-off

    def solve_least_norm(self, output_change: Tensor) -> Tensor:
        """Find the shortest move that changes the outputs by output_change (k,), to first order: J^+ dy."""
        r = self.rank
        seen = self.left[:, :r].T @ self.output_metric.weigh(self.outputs, output_change)
        return self._shaped(self.right[:r].T @ (seen / self.singular_values[:r]), self.base_point)

    def block(self, part: int) -> PullbackMetric:
        """Restrict the metric to moves of one part (an index of the point's first axis)."""
        if not 0 <= part < len(self.base_point):
            raise ValueError(f"part={part}: must be between 0 and {len(self.base_point) - 1}")
        columns = self.factor.reshape(len(self.factor), *self.base_point.shape)[:, part].flatten(1)
        return self._with_factor(columns, self.base_point[part])

    def part_norms(self) -> Tensor:
        """Largest pullback length of a unit move of each part, the root of its block's top eigenvalue: (parts,)."""
        blocks = self.factor.reshape(len(self.factor), len(self.base_point), -1).transpose(0, 1)
        return torch.linalg.matrix_norm(blocks, ord=2)

    def freeze(self, frozen: Tensor) -> PullbackMetric:
        """Restrict the metric to moves that leave the marked coordinates (boolean, the point's shape) alone."""
        if frozen.dtype != torch.bool or frozen.shape != self.base_point.shape:
            wanted = tuple(self.base_point.shape)
            raise ValueError(
                f"frozen: is {frozen.dtype} of shape {tuple(frozen.shape)}, wanted booleans of shape {wanted}"
            )
        return self._with_factor(self.factor * ~frozen.flatten().to(self.factor.device), self.base_point)

    def dense(self) -> Tensor:
        """Multiply the metric out, shape (n, n): for looking at small examples only."""
        return self.factor.T @ self.factor

    def _with_factor(self, factor: Tensor, base_point: Tensor) -> PullbackMetric:
        left, singular_values, right = thin_svd(factor)
        return replace(
            self,
            factor=factor,
            base_point=base_point,
            left=left,
            singular_values=singular_values,
            right=right,
        )

    def _flat(self, tangent_vec: Tensor) -> Tensor:
        if tangent_vec.numel() != self.n:
            raise ValueError(f"tangent_vec: has {tangent_vec.numel()} entries, the metric's point has {self.n}")
        check_floating(tangent_vec, "tangent_vec")
        return widen(tangent_vec.flatten())

    def _shaped(self, flat: Tensor, like: Tensor) -> Tensor:
        return flat.reshape(like.shape).to(like)
