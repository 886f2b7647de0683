"""SiMEC and SiMExp as published: Algorithms 1 and 2 of arXiv 2410.06019.

The paper picks, at random, an eigenvector of eigenvalue zero (SiMEC) or not zero (SiMExp) and makes
a step of length eta * sqrt(smallest non-zero / largest eigenvalue). The kernel has no preferred basis,
so a random eigenvector of eigenvalue zero is a random unit vector of the kernel; an
eigenvector has no preferred sign, so the sign is random too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from helpers.differentiation import SmoothMap
from helpers.equivalence.path import NOT_DIFFERENTIABLE, ExplorationPath, Step, Trail, collect
from helpers.equivalence.settings import WalkSettings, check_positive
from helpers.geometry import Box, PullbackMetric

Pick = Callable[[PullbackMetric, torch.Generator], Tensor | None]


def random_null_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw a unit vector of the kernel, or None where the kernel is trivial."""
    if metric.nullity == 0:
        return None
    drawn = random_like(metric.base_point, generator)
    vertical = metric.project_vertical(drawn)
    return vertical / vertical.norm()


def random_seen_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw one of the eigenvectors of non-zero eigenvalue, with a random sign; None where there is none."""
    if metric.rank == 0:
        return None
    index = int(torch.randint(metric.rank, (), generator=generator))
    sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
    return sign * metric.eigenvectors[index].to(metric.base_point.dtype)


def random_like(point: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a standard normal tensor of a point's shape, precision and device; the generator lives on the CPU."""
    return torch.randn(point.shape, generator=generator, dtype=point.dtype).to(point.device)


def simec_steps(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points of a SiMEC walk as they are made; see ``simec``."""
    return _published_steps(random_null_eigenvector, (f, x), steps, bounds, settings, generator)


def simexp_steps(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points of a SiMExp walk as they are made; see ``simexp``."""
    return _published_steps(random_seen_eigenvector, (f, x), steps, bounds, settings, generator)


def _published_steps(
    pick: Pick,
    start: tuple[SmoothMap, Tensor],
    steps: int,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    check_positive("steps", steps)
    trail = Trail(*start, bounds, differentiable=True)
    yield trail.first()
    for _ in range(steps):
        found = trail.jacobian(trail.point)
        if found is None:
            yield trail.stop(NOT_DIFFERENTIABLE)
            return
        metric = PullbackMetric.from_jacobian(trail.point, *found, settings.output_metric, settings.rank_tolerance)
        if metric.rank == 0:
            yield trail.stop("the map is flat here: no eigenvalue differs from zero")
            return
        direction = pick(metric, generator)
        if direction is None:
            yield trail.stop("no eigenvector of the wanted kind is left")
            return
        step = trail.move(settings.eta / math.sqrt(metric.condition) * direction)
        yield step
        if step.stopped_because:
            return
    yield trail.stop("all steps made")


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
    settings, generator = settings or WalkSettings(), generator or torch.Generator().manual_seed(0)
    walk = simec_steps(f, x, steps, bounds, settings, generator)
    return collect(walk, "simec", settings, generator.initial_seed())


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
    settings, generator = settings or WalkSettings(), generator or torch.Generator().manual_seed(0)
    walk = simexp_steps(f, x, steps, bounds, settings, generator)
    return collect(walk, "simexp", settings, generator.initial_seed())
