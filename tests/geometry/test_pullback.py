"""The pullback metric: closed forms first, then what must hold at any point of any smooth map."""

import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from helpers import Box, Euclidean, FisherRao, PullbackMetric, jacobian
from helpers.adapters.toy import paraboloid, saddle, waves
from helpers.geometry import RANK_TOLERANCE, thin_svd, to_float64

seeds = st.integers(0, 2**31)
sizes = st.integers(1, 12)


def random_net(seed: int, n: int, k: int, width: int = 7):
    """A smooth map from n to k numbers and a point, both random, float64."""
    g = torch.Generator().manual_seed(seed)
    first, second = torch.randn(width, n, generator=g).double(), torch.randn(k, width, generator=g).double()
    return lambda x: second @ torch.tanh(first @ x.flatten()), torch.randn(n, generator=g).double()


def test_paraboloid_by_hand():
    metric = PullbackMetric.at(paraboloid, torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert torch.allclose(metric.dense(), torch.tensor([[4.0, 2.0], [2.0, 1.0]], dtype=torch.float64))
    assert (metric.rank, metric.nullity) == (1, 1)
    assert metric.eigenvalues.tolist() == pytest.approx([5.0])
    null = metric.project_to_kernel(torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert torch.allclose(null, torch.tensor([0.2, -0.4], dtype=torch.float64))


@pytest.mark.parametrize(
    ("f", "gradient"), [(saddle, lambda x, y: (2 * x, -2 * y)), (waves, lambda x, y: (math.cos(x), -math.sin(y)))]
)
def test_surfaces_have_their_gradients(f, gradient):
    metric = PullbackMetric.at(f, torch.tensor([0.7, -1.1], dtype=torch.float64))
    assert metric.factor[0].tolist() == pytest.approx(gradient(0.7, -1.1))


def test_only_the_radius_changes_the_norm():
    point = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    metric = PullbackMetric.at(lambda x: x.norm().reshape(1), point)
    assert metric.eigenvalues.tolist() == pytest.approx([1.0])
    assert metric.nullity == 2
    assert torch.allclose(metric.eigenvectors[0].abs(), point / 3)


def test_fisher_rao_of_a_softmax_is_its_fisher_information():
    logits = torch.tensor([0.3, -1.0, 2.0, 0.1], dtype=torch.float64)
    metric = PullbackMetric.at(lambda x: x.log_softmax(0), logits, FisherRao())
    p = logits.softmax(0)
    assert torch.allclose(metric.dense(), torch.diag(p) - torch.outer(p, p), atol=1e-12)
    assert metric.rank == 3


def test_fisher_rao_refuses_what_is_no_distribution():
    with pytest.raises(ValueError, match="log-probabilities"):
        PullbackMetric.at(lambda x: x, torch.ones(3), FisherRao())


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, sizes)
def test_jacobian_matches_finite_differences(seed, n, k):
    f, x = random_net(seed, n, k)
    outputs, rows = jacobian(f, x)
    h = 1e-6
    numeric = torch.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in torch.eye(n, dtype=torch.float64)], 1)
    assert torch.equal(outputs, f(x))
    assert torch.allclose(rows, numeric, atol=1e-7)
    assert torch.allclose(rows, jacobian(f, x, chunk_size=1)[1], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, sizes)
def test_metric_is_symmetric_and_semi_definite_with_the_factors_eigenpairs(seed, n, k):
    f, x = random_net(seed, n, k)
    metric = PullbackMetric.at(f, x)
    dense = metric.dense()
    assert torch.allclose(dense, dense.T)
    by_eigh = torch.linalg.eigvalsh(dense).flip(0)
    assert by_eigh.min() > -1e-9 * max(1.0, float(by_eigh.max()))
    assert torch.allclose(
        by_eigh[: len(metric.eigenvalues)], metric.eigenvalues, atol=1e-8 * float(by_eigh.max()) + 1e-12
    )
    for value, vector in zip(metric.eigenvalues, metric.eigenvectors, strict=True):
        assert torch.allclose(dense @ vector, value * vector, atol=1e-8 * float(by_eigh.max()) + 1e-12)
    assert metric.rank + metric.nullity == n
    assert metric.rank <= min(n, k)


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, sizes)
def test_projections_onto_the_kernel_and_the_row_space(seed, n, k):
    f, x = random_net(seed, n, k)
    metric = PullbackMetric.at(f, x)
    v = torch.randn(n, generator=torch.Generator().manual_seed(seed + 1)).double()
    null, visible = metric.project_to_kernel(v), metric.project_to_row_space(v)
    assert torch.allclose(null + visible, v)
    assert abs(float(null @ visible)) < 1e-9 * float(v @ v)
    assert float((jacobian(f, x)[1] @ null).norm()) < 1e-4 * float(metric.singular_values[0] * v.norm())
    assert torch.allclose(metric.project_to_kernel(null), null, atol=1e-9)
    assert float(metric.norm(v) ** 2) == pytest.approx(float(v @ metric.dense() @ v), abs=1e-9)
    assert float(metric.inner(v, v)) == pytest.approx(float(metric.norm(v) ** 2))


@settings(max_examples=40, deadline=None)
@example(7273882, 10, 5)
@given(seeds, sizes, st.integers(1, 5))
def test_the_solution_is_the_least_norm_one(seed, n, k):
    f, x = random_net(seed, n, k)
    metric, rows = PullbackMetric.at(f, x), jacobian(f, x)[1]
    change = rows @ torch.randn(n, generator=torch.Generator().manual_seed(seed + 2)).double()
    values = metric.singular_values / metric.singular_values[0]
    assume(not ((values > RANK_TOLERANCE / 2) & (values < 2 * RANK_TOLERANCE)).any())  # the rank is not in doubt
    move = metric.solve_least_norm(change)
    oracle = torch.linalg.lstsq(rows, change.unsqueeze(1), rcond=RANK_TOLERANCE, driver="gelsd").solution[:, 0]
    assert torch.allclose(move, oracle, atol=1e-6 * float(oracle.norm() + 1))


def test_a_singular_value_below_the_tolerance_does_not_count_in_the_least_norm_solution():
    f, x = random_net(7273882, 10, 5)
    metric, rows = PullbackMetric.at(f, x), jacobian(f, x)[1]
    assert metric.rank == 4, "the fifth singular value is 5.5e-6 of the first"
    change = rows @ torch.ones(10, dtype=torch.float64)
    oracle = torch.linalg.lstsq(rows, change.unsqueeze(1), rcond=RANK_TOLERANCE, driver="gelsd").solution[:, 0]
    assert torch.allclose(metric.solve_least_norm(change), oracle, atol=1e-9)


def test_blocks_are_the_dense_metrics_diagonal_blocks():
    f, x = random_net(3, 12, 4)
    point = x.reshape(3, 4)
    metric = PullbackMetric.at(f, point)
    for part in range(3):
        inside = slice(4 * part, 4 * part + 4)
        block = metric.block(part)
        assert torch.allclose(block.dense(), metric.dense()[inside, inside])
        assert float(metric.part_norms()[part]) == pytest.approx(float(block.eigenvalues[0].sqrt()))
    with pytest.raises(ValueError, match="part=3"):
        metric.block(3)


def test_shape_and_precision_of_the_point_are_kept():
    point = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0))
    metric = PullbackMetric.at(lambda x: torch.stack([x.sum(), x.square().sum()]), point)
    assert metric.eigenvectors.shape == (2, 3, 2, 2)
    assert metric.project_to_kernel(point).dtype == torch.float32
    assert metric.solve_least_norm(torch.ones(2)).shape == point.shape
    assert metric.singular_values.dtype == torch.float64


def test_a_constant_map_has_rank_zero():
    metric = PullbackMetric.at(lambda x: 0 * x[:1], torch.ones(4))
    assert (metric.rank, metric.nullity) == (0, 4)
    assert torch.equal(metric.project_to_kernel(torch.ones(4)), torch.ones(4))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="point: 1 of 3 values are NaN or infinite, the first at"):
        PullbackMetric.at(paraboloid, torch.tensor([0.0, float("nan"), 1.0]))
    with pytest.raises(ValueError, match="outputs"):
        PullbackMetric.at(lambda x: x.log(), -torch.ones(2))
    with pytest.raises(ValueError, match=r"shape \(k,\)"):
        jacobian(lambda x: x.sum(), torch.ones(2))
    with pytest.raises(ValueError, match="tangent_vec: has 3 entries"):
        PullbackMetric.at(paraboloid, torch.ones(2)).norm(torch.ones(3))
    with pytest.raises(ValueError, match=r"tangent_vec: holds torch\.int64"):
        PullbackMetric.at(paraboloid, torch.ones(2)).project_to_kernel(torch.tensor([1, 0]))
    with pytest.raises(ValueError, match=r"point: holds torch\.int64"):
        PullbackMetric.at(paraboloid, torch.tensor([1, 0]))


def test_box():
    box = Box(torch.tensor(0.0), torch.tensor(1.0))
    point = torch.tensor([0.0, 1.0, 0.5])
    assert box.blocks(point, torch.tensor([-1.0, 1.0, 1.0])).tolist() == [True, True, False]
    assert not box.blocks(point, torch.tensor([1.0, -1.0, -1.0])).any()
    assert box.contains(box.clamp(torch.tensor([-3.0, 0.2, 9.0])))


def test_euclidean_weighs_nothing():
    changes = torch.rand(3, 4)
    assert torch.equal(Euclidean().weigh(torch.zeros(3), changes), changes.double())


def test_without_float64_on_the_device_ranks_are_decided_on_the_cpu():
    class OnMps:
        """A stand-in for a tensor of a device that has no float64."""

        device = torch.device("mps")

        def __init__(self, tensor):
            self.tensor = tensor

        def cpu(self):
            return self.tensor

    values = torch.ones(3)
    assert to_float64(OnMps(values)).dtype == torch.float64
    assert to_float64(values).data_ptr() != values.data_ptr()


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (1, 5), (4, 4)])
def test_a_decomposition_has_one_choice_of_signs(shape):
    factor = torch.randn(*shape, generator=torch.Generator().manual_seed(2)).double()
    left, values, right = thin_svd(factor)
    assert torch.allclose(left @ torch.diag(values) @ right, factor)
    assert torch.allclose(right @ right.T, torch.eye(len(right), dtype=right.dtype), atol=1e-12)
    assert (right.gather(1, right.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.allclose(thin_svd(-factor)[2], right), "the same directions, whichever way the outputs point"


class NoisySoftmax:
    """Log-probabilities whose derivatives have an error of rounding, as those of a deep model in float32 have."""

    is_distribution = True

    def __call__(self, point):
        noise = 1e-3 * torch.arange(3) * (point.detach() @ (point - point.detach()))
        return (torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]]) @ point).log_softmax(0) + noise


def test_rounding_adds_no_direction_to_a_distribution():
    point = torch.tensor([0.3, -0.2])
    outputs, rows = jacobian(NoisySoftmax(), point)
    assert float((outputs.exp() @ rows).abs().max()) < 1e-6
    plain = jacobian(lambda p: NoisySoftmax()(p), point)[1]
    assert float((outputs.exp() @ plain).abs().max()) > 1e-4
    assert torch.allclose(rows, plain, atol=1e-3)
