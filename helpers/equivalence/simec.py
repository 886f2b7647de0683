"""SiMEC as printed: Algorithm 1 of arXiv 2410.06019, and the step that it shares with SiMExp.

Each step has the length eta * sqrt(smallest non-zero eigenvalue / largest eigenvalue) and follows an eigenvector of the
pullback metric that is drawn at random. SiMEC draws one of eigenvalue zero. The kernel has no preferred basis, so a
random eigenvector of eigenvalue zero is a random unit vector of the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, check_positive, walk_generator
from helpers.equivalence.walk_state import Step, WalkState, collect_path
from helpers.geometry import Box, PullbackMetric
from helpers.geometry.differentiation import SmoothMap

DrawDirection = Callable[[PullbackMetric, torch.Generator], Tensor | None]


def random_null_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw a unit vector of the kernel, or None where the kernel is trivial."""
    if metric.nullity == 0:
        return None
    null = metric.project_to_kernel(random_like(metric.base_point, generator))
    return null / null.norm()


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
    return printed_steps(random_null_eigenvector, (f, x), steps, bounds, settings, generator)


def printed_steps(
    draw: DrawDirection,
    start: tuple[SmoothMap, Tensor],
    steps: int,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points of a walk by the printed step rule.

    Args:
        draw: draws the direction of a step from the metric there; None where there is none.
        start: the map and the first point.
        steps: how many steps.
        bounds: the feasible box, onto which each point is projected.
        settings: reads eta, output_metric, rank_tolerance.
        generator: source of randomness.
    """
    check_positive("steps", steps)
    state = WalkState(*start, bounds, differentiable=True)
    yield state.first()
    for _ in range(steps):
        rows = state.jacobian()
        if rows is None:
            yield state.stop(EndReason.NOT_DIFFERENTIABLE)
            return
        metric = PullbackMetric.from_jacobian(
            state.point, state.outputs, rows, settings.output_metric, settings.rank_tolerance
        )
        if metric.rank == 0:
            yield state.stop(EndReason.FLAT)
            return
        direction = draw(metric, generator)
        if direction is None:
            yield state.stop(EndReason.TRIVIAL_KERNEL)
            return
        step = state.move(settings.eta / math.sqrt(metric.condition) * direction)
        yield step
        if step.stopped_because:
            return
    yield state.stop(EndReason.ALL_STEPS)


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
    walk = simec_steps(f, x, steps, bounds, settings, generator)
    return collect_path(walk, "simec", settings, seed)
