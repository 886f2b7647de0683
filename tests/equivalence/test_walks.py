"""Walks: drift in closed form, tolerance as an invariant, then every way in which a walk can end."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import (
    Box,
    ExplorationPath,
    FisherRao,
    PullbackMetric,
    WalkSettings,
    create_generator,
    jacobian,
    leave_class,
    simec,
    simexp,
    walk_class,
)
from helpers.adapters import ToyAdapter
from helpers.adapters.toy import paraboloid, waves
from helpers.equivalence import collect_path, gradient_noise, simec_steps
from helpers.equivalence.baseline import NOISE
from helpers.equivalence.slices import Slice, project_to_kernel

START = torch.tensor([1.0, 0.5], dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def classes_of_six(seed: int):
    """A smooth classifier of 6 numbers into 3 classes, as log-probabilities, and a point."""
    g = seeded(seed)
    first, second = torch.randn(8, 6, generator=g).double(), torch.randn(3, 8, generator=g).double()
    return lambda x: (second @ torch.tanh(first @ x / 2)).log_softmax(0), torch.randn(6, generator=g).double()


@pytest.mark.parametrize("eta", [0.4, 0.1, 0.03])
def test_simec_drifts_by_the_square_of_its_step(eta):
    path = simec(paraboloid, START, steps=25, settings=WalkSettings(eta=eta))
    expected = torch.arange(26, dtype=torch.float64) * eta**2
    assert torch.allclose(path.drift, expected, rtol=1e-9, atol=1e-12)
    assert path.step_sizes.tolist() == pytest.approx([eta] * 25)


def test_simec_and_simexp_step_by_the_papers_rule():
    f = lambda x: torch.stack([3 * x[0], x[1]])  # noqa: E731
    point = torch.zeros(4, dtype=torch.float64)
    inside = simec(f, point, steps=5, settings=WalkSettings(eta=0.6))
    assert inside.step_sizes.tolist() == pytest.approx([0.6 / 3] * 5)  # sqrt(1 / 9)
    assert inside.drift.max() < 1e-12
    out = simexp(f, point, steps=40, settings=WalkSettings(eta=0.6), generator=seeded(1))
    moved = (out.points[1:] - out.points[:-1]).abs()
    assert set(moved.argmax(1).tolist()) == {0, 1}, "both seen eigenvectors are drawn"
    assert torch.allclose(moved.sum(1), torch.full((40,), 0.2, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([1e-3, 1e-6, 1e-9]))
def test_walk_class_never_leaves_the_tolerance(seed, persistence, tolerance):
    f, x = classes_of_six(seed)
    options = WalkSettings(tolerance=tolerance, persistence=persistence)
    path = walk_class(f, x, travel=3.0, settings=options, generator=seeded(seed))
    assert path.drift.max() <= tolerance
    assert path.stopped_because == "travel reached"
    assert 3.0 - 1e-9 <= path.travel <= 3.0 + float(path.step_sizes[-1]), "no step begins after the travel is reached"
    assert path.travel <= 1.1 * 3.0, "the last step ends near the travel"
    assert torch.allclose(path.outputs, torch.stack([f(p) for p in path.points]))
    assert path.total_variation.max() <= tolerance


def test_walk_class_stays_on_the_sphere():
    point = torch.tensor([2.0, 0.0, 0.0], dtype=torch.float64)
    path = walk_class(lambda x: x.norm().reshape(1), point, travel=20.0, settings=WalkSettings(tolerance=1e-10))
    assert torch.allclose(path.points.norm(dim=1), torch.full((len(path) + 1,), 2.0, dtype=torch.float64))
    assert path.pullback_length < 1e-8


def test_a_kept_direction_goes_straight_and_a_fresh_one_wanders():
    point, flat = torch.zeros(20, dtype=torch.float64) + 1, lambda x: x[:1]
    kept = walk_class(flat, point, travel=10.0)
    fresh = walk_class(flat, point, travel=10.0, settings=WalkSettings(persistence=0.0))
    assert kept.displacement == pytest.approx(kept.travel)
    assert fresh.displacement < 0.8 * fresh.travel


def test_same_seed_same_walk():
    f, x = classes_of_six(7)
    for walk in (simec, simexp, walk_class):
        first, second, other = (walk(f, x, generator=seeded(s)) for s in (5, 5, 6))
        assert torch.equal(first.points, second.points)
        assert not torch.equal(first.points[-1], other.points[-1])
        assert first.seed == 5


def test_towards_a_point_of_the_same_class_arrives():
    other = torch.tensor([-0.5, 1.0], dtype=torch.float64)
    path = walk_class(paraboloid, START, travel=50.0, towards=other, settings=WalkSettings(tolerance=1e-9))
    assert (path.points[-1] - other).norm() < 0.01
    assert path.drift.max() <= 1e-9


def test_towards_a_point_outside_ends_at_the_nearest_of_the_class():
    path = walk_class(paraboloid, START, travel=50.0, towards=torch.tensor([-3.0, 0.4], dtype=torch.float64))
    away = torch.tensor([-3.0, 0.4], dtype=torch.float64)
    nearest = away / away.norm() * START.norm()
    assert path.stopped_because == "no nearer point of the class lies ahead"
    assert (path.points[-1] - nearest).norm() < 0.1  # the class promises less than 0.1% of the distance there
    distances = (path.points - away).norm(dim=1)
    assert (distances[1:] < distances[:-1]).all()


def test_box_holds_and_the_path_says_when_it_stopped_the_walk():
    box = Box(torch.tensor(0.0), torch.tensor(1.0))
    f = lambda x: x.sum().reshape(1)  # noqa: E731
    path = walk_class(f, torch.full((3,), 0.2, dtype=torch.float64), travel=100.0, bounds=box)
    assert box.contains(path.points)
    assert path.drift.max() <= 1e-4
    corner = walk_class(f, torch.zeros(3, dtype=torch.float64), travel=1.0, bounds=box)
    assert len(corner) == 0
    assert corner.stopped_because == "no null direction was found inside the box"
    assert box.contains(simec(f, torch.full((3,), 0.2), steps=50, bounds=box).points)


def test_the_kernel_can_be_trivial():
    hills = ToyAdapter.load("three-hills")
    x = hills.encode((0.4, 0.1))
    assert walk_class(hills.output_map(x), x).stopped_because == "the kernel is trivial"
    assert simec(hills.output_map(x), x).stopped_because == "the kernel is trivial"


def test_an_unreachable_tolerance_ends_the_walk_with_its_points_kept():
    g = seeded(0)
    weights = torch.randn(30, 40, generator=g)
    f = lambda x: torch.tanh(weights @ x).log_softmax(0)  # noqa: E731, float32: 30 outputs never all come back exactly
    path = walk_class(f, torch.randn(40, generator=g), settings=WalkSettings(tolerance=1e-30))
    assert path.stopped_because == "the tolerance cannot be held"
    assert len(path.points) >= 1


@pytest.mark.parametrize(
    ("walk", "reason"),
    [
        (simec, "all steps made"),  # it keeps the sum of the coordinates, and with it a norm above 0.9
        (simexp, "the output is not finite"),
        (leave_class, "the output is not finite"),
    ],
)
def test_an_output_that_turns_nan_ends_the_walk_with_its_points_kept(walk, reason):
    def cliff(x):
        score = x.sum().reshape(1) + x[:1] * 0
        return torch.cat([score, -score]).log_softmax(0) + torch.where(x.norm() < 0.9, float("nan"), 0.0)

    settings = WalkSettings(eta=0.2, exit_step=0.2)
    path = walk(cliff, torch.tensor([1.0, 0.6, 0.0]).double(), settings=settings)
    assert path.stopped_because == reason
    assert len(path.points) > 1
    assert torch.isfinite(path.points).all() and torch.isfinite(path.outputs).all()


def test_leaving_a_circle_takes_its_radius():
    toy = ToyAdapter.load("circle")
    x = toy.encode((0.3, 0.4))
    path = leave_class(toy.output_map(x), x, settings=WalkSettings(margin=0.0))
    assert path.classes[-1] != path.classes[0]
    assert path.travel == pytest.approx(0.5, abs=0.01)
    assert path.displacement == pytest.approx(path.travel)


def test_leaving_for_a_chosen_class_enters_it():
    f, x = classes_of_six(11)
    home = int(f(x).argmax())
    for other in {0, 1, 2} - {home}:
        path = leave_class(f, x, to=other)
        assert path.stopped_because == "class left"
        assert path.classes[-1] == other
        assert path.outputs[-1].topk(2).values.diff().abs() >= 0.1 - 1e-9
    nearest = leave_class(f, x)
    assert nearest.stopped_because == "class left"
    assert f"pullback length: {nearest.pullback_length:.3g}" in repr(nearest)
    assert nearest.pullback_length >= float((nearest.outputs[-1] - nearest.outputs[0]).norm()) - 1e-9
    with pytest.raises(ValueError, match="is the predicted class of the point already"):
        leave_class(f, x, to=home)


def test_a_margin_out_of_reach_ends_the_way_out():
    bump = lambda x: torch.stack([x[0] * 0, (0.5 - (x[0] - 1) ** 2)])  # noqa: E731, the lead is at most 0.5
    path = leave_class(bump, torch.tensor([0.0], dtype=torch.float64), settings=WalkSettings(margin=50))
    assert path.stopped_because == "the lead of the new class has stopped growing"


def test_a_generator_is_created_from_a_whole_number_and_walks_take_nothing_else():
    assert torch.equal(torch.rand(3, generator=create_generator(4)), torch.rand(3, generator=create_generator(4)))
    for seed in (1.5, "1", -1, None):
        with pytest.raises(ValueError, match=r"seed=.*: must be a whole number between 0 and"):
            create_generator(seed)
    f, x = classes_of_six(11)
    with pytest.raises(ValueError, match=r"generator=3: must be a torch.Generator, such as create_generator\(0\)"):
        walk_class(f, x, 1.0, generator=3)


@pytest.mark.parametrize("name", ["eta", "margin", "persistence", "max_steps", "tolerance"])
def test_a_setting_that_is_no_number_is_named(name):
    with pytest.raises(ValueError, match=f"{name}='2': must be a"):
        WalkSettings(**{name: "2"})


def test_leaving_a_flat_spot_takes_a_random_direction():
    f = lambda x: torch.cat([x.square().sum().reshape(1) * 0 + 1, x.square().sum().reshape(1)])  # noqa: E731
    path = leave_class(
        f, torch.zeros(3, dtype=torch.float64), settings=WalkSettings(exit_step=0.5), generator=seeded(2)
    )
    assert path.stopped_because == "class left"
    assert path.travel == pytest.approx(1.05, abs=0.3)


def test_a_path_can_be_saved_and_loaded(tmp_path):
    f, x = classes_of_six(3)
    path = walk_class(f, x, travel=2.0, settings=WalkSettings(output_metric=FisherRao()))
    path.save(tmp_path / "walk.safetensors")
    back = ExplorationPath.load(tmp_path / "walk.safetensors")
    assert torch.equal(back.points, path.points)
    assert (back.settings, back.seed, back.stopped_because) == (path.settings, path.seed, path.stopped_because)
    assert back.pullback_length == path.pullback_length
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a stored walk"):
        ExplorationPath.load(tmp_path / "other.safetensors")


def test_a_path_shows_itself_and_can_be_cut():
    path = walk_class(paraboloid, START, travel=3.0)
    assert "travel reached" in path._repr_html_()
    half = path.up_to(1.5)
    assert half.travel <= 1.5
    assert half.travel + float(path.step_sizes[len(half)]) > 1.5
    chosen = path.evenly(4)
    assert chosen[0] == 0
    assert chosen[-1] == len(path)
    assert chosen == sorted(chosen)


def test_total_variation_wants_probabilities():
    with pytest.raises(ValueError, match="log-probabilities"):
        _ = walk_class(paraboloid, START, travel=1.0).total_variation


def test_the_stop_button_keeps_what_was_walked():
    def interrupted():
        steps = simec_steps(paraboloid, START, 100, None, WalkSettings(), seeded(0))
        for _ in range(4):
            yield next(steps)
        raise KeyboardInterrupt

    path = collect_path(interrupted(), "simec", WalkSettings(), 0)
    assert path.stopped_because == "interrupted"
    assert len(path) == 3


def test_projections_in_a_box_agree_with_the_metric_of_the_free_coordinates():
    f, x = classes_of_six(2)
    rows, heading = jacobian(f, x)[1], torch.randn(6, generator=seeded(1)).double()
    metric = PullbackMetric.at(f, x)
    free, frozen = project_to_kernel(rows, heading, x, None)
    assert torch.allclose(free, metric.project_to_kernel(heading), atol=1e-10) and not frozen.any()
    lower = torch.where(heading < 0, x, x - 1)
    move, frozen = project_to_kernel(rows, heading, x, Box(lower, x + 1))
    assert frozen.any() and not move[frozen].any()
    assert (x + 1e-6 * move >= lower).all(), "no coordinate at a bound is pushed beyond it"
    restricted = PullbackMetric.at(lambda y: f(torch.where(frozen, x, y)), x)
    assert torch.allclose(move, restricted.project_to_kernel(heading * ~frozen) * ~frozen, atol=1e-10)


def test_a_slice_is_spanned_by_a_null_direction_and_the_row_space():
    f, x = classes_of_six(2)
    slice_ = Slice.along(jacobian(f, x)[1], torch.ones(6, dtype=torch.float64), x, None)
    assert slice_.dimension == 3, "three log-probabilities have rank two"
    assert torch.allclose(slice_.frame @ slice_.frame.T, torch.eye(3, dtype=torch.float64), atol=1e-10)
    assert float(PullbackMetric.at(f, x).norm(slice_.frame[0])) < 1e-10


def test_a_corrected_walk_takes_few_jacobians(vit, digits):
    costs = []
    for image in digits.images[:7]:
        x = vit.encode(image)
        path = walk_class(vit.output_map(x), x, travel=2 * float(x.norm()))
        assert path.stopped_because == "travel reached"
        assert path.drift.max() <= 1e-4 and path.curve_drift.max() <= 1e-3
        assert path.backward_passes < 5 * len(path), "fewer Jacobians of ten outputs than half the steps"
        costs.append(path.cost)
    assert statistics.median(costs) < 350, "a fifth of what steps with a Jacobian each would take"


@pytest.mark.parametrize("towards", [None, START * 3])
def test_an_output_that_turns_nan_ends_a_corrected_walk(towards):
    cliff = lambda x: (x.square().sum() + torch.where(x[1] > 0.7, torch.nan, 0.0)).reshape(1)  # noqa: E731
    for seed in range(4):
        target = None if towards is None else torch.tensor([-0.1, 2.0], dtype=torch.float64)
        path = walk_class(cliff, START, travel=9.0, towards=target, generator=seeded(seed))
        assert torch.isfinite(path.outputs).all()
        assert path.drift.max() <= 1e-4
        assert path.stopped_because == "the output is not finite"


def test_a_map_of_very_many_outputs_says_what_to_do():
    many = lambda x: x[0].expand(2**20)  # noqa: E731
    with pytest.raises(ValueError, match="target=10"):
        walk_class(many, torch.ones(512))


def corner_starts():
    """Linear maps of six numbers into two, started in a corner of the unit box with a target beyond it."""
    for seed in range(40):
        g = seeded(seed)
        weights = torch.randn(2, 6, generator=g, dtype=torch.float64)
        corner = (torch.rand(6, generator=g) < 0.5).double()
        yield weights, corner, 3 * torch.rand(6, generator=g, dtype=torch.float64) - 1


def test_towards_a_target_in_a_box_ends_at_the_nearest_point_of_the_class():
    from scipy.optimize import minimize

    box = Box(torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64))
    for weights, corner, target in corner_starts():
        w, c, t = weights.numpy(), corner.numpy(), target.numpy()
        held = {"type": "eq", "fun": lambda z, w=w, c=c: w @ (z - c)}
        best = minimize(
            lambda z, t=t: ((z - t) ** 2).sum(),
            c,
            bounds=[(0, 1)] * 6,
            constraints=held,
            options={"ftol": 1e-12},
        )
        path = walk_class(lambda z, w=weights: w @ z, corner, travel=50.0, towards=target, bounds=box)
        assert box.contains(path.points)
        assert (path.points[-1] - target).norm() <= best.fun**0.5 * 1.02 + 1e-3


def test_a_walk_out_of_a_corner_finds_the_free_direction():
    box = Box(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    for seed in range(50):
        path = walk_class(
            lambda x: (x[0] - x[1])[None],
            torch.zeros(2, dtype=torch.float64),
            travel=0.3,
            bounds=box,
            generator=seeded(seed),
        )
        assert path.travel == pytest.approx(0.3, rel=0.05)


def test_a_small_point_walks_straight_to_a_far_target():
    start, target = torch.tensor([0, 1e-3, 0]).double(), torch.tensor([0.0, 10.0, 0.0]).double()
    path = walk_class(lambda x: x[:1], start, travel=1e4, towards=target, settings=WalkSettings(max_steps=50_000))
    assert path.stopped_because == "target reached"


def test_a_jacobian_that_is_not_finite_is_named():
    at_the_tip = torch.tensor([0.0, 0.0, 1.0])
    assert walk_class(lambda x: x[:2].square().sum().sqrt()[None], at_the_tip).stopped_because == (
        "the Jacobian is not finite"
    )


def test_a_short_walk_is_not_overshot():
    path = walk_class(lambda x: x[:1], 100 * torch.ones(5).double(), travel=0.1)
    assert path.travel == pytest.approx(0.1, rel=0.05)


def test_leaving_on_the_last_step_counts():
    settings = WalkSettings(max_steps=1, exit_step=100.0)
    path = leave_class(lambda x: x, torch.tensor([0.02, 0.0, 0.0]).double(), settings=settings)
    assert path.stopped_because == "class left"


def test_costs_are_counted():
    path = simec(waves, START, steps=7)
    assert path.backward_passes == 7
    assert path.forward_passes == 1 + 1 + 7, "the start, the check that f repeats itself, and the steps"
    assert path.cost == 9 + 2 * 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simec(paraboloid, START, steps=0), "steps=0"),
        (lambda: simexp(paraboloid, START, steps=-3), "steps=-3"),
        (lambda: walk_class(paraboloid, START, travel=0), "travel=0"),
        (lambda: walk_class(paraboloid, START, travel=float("nan")), "travel=nan"),
        (lambda: walk_class(paraboloid, START, towards=torch.zeros(3)), "towards: has shape"),
        (lambda: walk_class(paraboloid, START, towards=START * math.nan), "towards: 2 of 2"),
        (lambda: walk_class(paraboloid, START * math.nan), "point: 2 of 2"),
        (lambda: walk_class(torch.log, -START), "outputs: 2 of 2"),
        (lambda: leave_class(paraboloid, START), "at least 2"),
        (lambda: leave_class(lambda x: x, START, to=2), "to=2"),
        (lambda: leave_class(lambda x: x, START, settings=WalkSettings(output_metric=FisherRao())), "outputs: must be"),
        (lambda: WalkSettings(tolerance=0), "tolerance=0"),
        (lambda: WalkSettings(max_steps=2.0), "max_steps=2.0"),
        (lambda: walk_class(paraboloid, START, bounds=Box(-torch.ones(3, 2), torch.ones(3, 2))), "bounds: of shape"),
        (lambda: WalkSettings(persistence=1.5), "persistence=1.5"),
        (lambda: WalkSettings(margin=-1), "margin=-1"),
        (lambda: WalkSettings(eta=math.inf), "eta=inf"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_leaving_ends_from_the_convex_side_too():
    toy = ToyAdapter.load("circle")
    for seed in range(12):
        x = toy.encode(torch.randn(2, generator=seeded(seed)).double() * 0.7 + 1.2)
        path = leave_class(toy.output_map(x), x, settings=WalkSettings(max_steps=400))
        assert path.stopped_because == "class left"
        assert path.classes[-1] != path.classes[0]


def test_a_tie_is_not_another_class():
    hills = ToyAdapter.load("three-hills")
    x = hills.encode((0.5, 0.1))
    path = leave_class(hills.output_map(x), x, settings=WalkSettings(margin=0.0))
    assert path.classes[-1] != path.classes[0]


def test_confident_models_can_be_walked_under_fisher_rao():
    weights = 10 * torch.randn(5, 30, generator=seeded(0)).double()
    f = lambda x: torch.tanh(weights @ x / 10).mul(40).log_softmax(0)  # noqa: E731
    x = torch.randn(30, generator=seeded(1)).double()
    path = walk_class(f, x, travel=3.0, settings=WalkSettings(output_metric=FisherRao()))
    assert path.stopped_because == "travel reached"
    assert path.drift.max() <= 1e-4


def test_a_flat_map_is_named_flat():
    for walk in (simec, simexp):
        path = walk(paraboloid, torch.zeros(2, dtype=torch.float64))
        assert "flat" in path.stopped_because


@pytest.mark.parametrize("walk", [simec, simexp, walk_class])
def test_no_walk_begins_outside_its_box(walk):
    box = Box(torch.tensor(-1.0), torch.tensor(1.0))
    with pytest.raises(ValueError, match="outside the bounds"):
        walk(paraboloid, START * 3, bounds=box)
    with pytest.raises(ValueError, match="bounds: every lower bound"):
        Box(torch.tensor(1.0), torch.tensor(float("nan")))


def test_a_metric_that_load_does_not_know_is_not_saved(tmp_path):
    class Mine:
        def weigh(self, outputs, changes):
            return changes.double()

    path = simec(paraboloid, START, steps=2, settings=WalkSettings(output_metric=Mine()))
    with pytest.raises(ValueError, match="output_metric"):
        path.save(tmp_path / "walk.safetensors")
    (tmp_path / "text.safetensors").write_text("not a walk")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        ExplorationPath.load(tmp_path / "text.safetensors")


@pytest.mark.parametrize("size", [0.1, -0.1], ids=["up", "down"])
def test_the_baseline_goes_one_way_along_the_gradient_with_little_noise(size):
    slope = torch.tensor([3.0, 0.0, 4.0, 0.0, 0.0, 0.0], dtype=torch.float64) / 5
    f = lambda x: torch.stack([x @ slope, -(x @ slope)])  # noqa: E731
    path = gradient_noise(f, 9 * slope, 50, size, generator=seeded(3))
    moved = path.points[1:] - path.points[:-1]
    assert path.step_sizes.tolist() == pytest.approx([0.1] * 50)
    assert (moved @ slope).tolist() == pytest.approx([size / math.sqrt(1 + NOISE**2)] * 50)
    across = moved - (moved @ slope)[:, None] * slope
    assert float((across.sum(0) / across.norm(dim=1).sum()).norm()) < 0.5, "the noise has no direction of its own"
    assert (path.forward_passes, path.backward_passes) == (52, 50)
    assert torch.equal(path.points, gradient_noise(f, 9 * slope, 50, size, generator=seeded(3)).points)


def test_the_baseline_follows_the_class_that_was_predicted_first():
    f = lambda x: torch.stack([x[0], -x[0]]) + 0 * x.sum()  # noqa: E731
    path = gradient_noise(f, torch.tensor([0.15, 0.0]).double(), 6, -0.1)
    assert path.classes.tolist()[:1] + path.classes.tolist()[-1:] == [0, 1]
    assert (path.points.diff(dim=0)[:, 0] < 0).all(), "down its gradient, also where another class is predicted"
    with pytest.raises(ValueError, match="size=0"):
        gradient_noise(f, START, 5, 0)
