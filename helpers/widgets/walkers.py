"""Widgets that show a session: walk by hand from an image, from a sentence, or over the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.adapters import ImageAdapter, TextAdapter
from helpers.adapters.text import Text
from helpers.equivalence import ExplorationPath, WalkSettings
from helpers.geometry import SmoothMap
from helpers.sessions import ImageInput, PlaneSession, Race, SentenceInput, WalkSession
from helpers.sessions.inputs import ModelInput
from helpers.sessions.session import Frame, Session
from helpers.widgets.views import View

SCRIPTS = "dom patch_grid token_strip output_bars drift_plot plane walker"
LEVEL_COUNT = 12  # level curves drawn, at most
GRID_POINTS = 81  # per side of the grid on which level curves are computed


class Walker(View, files=SCRIPTS):
    """Show a session, and let it be stepped by hand.

    What is sent to the page is what has changed: a new point, or the number of the one that is shown. The page keeps
    the points, and asks for those that it lacks.

    Args:
        session: what is shown.
    """

    setup = traitlets.Dict().tag(sync=True)  # what all points have in common
    frame = traitlets.Dict().tag(sync=True)  # the newest point, with its index
    place = traitlets.Dict().tag(sync=True)  # the number of points, and of the one that is selected
    choices = traitlets.Dict().tag(sync=True)  # how the next step is made
    status = traitlets.Dict().tag(sync=True)  # the last message
    busy = traitlets.Bool(False).tag(sync=True)  # whether the kernel computes
    answered = traitlets.Dict().tag(sync=True)  # the view that asked last, and its request

    def __init__(self, session: Session | Race):
        super().__init__()
        self.session: Any = session
        self._shown: Any = None  # the session whose points the page has
        self._frames: list[Frame] = []  # the points that the page has been told of
        self._told = 0  # messages about points so far
        self._request: dict[str, Any] = {}  # the last request of a page
        self._show()
        self.on_msg(self._receive)

    def step(self) -> None:
        """Go to the next stored point, or make a new step."""
        self._run(lambda: self.session.step(), "cannot step: ")

    def back(self) -> None:
        """Go to the previous point; all points are kept."""
        self._run(lambda: self.session.back())

    def select(self, index: int) -> None:
        """Go to a stored point."""
        self._run(lambda: self.session.select(index))

    def restart(self) -> None:
        """Go back to the start and discard all other points."""
        self._run(lambda: self.session.restart())

    def choose(self, **choices: Any) -> None:
        """Choose how the next steps are made; what was walked stays."""
        self._run(lambda: self.session.choose(**choices))

    @property
    def _commands(self) -> dict[str, Callable[..., None]]:
        """What a page may ask for, by name."""
        commands = (self.step, self.back, self.select, self.restart, self.choose)
        return {command.__name__: command for command in commands}

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Carry out a command of the page."""
        arguments = dict(message)
        command, view, request = arguments.pop("do"), arguments.pop("view", ""), arguments.pop("id", 0)
        if command == "frames":
            first = arguments["from"]
            self.send({"frames": self.session.frames[first:], "from": first})
            return
        self._request = {"view": view, "id": request}
        self._commands[command](**arguments)

    def _run(self, action: Callable[[], Any], failure: str = "") -> None:
        """Run an action and show what it changed, or its error, which a callback of a widget would lose."""
        self.busy, status = True, {"text": "", "isError": False}
        try:
            action()
        except KeyboardInterrupt:
            status = {"text": "interrupted; all earlier results are kept", "isError": True}
        except Exception as error:
            status = {"text": f"{failure}{error}", "isError": True}
        reason = self.session.stopped_because
        if reason and not status["isError"]:
            status = {"text": f"the walk stopped: {reason}", "isError": False, "isEnd": True}
        with self.hold_sync():
            self._show()
            self.busy, self.status = False, status
            self.answered = self._request

    def _show(self) -> None:
        """Tell the page what has changed since it was told last."""
        frames, session = self.session.frames, self.session
        new = [i for i, frame in enumerate(frames) if i >= len(self._frames) or frame is not self._frames[i]]
        with self.hold_sync():
            if self._shown is not session or len(new) > 1:
                self._told += 1
                self.setup = session.describe() | {"serial": self._told}
            if new:
                self._told += 1
                self.frame = frames[-1] | {"index": len(frames) - 1, "serial": self._told}
            self.place = {"count": len(frames), "selected": session.selected}
            self.choices = asdict(session.choices)
        self._shown, self._frames = session, frames


class ModelWalker(Walker):
    """Walk by hand from an input of a model, with one algorithm, or with all of them in a race.

    Args:
        start: the input.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
    """

    def __init__(self, start: ModelInput, settings: WalkSettings | None, seed: int):
        self._options = (settings, seed)
        self.walk = WalkSession(start, settings, seed)
        self._race: Race | None = None
        super().__init__(self.walk)

    @property
    def path(self) -> ExplorationPath:
        """The walk up to its last point, as whole points (T+1, parts, d_model); its settings are the latest ones."""
        return self.walk.path

    @property
    def race(self) -> Race:
        """All algorithms from the same input; its ``paths`` holds their walks."""
        self._race = self._race or Race(self.walk.input, *self._options)
        return self._race

    @property
    def _commands(self) -> dict[str, Callable[..., None]]:
        return super()._commands | {"show": self.show, "watch": self.watch}

    def watch(self, name: str) -> None:
        """Show the output of one more class, where the model has many."""
        self._run(lambda: self.session.watch(name), "cannot show it: ")

    def show(self, mode: str) -> None:
        """Show one "walk", or the "race" of all algorithms, with the same choices."""
        if mode not in ("walk", "race"):
            raise ValueError(f"mode={mode!r}: wanted 'walk' or 'race'")
        self._run(lambda: self._switch(mode))

    def _switch(self, mode: str) -> None:
        choices = asdict(self.session.choices) | {"algorithm": self.walk.choices.algorithm}
        session = self.walk if mode == "walk" else self.race
        session.choose(**choices)
        self.session = session


class ClassWalker(ModelWalker):
    """Walk from an image by hand; click patches, or paint over them, to choose those that may move.

    Args:
        adapter: an ``ImageAdapter``, in embedding space or in pixels.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
        targets: images that a walk may approach, by name.
    """

    def __init__(
        self,
        adapter: ImageAdapter,
        raw: Any,
        settings: WalkSettings | None = None,
        seed: int = 0,
        targets: Mapping[str, Any] | None = None,
    ):
        super().__init__(ImageInput(adapter, raw, targets), settings, seed)


class SentenceWalker(ModelWalker):
    """Walk from a sentence by hand; click tokens, or paint over them, to choose those that may move.

    Each token is shown as the word whose embedding is nearest to the present point; changed tokens are underlined. The
    darker the background of a token, the more the outputs depend on it at this point.

    Args:
        adapter: a ``TextAdapter``.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
    """

    def __init__(self, adapter: TextAdapter, raw: Text, settings: WalkSettings | None = None, seed: int = 0):
        super().__init__(SentenceInput(adapter, raw), settings, seed)


class PlaneWalker(Walker):
    """Click a point of the plane and watch two walks grow from it, a naive one and a corrected one.

    Each step of the naive walk is a straight step along the kernel, as long as the corrected walk's step. A new start,
    function or step length restarts both walks. The view draws the level curves of the first output from -span to
    span; the one through the start is dotted.

    Args:
        functions: name -> map from a point (2,) to outputs (k,); a control chooses among them.
        settings: of the corrected walk; the step length control sets longest_step.
        seed: of the first direction.
    """

    span = traitlets.Float(2.0).tag(sync=True)  # the plane is shown from -span to span
    contours: traitlets.List[Any] = traitlets.List().tag(sync=True)  # level curves, each a list of [x, y]
    level: traitlets.List[Any] = traitlets.List().tag(sync=True)  # the level curves through the start

    def __init__(
        self,
        functions: Mapping[str, SmoothMap],
        start: Sequence[float] = (1.0, 0.5),
        span: float = 3.0,
        settings: WalkSettings | None = None,
        seed: int = 0,
    ):
        self._drawn: Any = None  # the function whose level curves are drawn, the span and the start
        self._heights = np.zeros((0, 0))
        super().__init__(PlaneSession(functions, start, settings, seed))
        self.span = span
        self._show()

    @property
    def path(self) -> ExplorationPath:
        """The corrected walk up to its last point, points (T+1, 2)."""
        return self.session.path

    @property
    def naive_path(self) -> ExplorationPath:
        """The naive walk up to its last point, points (T+1, 2)."""
        return self.session.naive_path

    def _show(self) -> None:
        """Draw the level curves of the chosen function, and the one through the start, where they have changed."""
        session: PlaneSession = self.session
        drawn = (session.choices.function, self.span), session.choices.start
        with self.hold_sync():
            if self._drawn is None or drawn[0] != self._drawn[0]:
                self._heights = evaluate_on_grid(session.f, self.span)
                finite = self._heights[np.isfinite(self._heights)]
                levels = MaxNLocator(LEVEL_COUNT).tick_values(finite.min(), finite.max())
                self.contours = compute_level_curves(self._heights, self.span, levels)
            if drawn != self._drawn:
                height = float(session.f(torch.tensor(session.choices.start, dtype=torch.float64))[0])
                self.level = compute_level_curves(self._heights, self.span, [height])
            self._drawn = drawn
            super()._show()


def evaluate_on_grid(f: SmoothMap, span: float) -> np.ndarray:
    """Evaluate the first output on a grid from -span to span: (GRID_POINTS, GRID_POINTS), one row per y, upwards."""
    ticks = torch.linspace(-span, span, GRID_POINTS, dtype=torch.float64)
    with torch.no_grad():
        return np.array([[float(f(torch.stack([x, y]))[0]) for x in ticks] for y in ticks])


def compute_level_curves(heights: np.ndarray, span: float, levels: Sequence[float]) -> list[list[list[float]]]:
    """Compute the level curves of values on such a grid at the given levels; each curve is a list of [x, y]."""
    ticks = np.linspace(-span, span, len(heights))
    contours = Figure().subplots().contour(ticks, ticks, np.ma.masked_invalid(heights), levels=levels)
    return [np.round(curve, 3).tolist() for curves in contours.allsegs for curve in curves if len(curve)]
