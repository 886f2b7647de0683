"""A matrix kept as the product of two thin ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class FactoredMatrix:
    """The matrix left @ right.T, never multiplied out unless asked.

    Attributes:
        left: (m, r).
        right: (n, r).

    Raises:
        ValueError: the factors do not fit each other.
    """

    left: Tensor
    right: Tensor

    def __post_init__(self):
        if self.left.ndim != 2 or self.right.ndim != 2 or self.left.shape[1] != self.right.shape[1]:
            raise ValueError(
                f"left, right: have shapes {tuple(self.left.shape)} and {tuple(self.right.shape)}, "
                "wanted (m, r) and (n, r)"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (m, n)."""
        return len(self.left), len(self.right)

    @property
    def T(self) -> FactoredMatrix:  # noqa: N802
        """The transpose."""
        return FactoredMatrix(self.right, self.left)

    def __neg__(self) -> FactoredMatrix:
        return FactoredMatrix(-self.left, self.right)

    def __matmul__(self, other: Tensor | FactoredMatrix) -> Tensor | FactoredMatrix:
        """Multiply by a vector (n,), a matrix (n, p) or another factored one; a matrix stays factored."""
        if isinstance(other, FactoredMatrix):
            return FactoredMatrix(self.left @ (self.right.T @ other.left), other.right)
        if other.ndim == 1:
            return self.left @ (self.right.T @ other)
        return FactoredMatrix(self.left, other.T @ self.right)

    def __rmatmul__(self, other: Tensor) -> Tensor | FactoredMatrix:
        """Multiply a vector (m,) or a matrix (p, m) by this one."""
        return self.T @ other if other.ndim == 1 else FactoredMatrix(other @ self.left, self.right)

    def to_dense(self) -> Tensor:
        """Multiply out: (m, n)."""
        return self.left @ self.right.T

    def svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return U (m, r), singular values (r,) and V (n, r) with U diag(S) V^T the matrix, by two thin QRs."""
        q_left, r_left = torch.linalg.qr(self.left)
        q_right, r_right = torch.linalg.qr(self.right)
        u, values, v_t = torch.linalg.svd(r_left @ r_right.T)
        rank = min(*self.shape, self.left.shape[1])
        return (q_left @ u)[:, :rank], values[:rank], (q_right @ v_t.T)[:, :rank]

    def balanced(self) -> FactoredMatrix:
        """Return the same matrix with its singular values shared evenly between the factors."""
        u, values, v = self.svd()
        return FactoredMatrix(u * values.sqrt(), v * values.sqrt())

    def norm(self) -> Tensor:
        """Frobenius norm, from the (r, r) Gram matrices."""
        return ((self.left.T @ self.left) * (self.right.T @ self.right)).sum().clamp(min=0).sqrt()

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"FactoredMatrix({rows} x {columns}, rank at most {self.left.shape[1]})"
