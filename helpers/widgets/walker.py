"""What the walkers of models share: walks inside a class and out of it, with the parts that you choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.adapters import Adapter
from helpers.equivalence import (
    ExplorationPath,
    Step,
    WalkSettings,
    simec_steps,
    simexp_steps,
    walk_class_steps,
)
from helpers.widgets.stepper import ENDLESS, Stepper
from helpers.widgets.views import ProbabilityBars

STRIDES = {  # label: (eta of SiMEC and SiMExp, longest_step of the corrected walk)
    "short (eta 1)": (1.0, 0.03),
    "medium (eta 3)": (3.0, 0.1),
    "long (eta 10)": (10.0, 0.3),
}
WALKS = {
    "corrected": lambda f, box, told, g, wanted: walk_class_steps(f, f.start, ENDLESS, None, box, told, g, wanted),
    "SiMEC": lambda f, box, told, g, _: simec_steps(f, f.start, ENDLESS, box, told, g),
    "SiMExp": lambda f, box, told, g, _: simexp_steps(f, f.start, ENDLESS, box, told, g),
}


@dataclass(frozen=True)
class Visit:
    """A point that was walked to: the whole point, what the model says there, what the step was and cost.

    Attributes:
        look: what the view shows of it, by the view's trait; computed once, so that the slider only looks it up.
    """

    point: Tensor
    outputs: Tensor
    look: dict[str, Any] = field(repr=False)
    size: float = 0.0
    algorithm: str = ""
    passes: tuple[int, int] = (1, 0)


class Walker(Stepper):
    """Walk by hand: step, back, play, and a slider over what was walked.

    A change of parts, algorithm or stride applies from the point that is shown; what had been walked beyond it is
    dropped. A subclass says how a point is looked at: ``_make_view`` and ``_look``.

    Args:
        adapter: the model.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: for the walks; the stride control sets eta and longest_step.
        seed: of the random directions.
    """

    parts = "parts"  # what the parts of a point are called
    start = "the start"  # what the first point is called

    def __init__(self, adapter: Adapter, raw: Any, settings: WalkSettings | None = None, seed: int = 0):
        super().__init__()
        start = adapter.encode(raw)
        self._adapter, self._settings = adapter, settings or WalkSettings()
        self._generator = torch.Generator().manual_seed(seed)
        self._map = adapter.output_map(start)
        self.view = self._make_view(raw)
        with torch.no_grad():
            self._visits = [Visit(start, self._map(self._map.start), self._look(start))]
        self._build()
        self._show()

    def _make_view(self, raw: Any) -> widgets.DOMWidget:
        """Build the view of a point; its ``selected`` lists the parts that may move."""
        raise NotImplementedError

    def _look(self, point: Tensor) -> dict[str, Any]:
        """Compute what the view shows of a point, by the view's trait."""
        raise NotImplementedError

    @property
    def path(self) -> ExplorationPath:
        """What was walked so far, as whole points (T+1, parts, d_model); its settings are those of the last walk."""
        made = self._visits[1:]
        return ExplorationPath(
            points=torch.stack([visit.point for visit in self._visits]),
            outputs=torch.stack([visit.outputs for visit in self._visits]),
            step_sizes=torch.tensor([visit.size for visit in made], dtype=torch.float64),
            algorithm=" + ".join(dict.fromkeys(visit.algorithm for visit in made)) or "no step yet",
            settings=self._settings,
            seed=self._generator.initial_seed(),
            stopped_because=self._stopped or "no more steps asked for",
            forward_passes=sum(visit.passes[0] for visit in self._visits),
            backward_passes=sum(visit.passes[1] for visit in self._visits),
        )

    def restart(self) -> None:
        """Go back to the first point, drop what was walked, and draw the same directions again."""
        self._generator.manual_seed(self._generator.initial_seed())
        super().restart()

    def _compute(self) -> Visit | None:
        """Make a new step at the end of what was walked."""
        if self._walk is None:
            self._walk, self._spent = self._begin(), (0, 0)
        found = next(self._walk)
        passes = found.forward_passes - self._spent[0], found.backward_passes - self._spent[1]
        self._spent = found.forward_passes, found.backward_passes
        if found.stopped_because:
            self._stopped, last = found.stopped_because, self._visits[-1]
            self._visits[-1] = replace(last, passes=(last.passes[0] + passes[0], last.passes[1] + passes[1]))
            return None
        whole = self._map.complete(found.point)
        return Visit(whole, found.outputs, self._look(whole), found.size, self.algorithm.value, passes)

    def _begin(self) -> Iterator[Step]:
        """Start a walk with the present controls at the end of what was walked."""
        if not self.view.selected:
            raise ValueError(f"none of the {self.parts} may move; click at least one")
        eta, longest = STRIDES[self.stride.value]
        self._settings = replace(self._settings, eta=eta, longest_step=longest)
        self._map = self._adapter.output_map(self._visits[-1].point, self.view.selected, self._map.target)
        make_steps = WALKS[self.algorithm.value]
        bounds = self._adapter.bounds(self._visits[-1].point)
        walk = make_steps(self._map, bounds, self._settings, self._generator, self._held())
        next(walk)  # the start, which is shown already
        self._stopped = ""
        return walk

    def _held(self) -> Tensor:
        """Outputs that a corrected walk holds: those before its first step, however often it was turned since."""
        first = len(self._visits) - 1
        while self._visits[first].algorithm == "corrected":
            first -= 1
        return self._visits[first].outputs

    def _build(self) -> None:
        everything = list(self._map.parts)
        self.view.selected = everything
        self.bars = ProbabilityBars(names=list(self._map.names), reference=self._visits[0].outputs.exp().tolist())
        self.algorithm = widgets.Dropdown(description="walk", options=list(WALKS), value="corrected")
        self.stride = widgets.Dropdown(description="stride", options=list(STRIDES), value="medium (eta 3)")
        choose = {
            f"all {self.parts}": lambda: setattr(self.view, "selected", everything),
            f"no {self.parts}": lambda: setattr(self.view, "selected", []),
        }
        self._add_buttons(choose)
        for control, trait in ((self.view, "selected"), (self.algorithm, "value"), (self.stride, "value")):
            control.observe(self._turn, trait)
        chosen = [self.buttons[name] for name in (*choose, "restart")]
        self._arrange(self._beside(self.view, self.bars), [self.algorithm, self.stride], chosen)

    def _beside(self, view: widgets.DOMWidget, bars: widgets.DOMWidget) -> widgets.Box:
        """Place the view and the bars."""
        return widgets.HBox([view, bars], layout={"grid_gap": "24px"})

    def _show_visit(self, index: int) -> str:
        visit, first = self._visits[index], self._visits[0]
        with self.view.hold_sync():
            for trait, value in visit.look.items():
                setattr(self.view, trait, value)
        self.bars.values = visit.outputs.exp().tolist()
        drift = float((visit.outputs - first.outputs).abs().max())
        variation = float((visit.outputs.exp() - first.outputs.exp()).abs().sum() / 2)
        travel = sum(earlier.size for earlier in self._visits[1 : index + 1])
        return (
            f"point {index} of {len(self._visits) - 1}: travelled {travel:.3g}, "
            f"{self.start}'s norm is {float(first.point.norm()):.3g}\n"
            f"drift {drift:.2g} nats, total variation {variation:.2g}"
        )
