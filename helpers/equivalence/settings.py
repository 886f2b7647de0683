"""Validated settings of a walk, and the generators that walks draw from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from helpers.geometry import RANK_TOLERANCE, Euclidean, OutputMetric
from helpers.geometry.arguments import check_number, check_positive, check_whole


@dataclass(frozen=True)
class WalkSettings:
    """How to walk; each algorithm reads the fields that concern it.

    Attributes:
        tolerance: (walk_class) largest change of any output since the start at the points of the walk, in the unit of
            the outputs; nats for log-probabilities.
        curve_tolerance: (walk_class) the same between the points, on the whole curve.
        eta: (simec, simexp) the paper's step multiplier.
        persistence: (walk_class) 1 keeps the last direction, 0 draws a new one at each step.
        longest_step: (walk_class) longest step before its corrections, as a fraction of the norm of the start.
        exit_step: (leave_class) the same; shorter, so that the way out has many points.
        margin: (leave_class) by how much the new class must lead, in the outputs' unit.
        max_steps: (walk_class, leave_class) number of steps after which the walk ends in any case.
        output_metric: (simec, simexp) the metric of the outputs that is pulled back; for every path, the metric of its
            pullback length.
        rank_tolerance: singular values up to this fraction of the largest count as zero.
    """

    tolerance: float = 1e-4
    curve_tolerance: float = 1e-3
    eta: float = 1.0
    persistence: float = 1.0
    longest_step: float = 0.5
    exit_step: float = 0.01
    margin: float = 0.1
    max_steps: int = 10_000
    output_metric: OutputMetric = Euclidean()  # noqa: RUF009, it is frozen
    rank_tolerance: float = RANK_TOLERANCE

    def __post_init__(self) -> None:
        """Refuse values that make no walk."""
        for name in (
            "tolerance",
            "curve_tolerance",
            "eta",
            "longest_step",
            "exit_step",
            "rank_tolerance",
        ):
            check_positive(name, getattr(self, name))
        check_whole("max_steps", self.max_steps, least=1)
        check_number("margin", self.margin)
        check_number("persistence", self.persistence)
        if self.rank_tolerance >= 1:
            raise ValueError(f"rank_tolerance={self.rank_tolerance}: must be below 1")
        if self.persistence > 1:
            raise ValueError(f"persistence={self.persistence}: must be between 0 and 1")


@dataclass(frozen=True)
class ReleasedSettings(WalkSettings):
    """The differences between the authors' released code and the paper's text; each can be switched alone.

    The defaults are those of the code, ``PRINTED`` those of the text. Three more differences are no settings: the code
    walks on logits (``adapter.with_logits()``), its box hardly ever acts (``bounds=None``), and it reads every tenth
    point (``path.every(10)``).

    Attributes:
        threshold: eigenvalues below it count as null: 0.01 in the code's default configuration, 1e-6 in its dialogue.
            If None, those up to ``rank_tolerance`` squared of the largest, as in ``simec``.
        null_in_step: whether the smallest eigenvalue in the length of a step is that of all, the null ones included,
            plus ``STEP_OFFSET``; otherwise it is the smallest that is not null.
        per_part: whether each part has its own metric, eigenvector and step; otherwise all parts have one together.
        fixed_signs: whether a step follows an eigenvector as the solver returns it; otherwise the sign is random.
        rounded_index: whether an eigenvector's number is rounded, round(u * n) with u in [0, 1], which favours the
            largest eigenvalue in SiMExp; otherwise all are equally probable.

    Source: the code released with arXiv 2410.06019.
    """

    threshold: float | None = 0.01
    null_in_step: bool = True
    per_part: bool = True
    fixed_signs: bool = True
    rounded_index: bool = True

    def __post_init__(self) -> None:
        """Refuse values that make no walk."""
        super().__post_init__()
        if self.threshold is not None:
            check_positive("threshold", self.threshold)


def create_generator(seed: int) -> torch.Generator:
    """Create a source of random numbers on the CPU; the same seed gives the same numbers.

    Raises:
        ValueError: the seed is not a whole number of 0 or more.

    >>> create_generator(3).initial_seed()
    3
    """
    check_whole("seed", seed, most=2**63 - 1)
    return torch.Generator().manual_seed(int(seed))


def walk_generator(generator: torch.Generator | None) -> tuple[torch.Generator, int]:
    """Return the generator of one walk and the seed that repeats the walk.

    A walk from a fresh generator uses it as it is. A generator that was used before gives the seed of a new one, so
    that two walks from one generator differ and each can be repeated with ``create_generator(path.seed)``.

    Args:
        generator: of the caller; seed 0 if None.

    Raises:
        ValueError: what is given is no generator, but its seed, say.
    """
    generator = create_generator(0) if generator is None else generator
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator={generator!r}: must be a torch.Generator, such as create_generator(0)")
    seed = generator.initial_seed()
    if torch.equal(generator.get_state(), torch.Generator().manual_seed(seed).get_state()):
        return generator, seed
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return torch.Generator().manual_seed(seed), seed


PRINTED = ReleasedSettings(  # with these, released walks are made as the text says
    threshold=None, null_in_step=False, per_part=False, fixed_signs=False, rounded_index=False
)
