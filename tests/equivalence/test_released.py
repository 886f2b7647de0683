"""The released rule against plain loops that were written from a description of the authors' code, without ours."""

import math
from dataclasses import replace

import pytest
import torch

from helpers import ExplorationPath, simec, simexp
from helpers.datasets import read_sentences
from helpers.equivalence import PRINTED, ReleasedSettings, released_simec, released_simexp

KINDS = {"simec": released_simec, "simexp": released_simexp}
RELEASED = ReleasedSettings(threshold=0.01)
ALONE = {  # each difference from the printed rule, switched alone
    "released": RELEASED,
    "threshold": replace(RELEASED, threshold=1e-6),
    "null_in_step": replace(RELEASED, null_in_step=False),
    "per_part": replace(RELEASED, per_part=False),
    "fixed_signs": replace(RELEASED, fixed_signs=False),
    "rounded_index": replace(RELEASED, rounded_index=False),
    "all of them": replace(PRINTED, threshold=0.01),
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def stretch(x):
    """A map of two parts of four coordinates into eight outputs, whose blocks are diagonal with distinct entries."""
    factors = torch.tensor([[2.0, 0.05, 0.7, 1e-4], [0.3, 5.0, 0.02, 1.1]], dtype=torch.float64)
    return (factors * x.reshape(2, 4)).flatten()


def next_point(f, x, kind, rule, generator):
    """One iteration in plain loops."""
    jacobian = torch.autograd.functional.jacobian(f, x).double().reshape(-1, *x.shape)
    groups = [[part] for part in range(len(x))] if rule.per_part else [list(range(len(x)))]
    uniform = torch.rand(len(groups), generator=generator, dtype=torch.float64)
    chosen = []
    for number, group in enumerate(groups):
        block = jacobian[:, group].flatten(1)
        values, vectors = torch.linalg.eigh(block.T @ block)
        values = [abs(float(value)) for value in values]
        d, largest = len(values), max(values)
        n = sum((value < rule.threshold) == (kind == "simec") for value in values)
        if rule.rounded_index:
            index = round(float(uniform[number]) * n)
            index = min(index, d - 1) if kind == "simec" else min(d - index, d - 1)
        else:
            index = math.floor(float(uniform[number]) * n)
            index = index if kind == "simec" else d - 1 - index
        if rule.null_in_step:
            delta = rule.eta / math.sqrt(largest / (min(values) + 1e-6))
        else:
            delta = rule.eta / math.sqrt(largest / min(value for value in values if value >= rule.threshold))
        chosen.append((group, delta * vectors[:, index]))
    signs = torch.ones(len(groups))
    if not rule.fixed_signs:
        signs = 2 * torch.randint(2, (len(groups),), generator=generator) - 1
    after = x.clone()
    for (group, move), sign in zip(chosen, signs.tolist(), strict=True):
        after[group] = x[group] + sign * move.reshape(len(group), -1).to(x.dtype)
    return after


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ALONE.values(), ids=ALONE)
def test_a_toy_is_walked_as_by_plain_loops(kind, rule):
    point = torch.zeros(2, 4, dtype=torch.float64)
    path = KINDS[kind](stretch, point, 60, settings=rule, generator=seeded(4))
    generator = seeded(4)
    for walked in path.points[1:]:
        after = next_point(stretch, point, kind, rule, generator)
        difference = walked - after
        if not rule.per_part:  # signs of the one block are those of the SVD, and are checked below
            difference = (walked - point).abs() - (after - point).abs()
        assert difference.abs().max() < 1e-12
        point = walked


def test_the_joint_block_keeps_its_signs():
    path = released_simexp(stretch, torch.zeros(2, 4).double(), 60, settings=replace(RELEASED, per_part=False))
    assert (path.points.diff(dim=0) > -1e-12).all(), "eigenvectors along the axes point the same way at each step"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["vit", "bert"])
def test_a_bundled_model_is_walked_as_by_plain_loops(kind, model, request):
    adapter = request.getfixturevalue(model)
    raw = request.getfixturevalue("digits").images[3] if model == "vit" else read_sentences("review").text[0]
    f = adapter.with_logits().output_map(adapter.encode(raw))
    f = adapter.with_logits().output_map(f.point, f.parts[:6])
    path = KINDS[kind](f, f.start, 4, generator=seeded(1))
    generator, point = seeded(1), f.start
    for walked in path.points[1:]:
        after = next_point(f, point, kind, RELEASED, generator)
        moves = walked - point, after - point
        assert torch.allclose(moves[0].norm(dim=1), moves[1].norm(dim=1), rtol=1e-2)
        if kind == "simexp":
            assert torch.allclose(*moves, atol=2e-2 * float(moves[1].abs().max()))
        else:  # null eigenvectors depend on rounding, but none changes an output; the first other one can be drawn
            jacobian = torch.autograd.functional.jacobian(f, point)
            units = [move / move.norm(dim=1, keepdim=True) for move in moves]
            changes = [torch.einsum("kpd,pd->pk", jacobian, unit).norm(dim=1) for unit in units]
            assert torch.allclose(*changes, atol=0.1, rtol=1e-2)
        point = walked


def test_the_largest_eigenvector_is_taken_where_none_exceeds_the_threshold():
    f = lambda x: 0.01 * stretch(x)  # noqa: E731
    path = released_simexp(f, torch.zeros(2, 4).double(), 5, settings=replace(RELEASED, eta=2.0))
    moved = path.points.diff(dim=0)
    assert moved.abs().argmax(-1).tolist() == [[0, 1]] * 5
    smallest = torch.tensor([1e-12, 4e-8]) + 1e-6
    assert torch.allclose(moved.norm(dim=-1), 2 * (smallest / torch.tensor([4e-4, 2.5e-3])).sqrt().double(), rtol=1e-5)
    alone = replace(RELEASED, eta=2.0, null_in_step=False)
    assert released_simexp(f, torch.zeros(2, 4).double(), 1, settings=alone).travel == pytest.approx(math.sqrt(8))


def test_with_everything_switched_steps_are_those_of_the_printed_rule():
    x = torch.zeros(2, 4, dtype=torch.float64)
    for printed, walk in ((simec, released_simec), (simexp, released_simexp)):
        f = stretch if printed is simexp else lambda x: stretch(x)[:2]
        first, second = (w(f, x, 40, generator=seeded(2)) for w in (printed, partial_printed(walk)))
        assert torch.allclose(first.step_sizes, second.step_sizes)
        axes = [set(path.points.diff(dim=0).flatten(1).abs().argmax(1).tolist()) for path in (first, second)]
        assert axes[0] == axes[1], "the same eigenvectors are drawn"


def partial_printed(walk):
    return lambda *arguments, **options: walk(*arguments, settings=PRINTED, **options)


def test_a_part_without_influence_stays_and_a_flat_map_ends_the_walk():
    x = torch.ones(2, 3, dtype=torch.float64)
    path = released_simexp(lambda x: x[0], x, 3)
    assert torch.equal(path.points[:, 1], x[1].expand(4, 3))
    assert len(released_simec(lambda x: x[0] * 0, x, 3)) == 0


def test_settings_are_checked_and_stored(tmp_path):
    with pytest.raises(ValueError, match="threshold=0"):
        ReleasedSettings(threshold=0)
    path = released_simexp(stretch, torch.zeros(2, 4).double(), 25, settings=replace(RELEASED, eta=2.0))
    path.save(tmp_path / "walk.safetensors")
    assert ExplorationPath.load(tmp_path / "walk.safetensors").settings == path.settings


def test_a_path_can_be_read_at_every_tenth_point():
    path = released_simexp(stretch, torch.zeros(2, 4).double(), 25)
    thin = path.every(10)
    assert torch.equal(thin.points, path.points[[0, 10, 20]])
    assert thin.step_sizes.tolist() == [float(path.step_sizes[:10].sum()), float(path.step_sizes[10:20].sum())]
    assert torch.equal(path.every(1).points, path.points)


def test_logits_differ_from_log_probabilities_by_one_number(vit, digits):
    point = vit.encode(digits.images[0])
    logits, outputs = vit.with_logits().output_map(point)(point), vit.output_map(point)(point)
    assert torch.allclose(logits.log_softmax(0), outputs) and not torch.allclose(logits, outputs)
    few = vit.with_logits().output_map(point, target=3)
    assert torch.equal(few(point), logits.topk(3).values), "no output for the rest"
    assert vit.output_map(point).head != few.head, "the adapter itself keeps its outputs"
