"""SiMEC and SiMExp as printed: Algorithms 1 and 2 of arXiv 2410.06019.

Each step has the length eta * sqrt(smallest non-zero eigenvalue / largest eigenvalue) and follows an eigenvector of the
pullback metric that is drawn at random: for SiMEC one of eigenvalue zero, for SiMExp one of another. The kernel has no
preferred basis, so a random eigenvector of eigenvalue zero is a random unit vector of the kernel. An eigenvector has no
preferred sign, so the sign is random too. ``helpers.equivalence.released`` has the rule of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, walk_generator
from helpers.equivalence.walk_state import Step, WalkState, collect_path, uncorrected_steps
from helpers.geometry import Box, PullbackMetric
from helpers.geometry.differentiation import SmoothMap

DrawDirection = Callable[[PullbackMetric, torch.Generator], Tensor | None]


def random_like(point: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a standard normal tensor of a point's shape, precision and device; the generator lives on the CPU."""
    return torch.randn(point.shape, generator=generator, dtype=point.dtype).to(point.device)


def random_null_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw a unit vector of the kernel, or None where the kernel is trivial."""
    if metric.nullity == 0:
        return None
    null = metric.project_to_kernel(random_like(metric.base_point, generator))
    return null / null.norm()


def random_visible_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw one of the eigenvectors of non-zero eigenvalue, with a random sign; None where there is none."""
    if metric.rank == 0:
        return None
    index = int(torch.randint(metric.rank, (), generator=generator))
    sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
    return sign * metric.eigenvectors[index].to(metric.base_point.dtype)


def random_unit_vector(metric: PullbackMetric, generator: torch.Generator) -> Tensor:
    """Draw a random unit vector of the whole space, which has both a visible part and a part in the kernel."""
    direction = random_like(metric.base_point, generator)
    return direction / direction.norm()


def _printed_move(
    draw: DrawDirection, settings: WalkSettings, generator: torch.Generator, state: WalkState
) -> Tensor | EndReason:
    """Return the next move by the printed step rule."""
    rows = state.jacobian()
    if rows is None:
        return EndReason.NOT_DIFFERENTIABLE
    metric = PullbackMetric.from_jacobian(
        state.point, state.outputs, rows, settings.output_metric, settings.rank_tolerance
    )
    if metric.rank == 0:
        return EndReason.FLAT
    direction = draw(metric, generator)
    return EndReason.TRIVIAL_KERNEL if direction is None else settings.eta / math.sqrt(metric.condition) * direction


def simec_steps(
    f: SmoothMap, x: Tensor, steps: int, bounds: Box | None, settings: WalkSettings, generator: torch.Generator
) -> Iterator[Step]:
    """Yield the points of a SiMEC walk as they are made; see ``simec``."""
    move = partial(_printed_move, random_null_eigenvector, settings, generator)
    return uncorrected_steps(move, f, x, steps, bounds)


def simexp_steps(
    f: SmoothMap, x: Tensor, steps: int, bounds: Box | None, settings: WalkSettings, generator: torch.Generator
) -> Iterator[Step]:
    """Yield the points of a SiMExp walk as they are made; see ``simexp``."""
    move = partial(_printed_move, random_visible_eigenvector, settings, generator)
    return uncorrected_steps(move, f, x, steps, bounds)


def random_steps(
    f: SmoothMap, x: Tensor, steps: int, bounds: Box | None, settings: WalkSettings, generator: torch.Generator
) -> Iterator[Step]:
    """Yield the points of a control: random directions, with steps as long as the printed rule makes SiMEC's there."""
    move = partial(_printed_move, random_unit_vector, settings, generator)
    return uncorrected_steps(move, f, x, steps, bounds)


def simec(
    f: SmoothMap,
    x: Tensor,
    steps: int = 100,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk inside the equivalence class of x along random null eigenvectors, uncorrected: it drifts.

    Args:
        f: the map whose output should stay.
        x: start, any shape.
        steps: how many steps.
        bounds: the feasible box, onto which each point is projected.
        settings: reads eta, output_metric, rank_tolerance.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: steps <= 0, x or f(x) is not finite, or x lies outside the bounds.

    Source: arXiv 2410.06019, Algorithm 1.
    """
    settings, (generator, seed) = settings or WalkSettings(), walk_generator(generator)
    return collect_path(simec_steps(f, x, steps, bounds, settings, generator), "simec", settings, seed)


def simexp(
    f: SmoothMap,
    x: Tensor,
    steps: int = 100,
    bounds: Box | None = None,
    settings: WalkSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk out of the equivalence class of x along random eigenvectors of non-zero eigenvalue.

    Arguments and errors are those of ``simec``.

    Source: arXiv 2410.06019, Algorithm 2.
    """
    settings, (generator, seed) = settings or WalkSettings(), walk_generator(generator)
    return collect_path(simexp_steps(f, x, steps, bounds, settings, generator), "simexp", settings, seed)
