"""Areas under ROC curves, beside counting pairs, and their intervals, beside drawing texts again."""

import pytest
import torch
from scipy.stats import mannwhitneyu

from helpers.measures import area_under_curve, mean_area

LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("log_odds", "area"), [([1, 2, 3, 4], 1), ([4, 3, 2, 1], 0), ([2, 2, 2, 2], 0.5), ([1, 3, 2, 4], 0.75)]
)
def test_areas_are_shares_of_rightly_ordered_pairs(log_odds, area):
    assert area_under_curve(torch.tensor(log_odds), LABELS) == area
    assert area_under_curve(torch.tensor([log_odds, [1, 2, 3, 4]]), LABELS).tolist() == [area, 1]


def test_the_area_is_the_statistic_of_mann_and_whitney():
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(50, generator=generator) < 0.4).long()
    log_odds = torch.randint(5, (3, 2, 50), generator=generator).double()  # with ties
    statistic = mannwhitneyu(log_odds[..., labels == 1], log_odds[..., labels == 0], axis=-1).statistic
    n_pairs = int(labels.sum() * (1 - labels).sum())
    assert area_under_curve(log_odds, labels).numpy() == pytest.approx(statistic / n_pairs)


def test_the_mean_area_has_the_spread_of_areas_over_samples_of_texts():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(100) % 2
    samples = labels + torch.randn(400, 2, 100, generator=generator)  # two classifiers, independent
    areas = area_under_curve(samples, labels)
    intervals = [mean_area(sample, labels) for sample in samples[:50]]
    assert [mean for mean, _, _ in intervals] == pytest.approx(areas.mean(1)[:50].tolist())
    widths = torch.tensor([(high - low) / 2 / 1.96 for _, low, high in intervals])
    assert float(widths.mean()) == pytest.approx(float(areas.mean(1).std()), rel=0.1)


def test_the_difference_to_the_same_classifiers_is_zero_and_to_others_is_that_of_their_areas():
    log_odds = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 2
    assert mean_area(log_odds, labels, log_odds) == (0, 0, 0)
    mean, low, high = mean_area(log_odds[:2], labels, minus=log_odds[2])
    areas = area_under_curve(log_odds, labels)
    assert mean == pytest.approx(float(areas[:2].mean() - areas[2]))
    assert low < mean < high and high - mean == pytest.approx(mean - low)
