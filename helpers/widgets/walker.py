"""What the walkers share: stepping through walks inside a class and out of it, with the parts that you choose."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from helpers.widgets.views import ProbabilityBars

ENDLESS = 10**9
PLAY_INTERVAL = 400  # milliseconds; longer than a step takes, so that play drops none
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
    """A point that was walked to: the whole point, what the model says there, what the step was and cost."""

    point: Tensor
    outputs: Tensor
    size: float = 0.0
    algorithm: str = ""
    passes: tuple[int, int] = (1, 0)


class Walker(widgets.VBox):
    """Walk by hand: step, back, play, and a slider over what was walked.

    A change of parts, algorithm or stride applies from the point that is shown; what had been walked beyond it is
    dropped. A subclass says how a point is looked at: ``_make_view`` and ``_show_point``.

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
        with torch.no_grad():
            self._visits = [Visit(start, self._map(self._map.start))]
        self._walk: Iterator[Step] | None = None
        self._stopped = ""
        self._build(raw)
        self._show()

    def _make_view(self, raw: Any) -> widgets.DOMWidget:
        """Build the view of a point; its ``selected`` lists the parts that may move."""
        raise NotImplementedError

    def _show_point(self, point: Tensor) -> None:
        """Show a point in the view."""
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

    def step(self) -> None:
        """Go one step on: along what was walked, or by a new step at its end."""
        try:
            if self.slider.value < len(self._visits) - 1:
                self.slider.value += 1
            else:
                self._compute()
        except Exception as error:  # shown in the widget: an exception in a callback would vanish
            self.play.playing = False
            self._say(f"cannot step: {html.escape(str(error))}", wrong=True)

    def back(self) -> None:
        """Go one step back; nothing is dropped."""
        self.slider.value = max(0, self.slider.value - 1)

    def restart(self) -> None:
        """Go back to the image and drop what was walked."""
        self.play.playing = False
        self.slider.value = 0
        self._generator.manual_seed(self._generator.initial_seed())
        self._turn()

    def _compute(self) -> None:
        """Make a new step at the end of what was walked."""
        if self._walk is None:
            self._begin()
        try:
            found = next(self._walk)
        except BaseException:  # a generator that raised, or was interrupted, is spent
            self._walk = None
            raise
        passes = found.forward_passes - self._spent[0], found.backward_passes - self._spent[1]
        self._spent = found.forward_passes, found.backward_passes
        if found.stopped_because:
            self._stopped, self._walk, self.play.playing = found.stopped_because, None, False
            last = self._visits[-1]
            self._visits[-1] = replace(last, passes=(last.passes[0] + passes[0], last.passes[1] + passes[1]))
            self._say(f"the walk stopped: {found.stopped_because}")
            return
        whole = self._map.complete(found.point)
        self._visits.append(Visit(whole, found.outputs, found.size, self.algorithm.value, passes))
        self.slider.max = len(self._visits) - 1
        if self.slider.value == self.slider.max:
            self._show()  # the slider did not move, so nobody else will
        self.slider.value = self.slider.max

    def _begin(self) -> None:
        """Start a walk with the present controls at the end of what was walked."""
        if not self.view.selected:
            raise ValueError(f"none of the {self.parts} may move; click at least one")
        eta, longest = STRIDES[self.stride.value]
        self._settings = replace(self._settings, eta=eta, longest_step=longest)
        self._map = self._adapter.output_map(self._visits[-1].point, self.view.selected, self._map.target)
        make_steps = WALKS[self.algorithm.value]
        self._walk = make_steps(self._map, self._adapter.bounds(), self._settings, self._generator, self._held())
        next(self._walk)  # the start, which is shown already
        self._spent, self._stopped = (0, 0), ""

    def _held(self) -> Tensor:
        """Outputs that a corrected walk holds: those before its first step, however often it was turned since."""
        first = len(self._visits) - 1
        while self._visits[first].algorithm == "corrected":
            first -= 1
        return self._visits[first].outputs

    def _turn(self, _: Any = None) -> None:
        """Forget the walk in progress and what lies beyond the point shown."""
        del self._visits[self.slider.value + 1 :]
        self._walk, self._stopped = None, ""
        self.slider.max = max(1, len(self._visits) - 1)
        self._show()

    def _build(self, raw: Any) -> None:
        everything = list(self._map.parts)
        self.view = self._make_view(raw)
        self.view.selected = everything
        self.bars = ProbabilityBars(names=list(self._map.names), reference=self._visits[0].outputs.exp().tolist())
        self.slider = widgets.IntSlider(description="point", min=0, max=1, value=0, layout={"width": "320px"})
        self.algorithm = widgets.Dropdown(description="walk", options=list(WALKS), value="corrected")
        self.stride = widgets.Dropdown(description="stride", options=list(STRIDES), value="medium (eta 3)")
        self.play = widgets.Play(interval=PLAY_INTERVAL, min=0, max=ENDLESS, show_repeat=False)
        self.status = widgets.HTML(layout={"min_height": "44px"})
        buttons = {
            "back": self.back,
            "step": self.step,
            "restart": self.restart,
            f"all {self.parts}": lambda: setattr(self.view, "selected", everything),
            f"no {self.parts}": lambda: setattr(self.view, "selected", []),
        }
        self.buttons = {name: widgets.Button(description=name, layout={"width": "96px"}) for name in buttons}
        for name, act in buttons.items():
            self.buttons[name].on_click(lambda _, act=act: act())
        self.play.observe(lambda change: self.step() if change.new > change.old else None, "value")  # stop sets it to 0
        self.slider.observe(self._show, "value")
        for control, trait in ((self.view, "selected"), (self.algorithm, "value"), (self.stride, "value")):
            control.observe(self._turn, trait)
        self._arrange()

    def _arrange(self) -> None:
        button = self.buttons
        self.children = [
            self._beside(self.view, self.bars),
            widgets.HBox([button["back"], button["step"], self.play, self.slider]),
            widgets.HBox([self.algorithm, self.stride]),
            widgets.HBox([button[f"all {self.parts}"], button[f"no {self.parts}"], button["restart"]]),
            self.status,
        ]
        self.add_class("tm-walker")

    def _beside(self, view: widgets.DOMWidget, bars: widgets.DOMWidget) -> widgets.Box:
        """Place the view and the bars."""
        return widgets.HBox([view, bars], layout={"grid_gap": "24px"})

    def _show(self, _: Any = None) -> None:
        """Show the point that the slider names."""
        index = min(self.slider.value, len(self._visits) - 1)
        visit, first = self._visits[index], self._visits[0]
        self._show_point(visit.point)
        self.bars.values = visit.outputs.exp().tolist()
        drift = float((visit.outputs - first.outputs).abs().max())
        variation = float((visit.outputs.exp() - first.outputs.exp()).abs().sum() / 2)
        travel = sum(earlier.size for earlier in self._visits[1 : index + 1])
        self._say(
            f"point {index} of {len(self._visits) - 1}: travelled {travel:.3g}, "
            f"{self.start}'s norm is {float(first.point.norm()):.3g}<br>"
            f"drift {drift:.2g} nats, total variation {variation:.2g}"
        )

    def _say(self, text: str, wrong: bool = False) -> None:
        style = "color: var(--jp-error-color1, #b00020)" if wrong else ""
        self.status.value = f"<div role='status' style='line-height: 1.5; {style}'>{text}</div>"
