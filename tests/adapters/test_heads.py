"""Heads: what outputs mean, how far two of them are apart, and what asks for probabilities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.adapters.heads import CLASSES, LABELS, VALUES
from helpers.geometry import Euclidean, FisherRao, total_variation

P = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])


def test_the_variation_of_known_outputs():
    assert CLASSES.variation(P[1].log(), P[0].log()) == pytest.approx(0.6)
    labels = torch.tensor([[0.9, 0.2], [0.8, 0.5]]).log()
    assert LABELS.variation(labels[1], labels[0]) == pytest.approx(0.3)
    assert VALUES.variation(torch.tensor([[1.0, 2.0], [4.0, -1.0]]), torch.tensor([1.0, 1.0])).tolist() == [1.0, 3.0]


@given(k=st.integers(2, 9), seed=st.integers(0, 10**6))
def test_for_classes_it_is_the_total_variation(k, seed):
    outputs = torch.randn(3, k, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    assert torch.equal(CLASSES.variation(outputs, outputs[0]), total_variation(outputs, outputs[0]))
    assert torch.equal(CLASSES.most_probable(outputs), outputs.argmax(1))


def test_values_have_no_probabilities():
    values = torch.tensor([0.3, -0.2])
    assert torch.equal(VALUES.probabilities(values), values)
    assert (VALUES.quantity, LABELS.quantity, CLASSES.quantity) == ("value", "probability", "probability")
    with pytest.raises(ValueError, match="hold values of a regression; this needs probabilities of classes or"):
        VALUES.most_probable(values)


def test_outputs_that_are_no_distribution_are_refused():
    with pytest.raises(ValueError, match="must be log-probabilities of one distribution"):
        CLASSES.probabilities(torch.tensor([0.3, -0.2]))
    assert LABELS.probabilities(torch.tensor([0.9, 0.8]).log()).tolist() == pytest.approx([0.9, 0.8])


def test_only_one_distribution_has_the_fisher_rao_metric():
    assert [head.output_metric for head in (CLASSES, LABELS, VALUES)] == [FisherRao(), Euclidean(), Euclidean()]
