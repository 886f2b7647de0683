"""The largest entries of a factored matrix are those of the dense one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.vocabulary import pairs
from helpers.vocabulary.pairs import ROUNDING, find_largest_pairs
from helpers.weights import FactoredMatrix


def dense_best(matrix, labels, k):
    scores = matrix.to_dense().masked_fill(labels[:, None] == labels, -torch.inf)
    return scores.flatten().topk(k).values


def draw(n, r, seed, spread):
    g = torch.Generator().manual_seed(seed)
    lengths = torch.exp(spread * torch.randn(2, n, 1, generator=g))
    return FactoredMatrix(*(torch.randn(2, n, r, generator=g) * lengths))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(3, 70), r=st.integers(1, 6), k=st.integers(1, 40), seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 0.5, 2.0]), block=st.sampled_from([(4, 8), (16, 16), (100, 100)]),
    bfloat16=st.booleans(),
)  # fmt: skip
def test_equal_to_the_dense_search_in_blocks_of_any_size(n, r, k, seed, spread, block, bfloat16):
    matrix, labels = draw(n, r, seed, spread), torch.arange(n) // 2
    k = min(k, n * n - int(torch.bincount(labels).square().sum()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "ROWS", block[0])
        patch.setattr(pairs, "COLUMNS", block[1])
        patch.setattr(pairs, "is_fast_in_bfloat16", lambda _: bfloat16)
        values, where, share = find_largest_pairs(matrix, (labels, labels), k)
    assert torch.allclose(values, dense_best(matrix, labels, k), rtol=1e-4, atol=1e-5)
    assert torch.allclose(matrix.to_dense()[where[:, 0], where[:, 1]], values, rtol=1e-4, atol=1e-5)
    assert len({tuple(pair) for pair in where.tolist()}) == k
    assert (labels[where[:, 0]] != labels[where[:, 1]]).all()
    assert 0 < share <= 1


def test_equal_to_the_dense_search_over_5000_items():
    matrix, labels = draw(5000, 64, 1, 0.3), torch.arange(5000)
    values, _, share = find_largest_pairs(matrix, (labels, labels), 500)
    assert torch.allclose(values, dense_best(matrix, labels, 500), rtol=1e-5)
    assert share < 1, "rows of different lengths: some blocks are ruled out"


def test_ties_and_all_equal_scores_still_give_k():
    matrix = FactoredMatrix(torch.ones(30, 2), torch.ones(30, 2))
    values, where, _ = find_largest_pairs(matrix, (torch.arange(30), torch.arange(30)), 100)
    assert values.tolist() == [2.0] * 100
    assert len({tuple(pair) for pair in where.tolist()}) == 100


@given(n=st.integers(1, 40), r=st.integers(1, 200), seed=st.integers(0, 10**6), positive=st.booleans())
def test_products_in_bfloat16_err_less_than_the_margin(n, r, seed, positive):
    a, b = (torch.randn(n, r, generator=torch.Generator().manual_seed(seed + i)) for i in range(2))
    if positive:
        a, b = a.abs(), b.abs()
    error = (a.bfloat16() @ b.bfloat16().T).float() - a @ b.T
    assert (error.abs() <= ROUNDING[torch.bfloat16] * a.norm(dim=1)[:, None] * b.norm(dim=1)).all()


@pytest.mark.parametrize("bfloat16", [False, True])
def test_negative_entries_are_ordered_too(bfloat16, monkeypatch):
    monkeypatch.setattr(pairs, "is_fast_in_bfloat16", lambda _: bfloat16)
    monkeypatch.setattr(pairs, "ROWS", 8)
    monkeypatch.setattr(pairs, "COLUMNS", 8)
    g = torch.Generator().manual_seed(0)
    matrix = FactoredMatrix(torch.rand(40, 3, generator=g), -torch.rand(50, 3, generator=g))
    values, where, _ = find_largest_pairs(matrix, (torch.arange(40), torch.arange(50) + 40), 900)
    assert torch.allclose(values, matrix.to_dense().flatten().topk(900).values, atol=1e-6)
    assert torch.allclose(matrix.to_dense()[where[:, 0], where[:, 1]], values, atol=1e-6)
