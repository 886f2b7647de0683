"""A walk's result: what was visited, what the map said there, and what it cost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers.equivalence.settings import WalkSettings
from helpers.geometry import Box, Euclidean, FisherRao, check_finite, check_log_probabilities, to_float64
from helpers.geometry.differentiation import Linearization, SmoothMap

NOT_FINITE = "the output is not finite"
NOT_DIFFERENTIABLE = "the Jacobian is not finite"
METRICS = {"Euclidean": Euclidean(), "FisherRao": FisherRao()}


class CountedMap:
    """A map that counts its forward passes and its backward passes, one for each output differentiated."""

    def __init__(self, f: SmoothMap):
        self._f = f
        self._last: tuple[Tensor, Linearization] | None = None
        self.forward_passes = 0
        self.backward_passes = 0

    @property
    def cost(self) -> int:
        """Forward-pass equivalents so far: 1 for a forward pass, 2 for a backward pass of one output."""
        return self.forward_passes + 2 * self.backward_passes

    def __call__(self, point: Tensor, differentiable: bool = False) -> Tensor:
        """Evaluate the map; what it takes to differentiate it at the same point is kept only if asked for."""
        self.forward_passes += 1
        self._last = None
        if differentiable:
            self._last = point, Linearization(self._f, point)
            return self._last[1].outputs
        with torch.no_grad():
            return self._f(point)

    def jacobian(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiate: outputs (k,), Jacobian (k, *point.shape); evaluates first unless that was just done."""
        linearization = self._linearization(point)
        self.backward_passes += len(linearization.outputs)
        return linearization.outputs, linearization.jacobian()

    def gradient(self, point: Tensor, output: int) -> Tensor:
        """Differentiate one output, by one backward pass; evaluates first unless that was just done."""
        self.backward_passes += 1
        return self._linearization(point).gradient(output)

    def _linearization(self, point: Tensor) -> Linearization:
        if self._last is None or self._last[0] is not point:
            self(point, differentiable=True)
        linearization, self._last = self._last[1], None
        return linearization


@dataclass(frozen=True)
class Step:
    """One accepted point of a walk, or, with stopped_because set, the reason why none follows.

    Attributes:
        point: where the walk is.
        outputs: the map's value there, (k,).
        size: Euclidean length of the step that led here; 0 for the first point.
        forward_passes, backward_passes: spent since the walk began.
        stopped_because: None while the walk goes on; the last item of a walk carries the reason.
    """

    point: Tensor
    outputs: Tensor
    size: float
    forward_passes: int
    backward_passes: int
    stopped_because: str | None = None


class Trail:
    """The walker's end of a walk: checks the start, makes steps and the final reason.

    Args:
        f: the map.
        point: the start.
        bounds: the box, if any.
        differentiable: whether the Jacobian will be wanted at every point that is moved to.
    """

    def __init__(self, f: SmoothMap, point: Tensor, bounds: Box | None, differentiable: bool = False):
        check_finite(point)
        if bounds is not None and bounds.broadcast_shape(point) != point.shape:
            raise ValueError(f"bounds: of shape {tuple(bounds.lower.shape)} do not fit a point of {tuple(point.shape)}")
        if bounds is not None and not bounds.contains(point):
            raise ValueError("point: lies outside the bounds, where no walk may begin; bounds.clamp(point) does not")
        self.f, self.bounds, self._differentiable = CountedMap(f), bounds, differentiable
        self.point = point.detach()
        self.outputs = self.f(self.point, differentiable)
        check_finite(self.outputs, "outputs")

    @property
    def scale(self) -> float:
        """The point's norm, by which steps are measured; 1 at the origin."""
        return float(self.point.norm()) or 1.0

    def first(self) -> Step:
        """Report the start."""
        return self._step(0.0, None)

    def jacobian(self, point: Tensor) -> tuple[Tensor, Tensor] | None:
        """Differentiate at a point: outputs (k,) and rows (k, *point.shape), or None if not finite."""
        outputs, rows = self.f.jacobian(point)
        return (outputs, rows) if torch.isfinite(outputs).all() and torch.isfinite(rows).all() else None

    def move(self, by: Tensor) -> Step:
        """Move as far as the box allows, or stop when the output there is not finite."""
        point = self.clamp(self.point + by)
        outputs = self.f(point, differentiable=self._differentiable)
        return self.advance(point, outputs) if torch.isfinite(outputs).all() else self.stop(NOT_FINITE)

    def clamp(self, point: Tensor) -> Tensor:
        """Return the nearest point of the box."""
        return point if self.bounds is None else self.bounds.clamp(point)

    def advance(self, point: Tensor, outputs: Tensor) -> Step:
        """Go to an accepted point."""
        size = float((point - self.point).norm())
        self.point, self.outputs = point, outputs
        return self._step(size, None)

    def stop(self, reason: str) -> Step:
        """Report why the walk ends here."""
        return self._step(0.0, reason)

    def _step(self, size: float, reason: str | None) -> Step:
        return Step(self.point, self.outputs, size, self.f.forward_passes, self.f.backward_passes, reason)


@dataclass(frozen=True, repr=False)
class ExplorationPath:
    """A finished walk.

    Attributes:
        points: (T+1, *point.shape), the first one is the start.
        outputs: (T+1, k).
        step_sizes: (T,), Euclidean lengths.
        algorithm: which walk made it.
        settings: what the walk was told.
        seed: of the walk's random generator.
        stopped_because: why it ended.
        forward_passes: evaluations of the map.
        backward_passes: one for each output differentiated.
    """

    points: Tensor
    outputs: Tensor
    step_sizes: Tensor
    algorithm: str
    settings: WalkSettings
    seed: int
    stopped_because: str
    forward_passes: int
    backward_passes: int

    def __len__(self) -> int:
        """Count the steps, T."""
        return len(self.step_sizes)

    @property
    def drift(self) -> Tensor:
        """Largest change of any output from its first value at each point, in the outputs' unit; (T+1,)."""
        return (self.outputs - self.outputs[0]).abs().amax(1)

    @property
    def total_variation(self) -> Tensor:
        """Half the summed change of the probabilities from the first point's; for log-probability maps; (T+1,)."""
        check_log_probabilities(self.outputs)
        probabilities = to_float64(self.outputs).exp()
        return (probabilities - probabilities[0]).abs().sum(1) / 2

    @property
    def cost(self) -> int:
        """Forward-pass equivalents: 1 for a forward pass, 2 for a backward pass of one output."""
        return self.forward_passes + 2 * self.backward_passes

    @property
    def travel(self) -> float:
        """Euclidean length of the path."""
        return float(self.step_sizes.double().sum())

    @property
    def relative_travel(self) -> float:
        """Travel as a multiple of the first point's norm; NaN for a walk from the origin."""
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
    def classes(self) -> Tensor:
        """Index of the largest output at each point, (T+1,)."""
        return self.outputs.argmax(1)

    def evenly(self, count: int) -> list[int]:
        """Choose the indices of ``count`` points, evenly spaced along the distance travelled."""
        travelled = torch.cat([torch.zeros(1, dtype=torch.float64), self.step_sizes.cumsum(0)])
        marks = torch.linspace(0, self.travel, count, dtype=travelled.dtype)
        return (travelled[None] - marks[:, None]).abs().argmin(1).tolist()

    def up_to(self, travel: float) -> ExplorationPath:
        """Return the first part of the path, as long as its length does not exceed a travel; the cost stays whole."""
        kept = int((self.step_sizes.double().cumsum(0) <= travel).sum())
        return replace(
            self,
            points=self.points[: kept + 1],
            outputs=self.outputs[: kept + 1],
            step_sizes=self.step_sizes[:kept],
            stopped_because=self.stopped_because if kept == len(self) else f"cut at travel {travel:.3g}",
        )

    def __repr__(self) -> str:
        return "ExplorationPath(" + ", ".join(f"{name}: {value}" for name, value in self._summary()) + ")"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th style='text-align:left'>{n}</th><td>{v}</td></tr>" for n, v in self._summary())
        return f"<table>{rows}</table>"

    def _summary(self) -> list[tuple[str, str]]:
        verdict = ("predicted class", f"{int(self.classes[0])} at first, {int(self.classes[-1])} at last")
        return [
            ("algorithm", self.algorithm),
            ("steps", str(len(self))),
            ("travel", f"{self.travel:.3g} ({self.relative_travel:.2g} times the first point's norm)"),
            ("largest drift", f"{float(self.drift.max()):.2g}"),
            *([("pullback length", f"{self.pullback_length:.3g}")] if self.algorithm == "leave_class" else []),
            *([verdict] if self.outputs.shape[1] > 1 else []),
            ("cost", f"{self.forward_passes} forward and {self.backward_passes} backward passes"),
            ("stopped because", self.stopped_because),
        ]

    def save(self, path: str | Path) -> None:
        """Write the path to a safetensors file.

        Raises:
            ValueError: the output metric is not one of this package's, which alone ``load`` knows.
        """
        if self.settings.output_metric not in METRICS.values():
            raise ValueError(
                f"settings.output_metric={self.settings.output_metric!r}: can be saved for {sorted(METRICS)}"
            )
        settings = {**asdict(self.settings), "output_metric": type(self.settings.output_metric).__name__}
        plain = ("algorithm", "seed", "stopped_because", "forward_passes", "backward_passes")
        metadata = {"settings": settings, **{name: getattr(self, name) for name in plain}}
        tensors = {name: getattr(self, name).contiguous() for name in ("points", "outputs", "step_sizes")}
        save_file(tensors, path, metadata={"walk": json.dumps(metadata)})

    @classmethod
    def load(cls, path: str | Path) -> ExplorationPath:
        """Read a path written by ``save``.

        Raises:
            ValueError: the file is not a stored walk.
        """
        try:
            with safe_open(path, "pt") as file:
                stored = (file.metadata() or {}).get("walk")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"path={str(path)!r}: cannot be read as safetensors ({error})") from error
        if stored is None:
            raise ValueError(f"path={str(path)!r}: a safetensors file, but not a stored walk")
        metadata = json.loads(stored)
        told = metadata.pop("settings")
        settings = WalkSettings(**{**told, "output_metric": METRICS[told["output_metric"]]})
        return cls(**tensors, **metadata, settings=settings)


def collect(steps: Iterable[Step], algorithm: str, settings: WalkSettings, seed: int) -> ExplorationPath:
    """Walk to the end and keep everything.

    Args:
        steps: a walk (``simec_steps`` and its like); its last item carries the reason for the end.
        algorithm: the walk's name.
        settings: what it was told.
        seed: of its random generator.
    """
    walked, last = [], None
    try:
        for last in steps:
            walked.append(last)
    except KeyboardInterrupt:  # the notebook's stop button keeps what was walked
        if last is None:
            raise
        last = replace(last, stopped_because="interrupted")
    else:
        walked.pop()
    return ExplorationPath(
        points=torch.stack([step.point for step in walked]),
        outputs=torch.stack([step.outputs for step in walked]),
        step_sizes=torch.tensor([step.size for step in walked[1:]], dtype=torch.float64),
        algorithm=algorithm,
        settings=settings,
        seed=seed,
        stopped_because=last.stopped_because,
        forward_passes=last.forward_passes,
        backward_passes=last.backward_passes,
    )
