"""The published algorithm that the benchmarks measure against must be the published one."""

import pytest
import torch

from helpers import PullbackMetric
from tests.benchmarks.reference import reference_simec


def bent(x):
    g = torch.Generator().manual_seed(0)
    weights = torch.randn(3, x.numel(), generator=g, dtype=x.dtype)
    return torch.tanh(weights @ x.flatten() / 3).log_softmax(0)


def test_every_part_takes_a_null_step_of_the_papers_length():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    walk = reference_simec(bent, x, eta=0.5)
    (start, _), (moved, _) = next(walk), next(walk)
    metric = PullbackMetric.at(bent, start)
    assert metric.norm(moved - start) < 1e-10
    for part in range(4):
        block = metric.block(part)
        assert block.norm((moved - start)[part]) < 1e-10
        assert (moved - start)[part].norm() == pytest.approx(0.5 / block.condition**0.5)


def test_its_drift_falls_with_the_square_of_its_step():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drifts = []
    for eta in (0.1, 0.05):
        walk = reference_simec(bent, x, eta, seed=3)
        (_, first), (_, second) = next(walk), next(walk)
        drifts.append(float((second - first).abs().max()))
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.1)
