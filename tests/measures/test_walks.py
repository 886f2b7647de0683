"""Measures of walks against closed forms and scipy."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr, ttest_1samp
from sklearn.decomposition import PCA

from helpers import measures
from helpers.geometry import total_variation

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


def test_the_first_change_is_counted_from_the_start():
    assert measures.first_change(OUTPUTS) == 2
    assert measures.first_change(OUTPUTS[2:]) is None
    back = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert measures.first_change(back) == 1


def test_opposite_predictions_are_at_the_largest_distance():
    p = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    q = torch.tensor([[0.1, 0.7, 0.2], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    assert measures.prediction_distance(p, q).tolist() == pytest.approx([1.2, 2.0, 0.0])
    assert measures.prediction_distance(p, q)[0] == pytest.approx(2 * float(total_variation(p.log(), q.log())[0]))


def test_probabilities_are_correlated_for_the_class_predicted_at_each_point():
    embedded = torch.tensor([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
    decoded = torch.tensor([[0.5, 0.5], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    correlation, p = measures.probability_correlation(embedded, decoded)
    expected = pearsonr([0.6, 0.7, 0.8, 0.9], [0.5, 0.6, 0.3, 0.8])
    assert (correlation, p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-5)
    assert all(map(math.isnan, measures.probability_correlation(embedded, torch.full((4, 2), 0.5))))


def test_a_box_has_the_product_of_its_sides_per_part():
    corners = torch.tensor([[x, y] for x in (0.0, 8.0) for y in (0.0, 2.0)], dtype=torch.float64)
    square = torch.tensor([[x, y] for x in (0.0, 3.0) for y in (0.0, 2.0)], dtype=torch.float64)
    still = torch.ones(4, 2, dtype=torch.float64)
    volumes, dimensions = measures.log_volumes([torch.stack([corners, square, still], 1)])
    assert dimensions.tolist() == [1, 2, 0], "90% of the variance of the first part need one side"
    assert volumes[0, :2].tolist() == pytest.approx([math.log(8), math.log(6)])
    assert math.isnan(volumes[0, 2])


def test_a_walk_twice_as_wide_has_2_to_the_n_times_the_volume():
    walk = torch.randn(200, 3, 4, generator=torch.Generator().manual_seed(0))
    volumes, dimensions = measures.log_volumes([walk, 2 * walk])
    assert (volumes[1] - volumes[0]).tolist() == pytest.approx((dimensions * math.log(2)).tolist())
    moved, _ = measures.log_volumes([walk + 5, 2 * walk + 5])
    assert torch.allclose(moved, volumes)


def test_volumes_agree_with_the_principal_components_of_scikit_learn():
    g = torch.Generator().manual_seed(1)
    walks = [torch.randn(n, 2, 6, generator=g).double() * torch.arange(1, 7) for n in (30, 50)]
    volumes, dimensions = measures.log_volumes(walks)
    for part in range(2):
        pca = PCA(0.9, svd_solver="full").fit(torch.cat(walks)[:, part])
        assert dimensions[part] == pca.n_components_
        for walk, volume in zip(walks, volumes, strict=True):
            expected = np.log(np.ptp(pca.transform(walk[:, part]), axis=0)).sum()
            assert float(volume[part]) == pytest.approx(expected)


def test_volumes_are_compared_in_pairs():
    ratios = torch.tensor([2.0, 4.0, 8.0, 1e6, 3.0])
    compared = measures.compare_volumes(torch.cat([ratios.log(), torch.tensor([float("nan")])]))
    assert compared.median == pytest.approx(4.0)
    assert compared.statistic == pytest.approx(float(ttest_1samp(ratios.double().numpy(), 1).statistic), rel=1e-5)
    assert compared.statistic < 1.1, "one wide pair hides that all ratios are above 1"
    assert compared.p == pytest.approx(2 / 2**5)


def test_a_decoded_input_realigns_late_or_never():
    embedded = torch.tensor([0, 1, 1, 1, 2, 2, 0])
    decoded = torch.tensor([0, 0, 0, 1, 2, 2, 2])
    assert measures.measure_realignment(embedded, decoded) == measures.Realignment(
        misaligned=2, realigned=1, delays=(2,)
    )
