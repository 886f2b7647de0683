"""A matrix stored as the product of two thin matrices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, overload

import torch
from jaxtyping import Float
from torch import Tensor

Side = Literal["in", "out"]  # of the residual stream: what reads from it, and what writes to it


@dataclass(frozen=True, eq=False, repr=False)
class FactoredMatrix:
    """The matrix left @ right.T, which is multiplied out only by ``to_dense``.

    Attributes:
        left, right: the factors.
        sides: whether the rows and the columns are read by the input embeddings ("in") or by the unembedding ("out").

    Raises:
        ValueError: the factors do not have the same number of columns.
    """

    left: Float[Tensor, "m r"]
    right: Float[Tensor, "n r"]
    sides: tuple[Side, Side] = ("in", "out")

    def __post_init__(self) -> None:
        left, right = tuple(self.left.shape), tuple(self.right.shape)
        if len(left) != 2 or len(right) != 2 or left[1] != right[1]:
            raise ValueError(f"left, right: have shapes {left} and {right}, wanted (m, r) and (n, r)")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns, (m, n)."""
        return len(self.left), len(self.right)

    @property
    def T(self) -> FactoredMatrix:  # noqa: N802
        """The transposed matrix."""
        return FactoredMatrix(self.right, self.left, self.sides[::-1])

    def __neg__(self) -> FactoredMatrix:
        return replace(self, left=-self.left)

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...

    @overload
    def __matmul__(self, other: FactoredMatrix) -> FactoredMatrix: ...

    def __matmul__(self, other: Tensor | FactoredMatrix) -> Tensor | FactoredMatrix:
        """Multiply by a vector (n,), a matrix (n, p) or a factored matrix; only the last stays factored."""
        if isinstance(other, FactoredMatrix):
            sides = self.sides[0], other.sides[1]
            return FactoredMatrix(self.left @ (self.right.T @ other.left), other.right, sides)
        return self.left @ (self.right.T @ other)

    def __rmatmul__(self, other: Tensor) -> Tensor:
        """Multiply a vector (m,) or a matrix (p, m) by this matrix."""
        return (other @ self.left) @ self.right.T

    def to_dense(self) -> Float[Tensor, "m n"]:
        """Multiply the factors."""
        return self.left @ self.right.T

    def svd(self) -> tuple[Float[Tensor, "m rank"], Float[Tensor, " rank"], Float[Tensor, "n rank"]]:
        """Return U, the singular values and V with U diag(S) V^T the matrix, from two thin QR decompositions."""
        q_left, r_left = torch.linalg.qr(self.left)
        q_right, r_right = torch.linalg.qr(self.right)
        u, values, v_t = torch.linalg.svd(r_left @ r_right.T)
        rank = min(*self.shape, self.left.shape[1])
        return (q_left @ u)[:, :rank], values[:rank], (q_right @ v_t.T)[:, :rank]

    def balance(self) -> FactoredMatrix:
        """Return the same matrix with its singular values shared evenly between the factors."""
        u, values, v = self.svd()
        return FactoredMatrix(u * values.sqrt(), v * values.sqrt(), self.sides)

    def norm(self) -> Float[Tensor, ""]:
        """Return the Frobenius norm, from the (r, r) Gram matrices of the factors."""
        return ((self.left.T @ self.left) * (self.right.T @ self.right)).sum().clamp(min=0).sqrt()

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"FactoredMatrix({rows} x {columns}, rank at most {self.left.shape[1]})"
