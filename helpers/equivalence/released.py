"""SiMEC and SiMExp as the authors' released code makes them, which is not as the paper prints them.

The published figures were made by the code, so this rule is what they measure. Each part of a point has its own block
of the pullback metric. It draws an eigenvector of this block and makes a step of its own along it, always in the
direction that the solver returns. The length is eta / sqrt(largest / (smallest + 1e-6)), with the smallest of all
eigenvalues. That is about 0, so that steps are about eta / 1000 over the root of the largest.

The directions of null eigenvectors depend on rounding, so that a seed repeats a SiMEC walk on the same machine only.

Source: the code released with arXiv 2410.06019; ``ReleasedSettings`` lists its differences from the text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.equivalence.end_reasons import EndReason
from helpers.equivalence.path import ExplorationPath
from helpers.equivalence.settings import ReleasedSettings, walk_generator
from helpers.equivalence.walk_state import WalkState, collect_path, uncorrected_steps
from helpers.geometry import Box, SmoothMap
from helpers.geometry.pullback import thin_svd

STEP_OFFSET = 1e-6  # added to the smallest eigenvalue in the length of a step, in squared outputs per squared unit

Numbers = Int[Tensor, " blocks"]  # an eigenvector per block, counted from the smallest eigenvalue
DrawNumbers = Callable[[Bool[Tensor, "blocks d"], ReleasedSettings, torch.Generator], Numbers]
Blocks = tuple[Float[Tensor, "blocks d"], Callable[[Numbers], Float[Tensor, "blocks d"]]]


def _blocks_of_parts(factor: Float[Tensor, "k parts d"]) -> Blocks:
    """Diagonalise the block of each part; return the eigenvalues, smallest first, and the choice of eigenvectors."""
    by_part = factor.transpose(0, 1)
    values, vectors = torch.linalg.eigh(by_part.mT @ by_part)
    return values.abs(), lambda numbers: vectors.mT[torch.arange(len(vectors), device=vectors.device), numbers]


def _one_block(factor: Float[Tensor, "k n"], generator: torch.Generator) -> Blocks:
    """Diagonalise the metric of all parts together, as ``_blocks_of_parts`` does for each of them.

    Signs are those of ``thin_svd``. The eigenvalues that a thin SVD leaves out are zero; an eigenvector of such a one
    is a random unit vector of the kernel, which has no preferred basis.
    """
    _, singular_values, right = thin_svd(factor)
    n, rank = factor.shape[1], len(singular_values)
    values = torch.cat([factor.new_zeros(n - rank), singular_values.flip(0) ** 2])

    def choose(numbers: Numbers) -> Float[Tensor, "1 n"]:
        if int(numbers) >= n - rank:
            return right[n - 1 - numbers]
        noise = torch.randn(n, generator=generator, dtype=torch.float64).to(right)
        null = noise - right.T @ (right @ noise)
        return (null / null.norm())[None]

    return values[None], choose


def _mark_null(values: Float[Tensor, "blocks d"], settings: ReleasedSettings) -> Bool[Tensor, "blocks d"]:
    """Mark the eigenvalues that count as null."""
    if settings.threshold is not None:
        return values < settings.threshold
    return values <= settings.rank_tolerance**2 * values.amax(1, keepdim=True)


def _step_lengths(
    values: Float[Tensor, "blocks d"], is_null: Bool[Tensor, "blocks d"], settings: ReleasedSettings
) -> Float[Tensor, " blocks"]:
    """Return the length of each block's step; 0 where a block changes no output."""
    largest, smallest = values.amax(1), values.amin(1) + STEP_OFFSET
    if not settings.null_in_step:
        smallest = torch.where(is_null, torch.inf, values).amin(1).minimum(largest)
    return torch.where(largest > 0, settings.eta * (smallest / largest).sqrt(), 0.0)


def _draw(counts: Numbers, settings: ReleasedSettings, generator: torch.Generator) -> Numbers:
    """Draw a number from 0 to each count: up to the count itself if it is rounded, else below it."""
    position = torch.rand(len(counts), generator=generator, dtype=torch.float64).to(counts.device) * counts
    return (position.round() if settings.rounded_index else position.floor()).long()


def _draw_null(is_null: Bool[Tensor, "blocks d"], settings: ReleasedSettings, generator: torch.Generator) -> Numbers:
    """Draw a null eigenvector of each block; rounded, the first one that is not null can be drawn too."""
    return _draw(is_null.sum(1), settings, generator)


def _draw_other(is_null: Bool[Tensor, "blocks d"], settings: ReleasedSettings, generator: torch.Generator) -> Numbers:
    """Draw an eigenvector of each block that is not null, the last one where there is none."""
    return is_null.shape[1] - int(not settings.rounded_index) - _draw((~is_null).sum(1), settings, generator)


def _next_move(
    draw: DrawNumbers, settings: ReleasedSettings, generator: torch.Generator, state: WalkState
) -> Tensor | EndReason:
    """Return the next move, or why there is none."""
    rows = state.jacobian()
    if rows is None:
        return EndReason.NOT_DIFFERENTIABLE
    if not rows.any():
        return EndReason.FLAT
    factor = settings.output_metric.weigh(state.outputs, rows.flatten(1))
    parts = factor.reshape(len(factor), len(state.point), -1)
    values, choose = _blocks_of_parts(parts) if settings.per_part else _one_block(factor, generator)
    is_null = _mark_null(values, settings)
    numbers = draw(is_null, settings, generator).clamp(0, values.shape[1] - 1)
    lengths = _step_lengths(values, is_null, settings)
    if not settings.fixed_signs:
        lengths = lengths * (2 * torch.randint(2, lengths.shape, generator=generator).to(lengths) - 1)
    return (lengths[:, None] * choose(numbers)).reshape(state.point.shape).to(state.point)


def released_simec(
    f: SmoothMap,
    x: Float[Tensor, "parts *part"],
    steps: int = 100,
    bounds: Box | None = None,
    settings: ReleasedSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk inside the equivalence class of x by the released rule: each part along one of its null eigenvectors.

    Args:
        f: the map whose output should stay; in the released code, the logits of a model.
        x: start; the parts lie along its first axis.
        steps: how many steps.
        bounds: the feasible box, onto which each point is projected; that of the released code hardly ever acts.
        settings: reads eta, output_metric, rank_tolerance and the differences from the text.
        generator: source of randomness; seed 0 if None.

    Raises:
        ValueError: as in ``simec``.

    Source: the code released with arXiv 2410.06019.
    """
    settings, (generator, seed) = settings or ReleasedSettings(), walk_generator(generator)
    move = partial(_next_move, _draw_null, settings, generator)
    return collect_path(uncorrected_steps(move, f, x, steps, bounds), "released simec", settings, seed)


def released_simexp(
    f: SmoothMap,
    x: Float[Tensor, "parts *part"],
    steps: int = 100,
    bounds: Box | None = None,
    settings: ReleasedSettings | None = None,
    generator: torch.Generator | None = None,
) -> ExplorationPath:
    """Walk out of the equivalence class of x by the released rule: each part along an eigenvector that is not null.

    Arguments and errors are those of ``released_simec``.

    Source: the code released with arXiv 2410.06019.
    """
    settings, (generator, seed) = settings or ReleasedSettings(), walk_generator(generator)
    move = partial(_next_move, _draw_other, settings, generator)
    return collect_path(uncorrected_steps(move, f, x, steps, bounds), "released simexp", settings, seed)
