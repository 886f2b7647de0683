"""The paper's baseline: steps along the gradient of the predicted class, with noise across it.

Source: arXiv 2410.06019, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.equivalence.path import NOT_DIFFERENTIABLE, ExplorationPath, Step, Trail, collect
from helpers.equivalence.settings import WalkSettings, check_positive
from helpers.equivalence.simec import random_like
from helpers.geometry import Box
from helpers.geometry.differentiation import SmoothMap


def gradient_noise_steps(
    f: SmoothMap, x: Tensor, steps: int, size: float, bounds: Box | None, generator: torch.Generator
) -> Iterator[Step]:
    """Yield the points of a baseline walk as they are made; see ``gradient_noise``."""
    check_positive("steps", steps)
    check_positive("size", size)
    trail = Trail(f, x, bounds, differentiable=True)
    predicted = int(trail.outputs.argmax())
    yield trail.first()
    for _ in range(steps):
        gradient = trail.f.gradient(trail.point, predicted)
        if not torch.isfinite(gradient).all() or not gradient.any():
            yield trail.stop(NOT_DIFFERENTIABLE)
            return
        along = gradient / gradient.norm()
        noise = random_like(trail.point, generator)
        across = noise - (noise * along).sum() * along
        sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
        direction = sign * along + across / across.norm()
        step = trail.move(size * direction / direction.norm())
        yield step
        if step.stopped_because:
            return
    yield trail.stop("all steps made")


def gradient_noise(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    size: float,
    bounds: Box | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk without the metric: up or down the gradient of the class predicted at first, plus as much noise across it.

    Args:
        f: the map.
        x: start, any shape.
        steps: how many steps.
        size: Euclidean length of each, the mean of the walk that this one is a control of.
        bounds: the feasible box, onto which each point is projected.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: steps or size <= 0, x or f(x) is not finite, or x lies outside the bounds.

    Source: arXiv 2410.06019, section 5.
    """
    generator = generator or torch.Generator().manual_seed(0)
    walk = gradient_noise_steps(f, x, steps, size, bounds, generator)
    return collect(walk, "gradient and noise", WalkSettings(), generator.initial_seed())
