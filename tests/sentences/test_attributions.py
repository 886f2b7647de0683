"""Importance: unit moves, completeness of integrated gradients, and deletion curves below chance."""

import pytest
import torch

from helpers.datasets import read_sentences
from helpers.sentences import deletion_curve, integrated_gradients, mask_baseline, pullback_importance

TEXT = "A warm and funny film, with two fine actors."


def test_integrated_gradients_add_up_with_their_sign(bert):
    for parts in ([4], None):
        f = bert.output_map(bert.encode(TEXT), parts)
        baseline = mask_baseline(bert, f)
        whole = float((f(f.start) - f(baseline))[f(f.start).argmax()])
        assert integrated_gradients(f, baseline).sum() == pytest.approx(whole, rel=0.05, abs=1e-3)


def test_importance_is_the_largest_response_to_a_unit_move(bert):
    f = bert.output_map(bert.encode(TEXT))
    importance = pullback_importance(f)
    g = torch.Generator().manual_seed(0)
    p = f(f.start).exp()
    for part in range(3):
        move = torch.zeros_like(f.start)
        move[part] = torch.nn.functional.normalize(torch.randn(f.start.shape[1], generator=g), dim=0) * 1e-2
        response = ((f(f.start + move) - f(f.start)) * p.sqrt()).norm() / 1e-2
        assert response <= importance[part] * 1.05


def test_deletion_finds_both_better_than_chance(bert):
    means = {"metric": 0.0, "gradients": 0.0, "chance": 0.0}
    for seed, text in enumerate(read_sentences("review")["text"].tolist()[::10][:12]):
        f = bert.output_map(bert.encode(text))
        orders = {
            "metric": pullback_importance(f),
            "gradients": integrated_gradients(f, mask_baseline(bert, f)),
            "chance": torch.rand(len(f.parts), generator=torch.Generator().manual_seed(seed)),
        }
        for name, importance in orders.items():
            curve = deletion_curve(bert, f, importance)
            assert curve[0] == pytest.approx(float(f(f.start).exp().max()), abs=1e-4)
            means[name] += float(curve.mean())
    assert means["metric"] < means["chance"]
    assert means["gradients"] < means["chance"]
