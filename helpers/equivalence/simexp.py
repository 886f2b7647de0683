"""SiMExp as printed: Algorithm 2 of arXiv 2410.06019.

It makes the steps of SiMEC along a random eigenvector whose eigenvalue is not zero. An eigenvector has no preferred
sign, so the sign is random too.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import WalkSettings, walk_generator
from helpers.equivalence.simec import printed_steps
from helpers.equivalence.walk_state import Step, collect_path
from helpers.geometry import Box, PullbackMetric, SmoothMap


def random_visible_eigenvector(metric: PullbackMetric, generator: torch.Generator) -> Tensor | None:
    """Draw one of the eigenvectors of non-zero eigenvalue, with a random sign; None where there is none."""
    if metric.rank == 0:
        return None
    index = int(torch.randint(metric.rank, (), generator=generator))
    sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
    return sign * metric.eigenvectors[index].to(metric.base_point.dtype)


def simexp_steps(
    f: SmoothMap,
    x: Tensor,
    steps: int,
    bounds: Box | None,
    settings: WalkSettings,
    generator: torch.Generator,
) -> Iterator[Step]:
    """Yield the points of a SiMExp walk as they are made; see ``simexp``."""
    return printed_steps(random_visible_eigenvector, (f, x), steps, bounds, settings, generator)


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
    walk = simexp_steps(f, x, steps, bounds, settings, generator)
    return collect_path(walk, "simexp", settings, seed)
