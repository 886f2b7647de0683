"""The randomised metric: equal to the whole one where that is known, and honest about what it lacks."""

import pytest
import torch

from helpers import FisherRao, PullbackMetric, low_rank_metric


def decaying_map(outputs: int, inputs: int, rank: int):
    """A map of known rank, with singular values 1, 1/2, 1/4 ... at the origin."""
    g = torch.Generator().manual_seed(4)
    left = torch.linalg.qr(torch.randn(outputs, rank, generator=g, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(inputs, rank, generator=g, dtype=torch.float64)).Q.T
    values = 0.5 ** torch.arange(rank, dtype=torch.float64)
    return lambda x: left @ torch.tanh(values * (right @ x)), values, right


def test_a_low_rank_metric_is_the_largest_part_of_the_whole_one():
    f, values, right = decaying_map(300, 120, 20)
    origin = torch.zeros(120, dtype=torch.float64)
    found = low_rank_metric(f, origin, rank=6)
    assert torch.allclose(found.singular_values, values[:6], rtol=1e-6)
    assert (found.right @ right[:6].T).abs().diagonal().tolist() == pytest.approx([1] * 6, abs=1e-5)
    lacking = float(values[6:].square().sum() / values.square().sum())
    assert found.missing_trace == pytest.approx(lacking, rel=0.6)
    assert "of the trace missing" in repr(found)
    change = f(0.01 * right[0]) - f(origin)
    assert torch.allclose(found.solve_least_norm(change), 0.01 * right[0], atol=1e-5)
    assert torch.allclose(found.project_to_row_space(right[0]), right[0], atol=1e-5)


def test_a_low_rank_metric_of_full_rank_misses_nothing():
    f, _, _ = decaying_map(40, 30, 5)
    exact = PullbackMetric.at(f, torch.zeros(30, dtype=torch.float64))
    found = low_rank_metric(f, torch.zeros(30, dtype=torch.float64), rank=5)
    assert torch.allclose(found.dense(), exact.dense(), atol=1e-12)
    assert found.missing_trace < 1e-12
    with pytest.raises(ValueError, match="rank=0"):
        low_rank_metric(f, torch.zeros(30, dtype=torch.float64), rank=0)


def test_a_low_rank_metric_weighs_by_fisher_rao():
    f = lambda x: (torch.outer(torch.arange(50.0).double().sin(), x).sum(1) * x[0]).log_softmax(0)  # noqa: E731
    x = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    exact = PullbackMetric.at(f, x, FisherRao())
    assert torch.allclose(low_rank_metric(f, x, 3, FisherRao()).dense(), exact.dense(), atol=1e-10)


def test_a_constant_map_misses_nothing():
    found = low_rank_metric(lambda x: 0 * x[:3], torch.ones(4))
    assert (found.rank, found.missing_trace) == (0, 0.0)
    linear = torch.nn.Linear(4, 3)
    assert not low_rank_metric(linear, torch.ones(4)).eigenvalues.requires_grad
