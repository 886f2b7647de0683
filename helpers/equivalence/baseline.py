"""The baseline of the paper: steps up or down the gradient of the predicted class, with noise orthogonal to it.

The paper has two such walks, one for each sign of the gradient, and adds "small" noise without saying how small. The
baseline of its released code has no gradient at all.

Source: arXiv 2410.06019, section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, walk_generator
from helpers.equivalence.simec import random_like
from helpers.equivalence.walk_state import WalkState, collect_path, uncorrected_steps
from helpers.geometry import Box
from helpers.geometry.differentiation import SmoothMap

NOISE = 0.1  # length of the noise as a fraction of that of the move along the gradient; ours, the paper gives none


def gradient_noise(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    size: float,
    bounds: Box | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk without the metric: along the gradient of the first predicted class, with small noise orthogonal to it.

    Args:
        f: the map.
        x: start, any shape.
        steps: how many steps.
        size: Euclidean length of each step, with the sign of the walk: positive up the gradient, negative down. As a
            control, the mean step of the walk that it is compared with.
        bounds: the feasible box, onto which each point is projected.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: steps <= 0, size is 0 or not finite, x or f(x) is not finite, or x lies outside the bounds.

    Source: arXiv 2410.06019, section 4.
    """
    if not (math.isfinite(size) and size):
        raise ValueError(f"size={size}: must be a number other than 0, positive to go up the gradient")
    generator, seed = walk_generator(generator)
    predicted: int | None = None

    def next_move(state: WalkState) -> Tensor | EndReason:
        nonlocal predicted
        predicted = int(state.outputs.argmax()) if predicted is None else predicted
        gradient = state.gradient(predicted)
        if not torch.isfinite(gradient).all() or not gradient.any():
            return EndReason.NOT_DIFFERENTIABLE
        along, noise = gradient / gradient.norm(), random_like(state.point, generator)
        across = noise - (noise * along).sum() * along
        direction = along + NOISE * across / across.norm() if across.any() else along
        return size * direction / direction.norm()

    name = "gradient and noise, up" if size > 0 else "gradient and noise, down"
    return collect_path(uncorrected_steps(next_move, f, x, steps, bounds), name, WalkSettings(), seed)
