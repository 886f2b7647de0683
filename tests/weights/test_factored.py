"""Algebra of a factored matrix is that of the matrix."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.weights import FactoredMatrix


def draw(m, n, r, seed):
    g = torch.Generator().manual_seed(seed)
    return FactoredMatrix(*(torch.randn(size, r, generator=g, dtype=torch.float64) for size in (m, n)))


@given(m=st.integers(1, 8), n=st.integers(1, 8), r=st.integers(1, 10), seed=st.integers(0, 10**6))
def test_everything_equals_the_dense_matrix(m, n, r, seed):
    matrix = draw(m, n, r, seed)
    dense = matrix.to_dense()
    other = draw(n, 5, 2, seed + 1)
    g = torch.Generator().manual_seed(seed + 2)
    right, left = (torch.randn(size, generator=g, dtype=torch.float64) for size in (n, m))
    assert torch.allclose(matrix.T.to_dense(), dense.T)
    assert torch.allclose((-matrix).to_dense(), -dense)
    assert torch.allclose(matrix @ right, dense @ right)
    assert torch.allclose(left @ matrix, left @ dense)
    assert torch.allclose((matrix @ other).to_dense(), dense @ other.to_dense())
    assert torch.allclose(matrix @ other.to_dense(), dense @ other.to_dense())
    assert torch.allclose(other.to_dense().T @ matrix.T, other.to_dense().T @ dense.T)
    assert torch.allclose(matrix.balance().to_dense(), dense)
    assert float(matrix.norm()) == pytest.approx(float(dense.norm()))


@given(m=st.integers(1, 8), n=st.integers(1, 8), r=st.integers(1, 10), seed=st.integers(0, 10**6))
def test_singular_values_are_those_of_the_dense_matrix(m, n, r, seed):
    matrix = draw(m, n, r, seed)
    u, values, v = matrix.svd()
    rank = len(values)
    assert torch.allclose(values, torch.linalg.svdvals(matrix.to_dense())[:rank], atol=1e-9)
    assert torch.allclose((u * values) @ v.T, matrix.to_dense(), atol=1e-9)
    assert torch.allclose(u.T @ u, torch.eye(rank, dtype=torch.float64), atol=1e-9)


def test_a_balanced_matrix_shares_its_singular_values():
    matrix = FactoredMatrix(100 * torch.eye(3).double(), 0.01 * torch.diag(torch.tensor([4.0, 1.0, 9.0])).double())
    sides = [side.norm(dim=0) for side in (matrix.balance().left, matrix.balance().right)]
    assert torch.allclose(sides[0], sides[1])
    assert torch.allclose(sides[0], torch.tensor([3.0, 2.0, 1.0]).double())


def test_sides_stay_with_their_factors():
    reads = FactoredMatrix(torch.eye(2), torch.eye(2), ("in", "in"))
    head = FactoredMatrix(torch.eye(2), torch.eye(2), ("in", "out"))
    assert head.T.sides == ("out", "in") and (-reads).sides == reads.balance().sides == ("in", "in")
    assert (reads @ head).sides == ("in", "out") and (head.T @ reads).sides == ("out", "in")


def test_factors_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"left, right: have shapes \(3, 2\) and \(4, 3\)"):
        FactoredMatrix(torch.zeros(3, 2), torch.zeros(4, 3))
