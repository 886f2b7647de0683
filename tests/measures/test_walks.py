"""Measures of walks against closed forms and scipy."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from helpers import measures

OUTPUTS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])


def test_changes_of_a_known_walk():
    assert measures.prediction_changes(OUTPUTS) == 1
    assert measures.ranking_changes(OUTPUTS).tolist() == [1, 2, 0]
    assert measures.rank_correlation(OUTPUTS).tolist() == pytest.approx([0.5, -0.5, 1.0])


@given(k=st.integers(2, 9), seed=st.integers(0, 10**6))
def test_rankings_agree_with_scipy(k, seed):
    outputs = torch.randn(4, k, generator=torch.Generator().manual_seed(seed))
    tau = [kendalltau(a, b).statistic for a, b in itertools.pairwise(outputs)]
    pairs = k * (k - 1) / 2
    assert measures.ranking_changes(outputs).tolist() == pytest.approx([(1 - t) / 2 * pairs for t in tau])
    rho = [spearmanr(a, b).statistic for a, b in itertools.pairwise(outputs)]
    assert measures.rank_correlation(outputs).tolist() == pytest.approx(rho)


def test_a_tie_is_no_change_and_has_no_correlation():
    outputs = torch.tensor([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    assert measures.ranking_changes(outputs).tolist() == [0, 1]
    assert math.isnan(measures.rank_correlation(outputs)[0])


def test_the_distance_of_values_does_not_distinguish_classes():
    p = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    q = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]])
    assert measures.value_distance(p, q).tolist() == pytest.approx([0.0, 1 / 3])


def test_a_walk_twice_as_wide_has_twice_the_hypervolume():
    g = torch.Generator().manual_seed(0)
    walk = torch.randn(200, 3, 4, generator=g)
    small, large = measures.explored_hypervolume([walk, 2 * walk]).tolist()
    assert large / small == pytest.approx(2.0)
    assert measures.explored_hypervolume([walk + 5, 2 * walk + 5]).tolist() == pytest.approx([small, large])
    assert measures.explored_hypervolume([torch.ones(3, 2), torch.ones(3, 2)]).tolist() == [0, 0]


def test_a_box_has_the_geometric_mean_of_its_sides():
    corners = torch.tensor([[x, y] for x in (0.0, 8.0) for y in (0.0, 2.0)])
    assert measures.explored_hypervolume([corners, corners]).tolist() == pytest.approx([8.0, 8.0]), "90% need one side"
    square = torch.tensor([[x, y] for x in (0.0, 3.0) for y in (0.0, 2.0)])
    assert measures.explored_hypervolume([square])[0] == pytest.approx(math.sqrt(6))


def test_ratio_and_welchs_test():
    g = torch.Generator().manual_seed(0)
    few, many = 1 + 0.1 * torch.rand(20, generator=g), 3 + torch.rand(20, generator=g)
    ratio, p = measures.volume_ratio(many, few)
    assert ratio == pytest.approx(float(many.mean() / few.mean()))
    assert p < 1e-10
    assert measures.volume_ratio(few, few)[1] == pytest.approx(1.0)


def test_a_decoded_input_realigns_late_or_never():
    embedded = torch.tensor([0, 1, 1, 1, 2, 2, 0])
    decoded = torch.tensor([0, 0, 0, 1, 2, 2, 2])
    assert measures.measure_realignment(embedded, decoded) == measures.Realignment(
        misaligned=2, realigned=1, delays=(2,)
    )
