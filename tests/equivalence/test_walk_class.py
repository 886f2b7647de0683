"""The walk in a class: its curve, its certificate, and every way in which it can be steered or end."""

import math

import pytest
import torch

from helpers import Box, ExplorationPath, WalkSettings, simec, walk_class
from helpers.equivalence.counted_map import CountedMap
from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.level_set import LevelSet


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def grid(path, count):
    return path.at(torch.linspace(0, path.travel * (1 - 1e-9), count, dtype=torch.float64))


def cells(p):
    """Level curves that are closed, one per cell of size pi."""
    return torch.sin(p[:1]) * torch.sin(p[1:2])


def shells(p):
    """Concentric spheres."""
    return torch.cos(3 * p.norm()).reshape(1)


def ring(p):
    return p.square().sum().reshape(1)


def on_circle(angle):
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def wavy(p):
    """A closed curve with five arms."""
    return (p.norm() - 2 - 0.7 * torch.cos(5 * torch.atan2(p[1], p[0]))).reshape(1)


def on_wavy(angle):
    return (2 + 0.7 * math.cos(5 * angle)) * on_circle(angle)


def test_no_curve_leaves_its_cell():
    x = torch.tensor([1.2, 1.3], dtype=torch.float64) + 2 * math.pi
    for seed in range(10):
        path = walk_class(cells, x, travel=15.0, generator=seeded(seed))
        assert path.stopped_because == EndReason.TRAVEL_REACHED
        assert len(torch.floor(grid(path, 300) / math.pi).unique(dim=0)) == 1


@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_no_curve_leaves_its_shell_however_long_its_first_step(dimension, monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["helpers.equivalence.walk_class"], "FIRST_STEP", 0.5)
    for seed in range(6):
        x = torch.randn(dimension, generator=seeded(seed), dtype=torch.float64)
        x = x * (1.5 + seed) / x.norm()
        path = walk_class(shells, x, travel=15.0, generator=seeded(seed))
        assert (grid(path, 300).norm(dim=1) - x.norm()).abs().max() < 0.1


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_the_curve_of_a_model_holds_its_tolerance_between_the_points(vit, digits, tolerance):
    x = vit.encode(digits.images[1])
    f = vit.output_map(x)
    path = walk_class(f, x, travel=float(x.norm()), settings=WalkSettings(curve_tolerance=tolerance))
    first = f(x)
    assert max(float((f(p) - first).abs().max()) for p in grid(path, 200)) <= tolerance
    assert path.drift.max() <= 1e-4
    assert path.curve_drift.max() <= tolerance


def test_the_curve_is_parametrised_by_its_arc_length():
    path = walk_class(ring, on_circle(0.0), travel=5.0)
    s = torch.linspace(0, 5, 50, dtype=torch.float64)
    angles = torch.atan2(path.at(s)[:, 1], path.at(s)[:, 0]).abs()
    expected = torch.where(s > math.pi, 2 * math.pi - s, s)
    assert torch.allclose(angles, expected, atol=2e-3)
    ends = torch.cat([torch.zeros(1), path.step_sizes.cumsum(0)])
    assert torch.allclose(path.at(ends * (1 - 1e-9)), path.points, atol=1e-3)


@pytest.mark.parametrize("angle", [1.0, 3.0, 3.1, math.pi])
def test_a_target_on_the_far_side_of_a_ring_is_reached(angle):
    path = walk_class(ring, on_circle(0.0), travel=20.0, towards=on_circle(angle), generator=seeded(1))
    assert path.stopped_because == EndReason.TARGET_REACHED
    assert (path.points[-1] - on_circle(angle)).norm() < 0.01


@pytest.mark.parametrize("angle", [1.0, 2.0, 3.0, 4.0])
def test_a_target_behind_local_minima_of_the_distance_is_reached(angle):
    path = walk_class(wavy, on_wavy(0.3), travel=60.0, towards=on_wavy(angle), generator=seeded(1))
    assert path.stopped_because == EndReason.TARGET_REACHED


def test_a_walk_slides_along_the_bounds_and_says_where_the_class_leaves_them():
    box = Box(torch.tensor(-4.0).double(), torch.tensor(4.0).double())
    flat_arc = torch.tensor([-4.0, 2.4], dtype=torch.float64)
    path = walk_class(shells, flat_arc, travel=15.0, bounds=box, generator=seeded(0))
    assert path.stopped_because == EndReason.CLASS_LEAVES_BOX
    for seed in range(5):
        x = torch.tensor([3.9, 2.2, -1.8], dtype=torch.float64)
        path = walk_class(shells, x, travel=15.0, bounds=box, generator=seeded(seed))
        assert path.stopped_because == EndReason.TRAVEL_REACHED
        assert box.contains(grid(path, 100))


def test_a_jacobian_takes_as_many_backward_passes_as_the_rank():
    weights = torch.randn(3, 6, generator=seeded(0), dtype=torch.float64)
    f, x = CountedMap(lambda p: torch.tanh(weights @ p).log_softmax(0)), torch.ones(6, dtype=torch.float64)
    level_set = LevelSet(f, f(x), 1e-5)
    first, second = level_set.rows(x), level_set.rows(x)
    assert f.backward_passes == 3 + 2
    assert first.shape == (2, 6)
    assert torch.allclose(first, second)


def test_a_start_at_a_critical_point_is_walked_from_or_refused_with_a_reason():
    path = walk_class(lambda p: (p[0] ** 2 - p[1] ** 2).reshape(1), torch.zeros(2, dtype=torch.float64), travel=1.0)
    assert path.drift.max() <= 1e-4
    assert isinstance(path.stopped_because, EndReason)


@pytest.mark.parametrize("in_pixels", [False, True])
def test_a_stored_walk_keeps_its_curve(vit, digits, in_pixels, tmp_path):
    adapter = vit.in_pixels() if in_pixels else vit
    x = adapter.encode(digits.images[3])
    path = walk_class(adapter.output_map(x), x, 2.0, bounds=adapter.bounds(x) if in_pixels else None)
    path.save(tmp_path / "walk.safetensors")
    loaded = ExplorationPath.load(tmp_path / "walk.safetensors")
    assert torch.equal(grid(loaded, 50), grid(path, 50))
    assert torch.equal(loaded.curve_drift, path.curve_drift)


def test_only_a_curve_has_points_at_every_arc_length():
    path = walk_class(ring, on_circle(0.0), travel=2.0)
    for s in (-0.1, 2.2):
        with pytest.raises(ValueError, match="must lie between 0 and the"):
            path.at(s)
    with pytest.raises(ValueError, match="must lie between 0 and the travel"):
        path.up_to(1.0).at(1.5)
    with pytest.raises(ValueError, match="simec makes points and no curve"):
        simec(ring, on_circle(0.0), steps=3).at(0.1)


def test_a_walk_goes_round_a_face_of_a_box_and_past_its_corners():
    box = Box(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    for seed in range(5):
        x = torch.full((3,), 0.5, dtype=torch.float64)
        path = walk_class(lambda p: p.sum()[None], x, travel=8.0, bounds=box, generator=seeded(seed))
        assert path.stopped_because == EndReason.TRAVEL_REACHED
        assert box.contains(grid(path, 100))


def test_in_a_box_a_walk_towards_a_target_ends_at_the_nearest_point():
    box = Box(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    corner, target = torch.tensor([1.0, 0.0, 0.0]).double(), torch.tensor([1.0, 1.0, -1.0]).double()
    path = walk_class(lambda p: p.sum()[None], corner, travel=80.0, towards=target, bounds=box)
    assert torch.allclose(path.points[-1], torch.tensor([0.5, 0.5, 0.0]).double(), atol=1e-3)


def test_a_map_of_low_rank_at_the_start_ends_the_walk_at_a_ridge():
    ridge = lambda p: torch.stack([p[0], torch.exp(-((20 * (p.norm() - 3)) ** 2))])  # noqa: E731
    path = walk_class(ridge, torch.tensor([0.0, 1.9, 0.0]).double(), travel=8.0)
    assert path.curve_drift.max() <= 1e-3
    assert isinstance(path.stopped_because, EndReason)


def test_a_path_does_not_change_with_what_the_walk_was_given():
    x, box = torch.tensor([1.0, 2.0, 3.0]).double(), Box(torch.zeros(3).double(), torch.full((3,), 5.0).double())
    path = walk_class(ring, x, travel=1.0, bounds=box)
    before = grid(path, 20)
    x.zero_()
    box.lower.fill_(3.0)
    assert torch.equal(grid(path, 20), before)


def test_a_box_of_another_precision_fits_a_clamped_point():
    box = Box(torch.full((3,), 0.7, dtype=torch.float64), torch.full((3,), 5.0, dtype=torch.float64))
    x = box.clamp(torch.tensor([0.1, 1.0, 2.0]))
    assert walk_class(ring, x, travel=1.0, bounds=box).stopped_because == EndReason.TRAVEL_REACHED


@pytest.mark.parametrize(("x", "travel"), [([1.0, 2.0], 1e-200), ([1.0, 2.0], 1e-14)])
def test_a_travel_below_the_rounding_of_the_point_is_refused(x, travel):
    with pytest.raises(ValueError, match=r"travel=.*: is too short for torch\.float64 numbers"):
        walk_class(ring, torch.tensor(x).double(), travel)


def test_a_degenerate_critical_point_is_no_missing_gradient():
    path = walk_class(lambda p: (p - 1).pow(3).sum()[None], torch.ones(2, dtype=torch.float64), travel=1.0)
    assert isinstance(path.stopped_because, EndReason)


def helix(p):
    return torch.stack([p[0] - torch.cos(3 * p[2]), p[1] - torch.sin(3 * p[2])])


def on_helix(z):
    return torch.tensor([math.cos(3 * z), math.sin(3 * z), z], dtype=torch.float64)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.7), (0.0, -2.6), (1.0, 4.2)])
def test_a_target_on_an_open_fibre_is_reached_whichever_way_the_search_begins(start, end):
    path = walk_class(helix, on_helix(start), travel=300.0, towards=on_helix(end), generator=seeded(0))
    assert path.stopped_because == EndReason.TARGET_REACHED
    assert (path.points[-1] - on_helix(end)).norm() < 0.01


def test_a_target_on_another_piece_is_searched_for_until_the_travel_ends():
    x = torch.tensor([1.2, 1.3], dtype=torch.float64)
    path = walk_class(cells, x, travel=40.0, towards=x + 2 * math.pi, generator=seeded(0))
    assert path.stopped_because == EndReason.TRAVEL_REACHED
    assert len(torch.floor(grid(path, 300) / math.pi).unique(dim=0)) == 1
