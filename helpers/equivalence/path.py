"""The result of a walk: the points that were visited, the outputs there, and what the walk cost."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers.equivalence.curve import Curve
from helpers.equivalence.settings import ReleasedSettings, WalkSettings
from helpers.geometry import (
    Euclidean,
    FisherRao,
    are_log_probabilities,
    check_log_probabilities,
    drift,
    to_float64,
    total_variation,
)
from helpers.geometry.arguments import check_whole

METRICS = {"Euclidean": Euclidean(), "FisherRao": FisherRao()}
SETTINGS = {"WalkSettings": WalkSettings, "ReleasedSettings": ReleasedSettings}
TENSORS = ("points", "outputs", "step_sizes")  # what a stored walk holds
METADATA = {"algorithm": str, "seed": int, "stopped_because": str, "forward_passes": int, "backward_passes": int}


@dataclass(frozen=True, repr=False)
class ExplorationPath:
    """A finished walk.

    Attributes:
        points: the start and the end of each of the T steps.
        outputs: the value of the map at each point.
        step_sizes: Euclidean lengths.
        algorithm: name of the walk.
        settings: of the walk.
        seed: of its random generator.
        stopped_because: why it ended.
        forward_passes: evaluations of the map.
        backward_passes: one per differentiated output.
        curve: the curve of a corrected walk; None for walks that are lists of points.
        curve_drift: the largest change of any output that the walk measured on the curve of each step, between its
            ends; the walk measures it at the middle of each interval between control points. None without a curve.
    """

    points: Float[Tensor, "T+1 *point"]
    outputs: Float[Tensor, "T+1 k"]
    step_sizes: Float[Tensor, " T"]
    algorithm: str
    settings: WalkSettings
    seed: int
    stopped_because: str
    forward_passes: int
    backward_passes: int
    curve: Curve | None = None
    curve_drift: Float[Tensor, " T"] | None = None

    def __len__(self) -> int:
        """Count the steps, T."""
        return len(self.step_sizes)

    def at(self, s: float | Float[Tensor, " q"]) -> Float[Tensor, "*point"] | Float[Tensor, "q *point"]:
        """Return the point of the curve at an arc length between 0 and ``travel``, or the points at many.

        Raises:
            ValueError: the walk is a list of points without a curve, or an arc length lies outside of the curve.
        """
        if self.curve is None:
            raise ValueError(f"path: {self.algorithm} makes points and no curve; walk_class makes a curve")
        if float(torch.as_tensor(s, dtype=torch.float64).max()) > self.travel * (1 + 1e-9):
            raise ValueError(f"s={s}: must lie between 0 and the travel, {self.travel:.6g}")
        return self.curve.at(s)

    @property
    def drift(self) -> Float[Tensor, " T+1"]:
        """Largest change of any output since the start, at each point, in the unit of the outputs."""
        return drift(self.outputs, self.outputs[0])

    @property
    def total_variation(self) -> Float[Tensor, " T+1"]:
        """Half the summed change of the probabilities since the start, for maps to log-probabilities."""
        check_log_probabilities(self.outputs)
        outputs = to_float64(self.outputs)
        return total_variation(outputs, outputs[0])

    @property
    def cost(self) -> int:
        """Forward-pass equivalents: 1 per forward pass, 2 per backward pass of one output."""
        return self.forward_passes + 2 * self.backward_passes

    @property
    def travel(self) -> float:
        """Euclidean length of the path."""
        return float(self.step_sizes.double().sum())

    @property
    def relative_travel(self) -> float:
        """Travel as a multiple of the norm of the start; NaN for a walk from the origin."""
        norm = float(self.points[0].norm())
        return self.travel / norm if norm else math.nan

    @property
    def displacement(self) -> float:
        """Euclidean distance between the first and the last point."""
        return float((self.points[-1] - self.points[0]).norm())

    @property
    def pullback_length(self) -> float:
        """Length of the path under the pullback metric, summed over the chords of its outputs (trapezoid rule)."""
        metric, lengths = self.settings.output_metric, []
        for before, after in zip(self.outputs[:-1], self.outputs[1:], strict=True):
            chord = (after - before).double()
            lengths += [metric.weigh(end, chord).norm() / 2 for end in (before, after)]
        return float(sum(lengths))

    @property
    def classes(self) -> Int[Tensor, " T+1"]:
        """Index of the largest output at each point: a position in the map's ``names``."""
        return self.outputs.argmax(1)

    def evenly(self, count: int) -> list[int]:
        """Choose the indices of ``count`` points, evenly spaced along the distance travelled."""
        check_whole("count", count, least=1)
        arc_lengths = torch.cat([torch.zeros(1, dtype=torch.float64), self.step_sizes.cumsum(0)])
        marks = torch.linspace(0, self.travel, count, dtype=arc_lengths.dtype)
        return (arc_lengths[None] - marks[:, None]).abs().argmin(1).tolist()

    def up_to(self, travel: float) -> ExplorationPath:
        """Return the first steps of the path, up to a travel; the cost stays that of the whole walk."""
        steps = int((self.step_sizes.double().cumsum(0) <= travel).sum())
        return replace(
            self,
            points=self.points[: steps + 1],
            outputs=self.outputs[: steps + 1],
            step_sizes=self.step_sizes[:steps],
            curve_drift=None if self.curve_drift is None else self.curve_drift[:steps],
            stopped_because=self.stopped_because if steps == len(self) else f"cut at travel {travel:.3g}",
        )

    def every(self, count: int) -> ExplorationPath:
        """Return the path at the start and at every ``count``-th point, as walks are often stored; without its curve.

        The length of a step is the travel from one of these points to the next. The cost stays that of the whole walk.
        """
        sizes = self.step_sizes[: len(self) // count * count].reshape(-1, count).sum(1)
        points, outputs = self.points[::count], self.outputs[::count]
        return replace(self, points=points, outputs=outputs, step_sizes=sizes, curve=None, curve_drift=None)

    def __repr__(self) -> str:
        return "ExplorationPath(" + ", ".join(f"{name}: {value}" for name, value in self._summary()) + ")"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self._summary()
        )
        return f"<table>{rows}</table>"

    def _summary(self) -> list[tuple[str, str]]:
        curve = [] if self.curve_drift is None or not len(self.curve_drift) else [float(self.curve_drift.max())]
        most_probable = f"number {int(self.classes[0])} at first, {int(self.classes[-1])} at last"
        return [
            ("algorithm", self.algorithm),
            ("steps", str(len(self))),
            ("travel", f"{self.travel:.3g} ({self.relative_travel:.2g} times the norm of the start)"),
            ("largest drift", f"{float(self.drift.max()):.2g}"),
            *(("largest drift of the curve", f"{value:.2g}") for value in curve),
            *([("pullback length", f"{self.pullback_length:.3g}")] if self.algorithm == "leave_class" else []),
            *([("most probable output", most_probable)] if are_log_probabilities(self.outputs) else []),
            ("cost", f"{self.forward_passes} forward and {self.backward_passes} backward passes"),
            ("stopped because", self.stopped_because),
        ]

    def save(self, path: str | Path) -> None:
        """Write the path to a safetensors file.

        Raises:
            ValueError: the output metric is not one that ``load`` can restore.
            OSError: the file cannot be written.
        """
        if self.settings.output_metric not in METRICS.values():
            raise ValueError(
                f"settings.output_metric={self.settings.output_metric!r}: only {sorted(METRICS)} can be saved"
            )
        metric, kind = type(self.settings.output_metric).__name__, type(self.settings).__name__
        settings = {**asdict(self.settings), "output_metric": metric, "kind": kind}
        metadata = {"settings": settings, **{name: getattr(self, name) for name in METADATA}}
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        if self.curve is not None and self.curve_drift is not None:
            tensors |= {"curve_drift": self.curve_drift} | self.curve.to_tensors()
        try:
            save_file(tensors, path, metadata={"walk": json.dumps(metadata)})
        except (SafetensorError, OSError) as error:
            reason = "its folder does not exist" if not Path(path).parent.is_dir() else str(error)
            raise OSError(f"path={str(path)!r}: the walk cannot be written there; {reason}") from error

    @classmethod
    def load(cls, path: str | Path) -> ExplorationPath:
        """Read a path written by ``save``.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a stored walk, or it is damaged.
        """
        try:
            with safe_open(path, "pt") as file:
                stored = (file.metadata() or {}).get("walk")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"path={str(path)!r}: cannot be read as safetensors ({error})") from error
        if stored is None:
            raise ValueError(f"path={str(path)!r}: a safetensors file, but not a stored walk")
        try:
            return cls._restore(tensors, json.loads(stored))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"path={str(path)!r}: the stored walk is damaged ({error})") from error

    @classmethod
    def _restore(cls, tensors: dict[str, Any], metadata: dict[str, Any]) -> ExplorationPath:
        """Build a path from what a file holds; any error means that the file is damaged."""
        fields = metadata.pop("settings")
        kind = SETTINGS[fields.pop("kind", "WalkSettings")]
        settings = kind(**{**fields, "output_metric": METRICS[fields["output_metric"]]})
        curve_tensors = {name: tensors.pop(name) for name in list(tensors) if name.startswith("curve_")}
        path = cls(**tensors, **metadata, settings=settings)
        if curve_tensors:
            curve = Curve.from_tensors(curve_tensors, path.points.shape[1:])
            path = replace(path, curve=curve, curve_drift=curve_tensors["curve_drift"])
        count = len(path.step_sizes) + 1
        if path.step_sizes.ndim != 1 or len(path.points) != count or path.outputs.shape[:1] != (count,):
            raise ValueError("the numbers of points, outputs and steps do not fit each other")
        if path.outputs.ndim != 2 or not all(isinstance(metadata[name], kind) for name, kind in METADATA.items()):
            raise ValueError("an entry is of another kind than the walk's")
        return path
