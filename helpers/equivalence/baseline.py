"""The baseline of the paper: steps along the gradient of the predicted class, with noise orthogonal to it.

Source: arXiv 2410.06019, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, check_positive, walk_generator
from helpers.equivalence.simec import random_like
from helpers.equivalence.walk_state import Step, WalkState, collect_path
from helpers.geometry import Box
from helpers.geometry.differentiation import SmoothMap


def gradient_noise_steps(
    f: SmoothMap, x: Tensor, steps: int, size: float, bounds: Box | None, generator: torch.Generator
) -> Iterator[Step]:
    """Yield the points of a baseline walk as they are made; see ``gradient_noise``."""
    check_positive("steps", steps)
    check_positive("size", size)
    state = WalkState(f, x, bounds, differentiable=True)
    predicted = int(state.outputs.argmax())
    yield state.first()
    for _ in range(steps):
        gradient = state.gradient(predicted)
        if not torch.isfinite(gradient).all() or not gradient.any():
            yield state.stop(EndReason.NOT_DIFFERENTIABLE)
            return
        along = gradient / gradient.norm()
        noise = random_like(state.point, generator)
        across = noise - (noise * along).sum() * along
        sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
        direction = sign * along + across / across.norm()
        step = state.move(size * direction / direction.norm())
        yield step
        if step.stopped_because:
            return
    yield state.stop(EndReason.ALL_STEPS)


def gradient_noise(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    size: float,
    bounds: Box | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk without the metric: up or down the gradient of the first predicted class, plus orthogonal noise as large.

    Args:
        f: the map.
        x: start, any shape.
        steps: how many steps.
        size: Euclidean length of each step; as a control, the mean step of the walk that it is compared with.
        bounds: the feasible box, onto which each point is projected.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: steps or size <= 0, x or f(x) is not finite, or x lies outside the bounds.

    Source: arXiv 2410.06019, section 5.
    """
    generator, seed = walk_generator(generator)
    walk = gradient_noise_steps(f, x, steps, size, bounds, generator)
    return collect_path(walk, "gradient and noise", WalkSettings(), seed)
