"""Walk from an image or a sentence by hand, with the patches or tokens that you choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from helpers.adapters import Adapter, ImageAdapter, TextAdapter
from helpers.adapters.text import Text
from helpers.equivalence import ExplorationPath, Step, WalkSettings, simec_steps, simexp_steps, walk_class_steps
from helpers.geometry import PullbackMetric, drift
from helpers.widgets.step_controls import UNLIMITED, StepControls, WalkPoint, first_step
from helpers.widgets.views import PatchGrid, ProbabilityBars, TokenStrip, encode_png

STEP_LENGTHS = {  # label: (eta of SiMEC and SiMExp, longest_step of the corrected walk)
    "short (eta 1)": (1.0, 0.03),
    "medium (eta 3)": (3.0, 0.1),
    "long (eta 10)": (10.0, 0.3),
}
PUBLISHED_WALKS = {"SiMEC": simec_steps, "SiMExp": simexp_steps}


class ModelWalker(StepControls):
    """Walk by hand: step, back, play, and a slider over the points of the walk.

    A change of parts, algorithm or step length applies from the point that is shown; all later points are discarded.
    A subclass implements how a point is shown: ``_create_view`` and ``_compute_view_traits``.

    Args:
        adapter: the model.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; the step length control sets eta and longest_step.
        seed: of the random directions.
    """

    part_kind = "parts"  # what the parts of a point are called
    start_name = "the start"  # what the first point is called
    view_box: type[widgets.Box] = widgets.HBox  # holds the view and the bars

    def __init__(self, adapter: Adapter, raw: Any, settings: WalkSettings | None = None, seed: int = 0):
        super().__init__(settings or WalkSettings(), seed)
        if not isinstance(adapter, self.adapter_class):
            raise ValueError(f"adapter: is {type(adapter).__name__}, wanted {self.adapter_class.__name__}")
        start = adapter.encode(raw)
        self._adapter = adapter
        self._generator = torch.Generator().manual_seed(seed)
        self._map = adapter.output_map(start)
        head = self._map.head
        self.view = self._create_view(raw)
        step = replace(first_step(self._map, self._map.start), point=start)
        self._points = [WalkPoint(step, details=self._compute_view_traits(start))]
        self.bars = ProbabilityBars(
            names=list(self._map.names),
            reference=head.probabilities(step.outputs).tolist(),
            label=f"{head.quantity} of each output",
            has_bars=head.is_logarithmic,
        )
        self._create_controls()
        self._show_selected_point()

    def _create_view(self, raw: Any) -> Any:
        """Create the view of a point; its trait ``selected`` lists the parts that may move."""
        raise NotImplementedError

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        """Compute the values that the view shows of a point, by the name of the trait."""
        raise NotImplementedError

    @property
    def path(self) -> ExplorationPath:
        """The walk up to its last point, as whole points (T+1, parts, d_model); its settings are the latest ones."""
        algorithms = dict.fromkeys(point.algorithm for point in self._points[1:])
        return self._assemble_path([point.step for point in self._points], " + ".join(algorithms))

    def restart(self) -> None:
        """Go back to the start, discard all other points, and draw the same random directions again."""
        self._generator.manual_seed(self._seed)
        super().restart()

    def _start_walk(self) -> Iterator[Step]:
        if not self.view.selected:
            raise ValueError(f"none of the {self.part_kind} may move; click at least one")
        eta, longest_step = STEP_LENGTHS[self.step_length.value]
        self._settings = replace(self._settings, eta=eta, longest_step=longest_step)
        point = self._points[-1].step.point
        f = self._map = self._adapter.output_map(point, self.view.selected, self._map.target)
        options = self._adapter.bounds(point), self._settings, self._generator
        if self.algorithm.value in PUBLISHED_WALKS:
            return PUBLISHED_WALKS[self.algorithm.value](f, f.start, UNLIMITED, *options)
        # Corrected steps keep the outputs that the walk had before the first of them.
        reference = next(point.step.outputs for point in reversed(self._points) if point.algorithm != "corrected")
        return walk_class_steps(f, f.start, UNLIMITED, None, *options, reference)

    def _create_point(self, step: Step) -> WalkPoint:
        point = self._map.complete(step.point)
        whole = replace(step, point=point, pieces=())  # the curve is one of the chosen parts, whose choice may change
        return WalkPoint(whole, self.algorithm.value, self._compute_view_traits(point))

    def _create_controls(self) -> None:
        self.view.selected = list(self._map.parts)
        self.algorithm = widgets.Dropdown(description="walk", options=["corrected", *PUBLISHED_WALKS])
        self.step_length = widgets.Dropdown(
            description="step length", options=list(STEP_LENGTHS), value="medium (eta 3)"
        )
        selections = {f"all {self.part_kind}": self.view.selected, f"no {self.part_kind}": []}
        select = partial(setattr, self.view, "selected")
        self._add_buttons({name: partial(select, parts) for name, parts in selections.items()})
        for control, trait in ((self.view, "selected"), (self.algorithm, "value"), (self.step_length, "value")):
            control.observe(self._discard_later_points, trait)
        views = self.view_box([self.view, self.bars], layout={"grid_gap": "24px"})
        buttons = [self.buttons[name] for name in (*selections, "restart")]
        self._place_controls(views, [self.algorithm, self.step_length], buttons)

    def _show_points(self, points: list[WalkPoint]) -> str:
        start, outputs, head = points[0].step, points[-1].step.outputs, self._map.head
        with self.view.hold_sync():
            for trait, value in points[-1].details.items():
                setattr(self.view, trait, value)
        self.bars.values = head.probabilities(outputs).tolist()
        variation = "total variation" if head.is_distribution else f"largest change of a {head.quantity}"
        return (
            f"travelled {sum(point.step.size for point in points):.3g}, "
            f"{self.start_name}'s norm is {float(start.point.norm()):.3g}\n"
            f"drift {float(drift(outputs, start.outputs)):.2g} {head.unit}, "
            f"{variation} {float(head.variation(outputs, start.outputs)):.2g}"
        )


class ClassWalker(ModelWalker):
    """Walk from an image by hand; click patches to choose those that may move. See ``ModelWalker``.

    Its adapter is an ``ImageAdapter``, in embedding space or in pixels.
    """

    part_kind, start_name = "patches", "the image"
    adapter_class = ImageAdapter
    _adapter: ImageAdapter

    def _create_view(self, raw: Any) -> PatchGrid:
        rows, columns = self._adapter.grid
        return PatchGrid(rows=rows, columns=columns, label="patches of the image; chosen ones may move")

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        return {"picture": encode_png(self._adapter.decode(point))}


class SentenceWalker(ModelWalker):
    """Walk from a sentence by hand; click tokens to choose those that may move. See ``ModelWalker``.

    Each token is shown as the word whose embedding is nearest to the present point; changed tokens are underlined. The
    darker the background of a token, the more the outputs depend on it at this point. Its adapter is a
    ``TextAdapter``.
    """

    part_kind, start_name, view_box = "tokens", "the sentence", widgets.VBox
    adapter_class = TextAdapter
    _adapter: TextAdapter

    def _create_view(self, raw: Text) -> TokenStrip:
        self._start_tokens = self._adapter.tokens(raw)
        fixed = sorted(set(range(len(self._start_tokens))) - set(self._map.parts))
        return TokenStrip(fixed=fixed, label="tokens of the sentence; chosen ones may move")

    def _compute_view_traits(self, point: Tensor) -> dict[str, Any]:
        nearest, start = self._adapter.part_names(point), self._start_tokens
        tokens = [start[i] if i in self.view.fixed else name for i, name in enumerate(nearest)]
        movable = [i for i in range(len(point)) if i not in self.view.fixed]
        f = self._adapter.output_map(point, movable, self._map.target)
        norms = torch.zeros(len(point), dtype=torch.float64)
        norms[movable] = PullbackMetric.at(f, f.start, f.head.output_metric).part_norms().cpu()
        return {
            "tokens": tokens,
            "changed": [token != before for token, before in zip(tokens, start, strict=True)],
            "shades": (norms / norms.max().clamp(min=1e-30)).tolist(),
        }
