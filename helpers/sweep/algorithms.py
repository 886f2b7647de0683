"""The walks that a sweep can make, by name.

"SiMEC" and "SiMExp" follow the printed rule, "released SiMEC" and "released SiMExp" that of the authors' code. Behind a
comma stands the one difference from the code that is switched to what the text says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters import PartsMap
from helpers.equivalence import (
    PRINTED,
    ExplorationPath,
    ReleasedSettings,
    WalkSettings,
    gradient_noise,
    released_simec,
    released_simexp,
    simec,
    simexp,
    walk_class,
)
from helpers.geometry import Box

BATCH = 24  # points that the model runs on at once; larger batches need more memory, not less time
SHORTEST_STEP = 1e-9  # in the units of the point, for a reference walk that did not move
TRAVEL_ALLOWANCE = 1.5  # times the reference's travel, so that the number of steps ends a corrected walk
REFERENCES = {"corrected": "SiMEC", "baseline up": "released SiMExp", "baseline down": "released SiMExp"}


@torch.no_grad()
def predict(f: PartsMap, points: Float[Tensor, "n parts d_model"]) -> Float[Tensor, "n k"]:
    """Run a map on many points."""
    return torch.cat([torch.func.vmap(f)(batch) for batch in points.to(f.point.device).split(BATCH)])


@dataclass(frozen=True)
class WalkStart:
    """Where and how a walk of a sweep begins.

    Attributes:
        f: the map to log-probabilities.
        logits: the same map to logits.
        bounds: the feasible box.
        steps: how many steps.
        eta: step multiplier.
        generator: of this walk.
        reference: the walk whose mean step length this one takes over; see ``REFERENCES``.
    """

    f: PartsMap
    logits: PartsMap
    bounds: Box
    steps: int
    eta: float
    generator: torch.Generator
    reference: ExplorationPath | None = None

    @property
    def reference_step(self) -> float:
        """The mean step length of the reference."""
        if self.reference is None:
            raise ValueError(f"reference: is missing; the walks of {', '.join(REFERENCES)} need one")
        return max(self.reference.travel / max(len(self.reference), 1), SHORTEST_STEP)


@dataclass(frozen=True)
class Released:
    """A walk by the rule of the authors' code, with some of its differences from the text switched."""

    walk: Callable[..., ExplorationPath]
    settings: ReleasedSettings = ReleasedSettings()  # noqa: RUF009, it is frozen
    on_logits: bool = True
    has_box: bool = False

    def __call__(self, start: WalkStart) -> ExplorationPath:
        """Make the walk; its outputs are log-probabilities, also where it was made on logits."""
        f = start.logits if self.on_logits else start.f
        bounds, settings = start.bounds if self.has_box else None, replace(self.settings, eta=start.eta)
        path = self.walk(f, f.start, start.steps, bounds, settings, start.generator)
        return replace(path, outputs=predict(start.f, path.points).to(path.outputs)) if self.on_logits else path


RELEASED = {"SiMEC": Released(released_simec), "SiMExp": Released(released_simexp)}
DIFFERENCES: dict[str, Callable[[Released], Released]] = {
    "threshold 1e-6": lambda rule: replace(rule, settings=ReleasedSettings(threshold=1e-6)),  # the code's other one
    "printed step": lambda rule: replace(rule, settings=ReleasedSettings(null_in_step=False)),
    "joint metric": lambda rule: replace(rule, settings=ReleasedSettings(per_part=False)),
    "random signs": lambda rule: replace(rule, settings=ReleasedSettings(fixed_signs=False)),
    "uniform index": lambda rule: replace(rule, settings=ReleasedSettings(rounded_index=False)),
    "log-probabilities": lambda rule: replace(rule, on_logits=False),
    "feasible box": lambda rule: replace(rule, has_box=True),
    "all as printed": lambda rule: replace(rule, settings=PRINTED, on_logits=False, has_box=True),
}


def _printed(walk: Callable[..., ExplorationPath]) -> Callable[[WalkStart], ExplorationPath]:
    """Return the maker of a walk by the printed rule."""
    return lambda start: walk(
        start.f, start.f.start, start.steps, start.bounds, WalkSettings(eta=start.eta), start.generator
    )


def _correct(start: WalkStart) -> ExplorationPath:
    """Make a corrected walk with steps as long as the reference's mean step, or shorter."""
    step, x = start.reference_step, start.f.start
    settings = WalkSettings(longest_step=step / (float(x.norm()) or 1.0), max_steps=start.steps)
    travel = TRAVEL_ALLOWANCE * start.steps * step
    return walk_class(start.f, x, travel, None, start.bounds, settings, start.generator)


def _baseline(sign: int) -> Callable[[WalkStart], ExplorationPath]:
    """Return the maker of a baseline up (1) or down (-1) the gradient."""
    return lambda start: gradient_noise(
        start.f, start.f.start, start.steps, sign * start.reference_step, start.bounds, start.generator
    )


ALGORITHMS: dict[str, Callable[[WalkStart], ExplorationPath]] = {  # the walks by name; references come first
    "SiMEC": _printed(simec),
    "SiMExp": _printed(simexp),
    **{f"released {kind}": rule for kind, rule in RELEASED.items()},
    "corrected": _correct,
    "baseline up": _baseline(1),
    "baseline down": _baseline(-1),
    **{
        f"released {kind}, {name}": switch(rule)
        for name, switch in DIFFERENCES.items()
        for kind, rule in RELEASED.items()
    },
}
MAIN = tuple(list(ALGORITHMS)[:7])  # the walks without single differences
ABLATION = tuple(name for name in ALGORITHMS if name.startswith("released "))  # the released rule and its differences


def volume_reference(algorithm: str) -> str:
    """Return the walk with whose volume that of a walk is compared: SiMEC by the same rule."""
    if algorithm.startswith("baseline"):
        return "released SiMEC"
    return "SiMEC" if algorithm == "corrected" else algorithm.replace("SiMExp", "SiMEC")
