"""The training loop: a killed training goes on and ends where an undisturbed one ends."""

import pytest
import torch
from torch import nn

from data.training.loop import Optimisation, epoch_order, fit

SCHEDULE = Optimisation(steps=30, peak_lr=0.05, save_every=5)


class KilledError(Exception):
    pass


def make_model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1))


def loss_for(model, killed_at=None):
    g = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 4, generator=g)
    targets = inputs[:, :1] * inputs[:, 1:2]

    def loss_at(step):
        if step == killed_at:
            raise KilledError
        chosen = epoch_order(step, 8, 40, generator_seed=3)
        return (model(inputs[chosen]) - targets[chosen]).square().mean()

    return loss_at


@pytest.mark.parametrize("killed_at", [3, 17, 25])
@pytest.mark.parametrize("with_muon", [False, True])
def test_a_killed_training_ends_where_an_undisturbed_one_does(tmp_path, killed_at, with_muon):
    def train(model, folder, killed_at=None):
        fit(model, loss_for(model, killed_at), SCHEDULE, tmp_path / folder, hidden=model[0] if with_muon else None)

    straight, broken, resumed = make_model(), make_model(), make_model()
    train(straight, "straight")
    with pytest.raises(KilledError):
        train(broken, "broken", killed_at)
    train(resumed, "broken")
    for undisturbed, continued in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(undisturbed, continued)
    assert "step,loss" in (tmp_path / "broken" / "log.csv").read_text()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    model = make_model()
    fit(model, loss_for(model), SCHEDULE, tmp_path)
    with pytest.raises(ValueError, match="belongs to another recipe"):
        fit(model, loss_for(model), Optimisation(steps=31, peak_lr=0.05), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    model = make_model()
    with pytest.raises(FloatingPointError, match="loss is nan"):
        fit(model, lambda step: model(torch.ones(1, 4)).sum() * float("nan"), SCHEDULE, tmp_path)


def test_an_epoch_contains_every_index_once_and_the_next_has_another_order():
    first = torch.cat([epoch_order(step, 8, 40, 3) for step in range(5)])
    second = torch.cat([epoch_order(step, 8, 40, 3) for step in range(5, 10)])
    assert sorted(first.tolist()) == list(range(40)) == sorted(second.tolist())
    assert first.tolist() != second.tolist()


def test_learning_rate_rises_and_decays():
    rates = [SCHEDULE.lr(step) for step in range(30)]
    assert rates[:4] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, 0.05])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0.0005 < rates[-1] < 0.002
