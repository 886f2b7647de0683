"""Walks of all algorithms from one input, side by side."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

from helpers.equivalence import ExplorationPath, WalkSettings
from helpers.sessions.inputs import ModelInput
from helpers.sessions.session import Frame
from helpers.sessions.walk import ALGORITHMS, WalkChoices, WalkSession

MOST_STEPS = 8  # of the corrected walk in one step of the race


class Race:
    """Walk from an input with every algorithm at once: corrected, SiMEC, SiMExp, and random directions as a control.

    All steps are about equally long; where corrected steps are shorter, the corrected walk makes several. Arguments,
    methods and attributes are those of ``WalkSession``. A frame holds a frame of each lane; where an algorithm cannot
    go on, its frame says why it ``ended``, and the others go on.

    Attributes:
        lanes: the session of each algorithm, by name.
    """

    def __init__(self, start: ModelInput, settings: WalkSettings | None = None, seed: int = 0, **choices: Any):
        self.input, self.selected = start, 0
        self.lanes = {
            name: WalkSession(start, settings, seed, has_importance=False, **{**choices, "algorithm": name})
            for name in ALGORITHMS
        }
        self.frames = [self._create_frame()]
        self._places = [{name: lane.selected for name, lane in self.lanes.items()}]  # per frame, the point of each lane

    @property
    def choices(self) -> WalkChoices:
        """What the next steps will be made with; each lane has its own algorithm."""
        return self.lanes["corrected"].choices

    @property
    def first_choices(self) -> WalkChoices:
        """What the steps are made with unless something else is chosen."""
        return self.lanes["corrected"].first_choices

    @property
    def moves(self) -> list[tuple[WalkChoices, bool]]:
        """The choices with which each frame after the start was made, and whether all walks begin with it."""
        of_lanes, moves = {name: lane.moves for name, lane in self.lanes.items()}, []
        for before, after in pairwise(self._places):
            made = [of_lanes[name][index] for name, index in before.items() if after[name] > index]
            moves.append((replace(made[0][0], algorithm="corrected"), all(begins for _, begins in made)))
        return moves

    @property
    def stopped_because(self) -> str | None:
        """Why no lane can go on; None if one can."""
        reasons = [lane.stopped_because for lane in self.lanes.values()]
        return "; ".join(filter(None, reasons)) if all(reasons) else None

    @property
    def paths(self) -> dict[str, ExplorationPath]:
        """The walk of each algorithm up to its last point."""
        return {name: lane.path for name, lane in self.lanes.items()}

    def describe(self) -> Frame:
        """Describe what all frames have in common, for a front end."""
        return self.lanes["corrected"].describe() | {"lanes": list(self.lanes)}

    def choose(self, **choices: Any) -> None:
        """Choose how the next steps are made; see ``WalkSession.choose``."""
        lanes = {name: copy.copy(lane) for name, lane in self.lanes.items()}
        for name, lane in lanes.items():
            lane.choose(**{**choices, "algorithm": name})
        self.lanes = lanes

    def watch(self, name: str) -> None:
        """Show one more class; see ``WalkSession.watch``."""
        lanes = {lane: copy.copy(session) for lane, session in self.lanes.items()}
        for session in lanes.values():
            session.watch(name)
        frames = []
        for frame, places in zip(self.frames, self._places, strict=True):
            seen = {lane: lanes[lane].frames[index]["watched"] for lane, index in places.items()}
            frames.append({"lanes": {n: lane | {"watched": seen[n]} for n, lane in frame["lanes"].items()}})
        self.lanes, self.frames = lanes, frames

    def step(self) -> Frame:
        """Go to the next stored frame if it was made with the present choices, or let every lane make a step.

        A new frame replaces all later ones. If a lane raises an error, none has moved.
        """
        if self.selected + 1 < len(self.frames) and self.moves[self.selected][0] == self.choices:
            return self.select(self.selected + 1)
        lanes = {name: copy.copy(lane) for name, lane in self.lanes.items()}
        try:
            for lane in lanes.values():
                lane.step()
            catch_up(lanes["corrected"], lanes["SiMEC"])
        except BaseException:
            self.interrupt()  # the walks have gone on in the copies
            raise
        self.lanes = lanes
        if not self.stopped_because:
            for lane in lanes.values():
                lane.discard_later()  # which a lane that cannot go on has kept
            self.frames = [*self.frames[: self.selected + 1], self._create_frame()]
            places = {name: lane.selected for name, lane in lanes.items()}
            self._places = [*self._places[: self.selected + 1], places]
            self.selected += 1
        return self.frames[self.selected]

    def back(self) -> Frame:
        """Go to the previous points."""
        return self.select(max(0, self.selected - 1))

    def select(self, index: int) -> Frame:
        """Go to stored points."""
        if not 0 <= index < len(self.frames):
            raise ValueError(f"index={index}: must be between 0 and {len(self.frames) - 1}, the last point")
        for name, lane in self.lanes.items():
            lane.select(self._places[index][name])
        self.selected = index
        return self.frames[index]

    def restart(self) -> Frame:
        """Go back to the start, discard all other points, and draw the same random directions again."""
        for lane in self.lanes.values():
            lane.restart()
        self.frames, self._places = self.frames[:1], self._places[:1]
        return self.select(0)

    def interrupt(self) -> None:
        """End the walks in progress; the next step begins new ones."""
        for lane in self.lanes.values():
            lane.interrupt()

    def _create_frame(self) -> Frame:
        lanes = {}
        for name, lane in self.lanes.items():
            reason = {"ended": lane.stopped_because} if lane.stopped_because else {}
            lanes[name] = lane.frames[lane.selected] | reason
        return {"lanes": lanes}


def catch_up(lane: WalkSession, other: WalkSession) -> None:
    """Let one walk make more steps until it has travelled as far as another one, or cannot go on."""
    for _ in range(MOST_STEPS - 1):
        travels = [session.frames[session.selected]["travel"] for session in (lane, other)]
        if lane.stopped_because or travels[0] >= 0.98 * travels[1]:
            return
        lane.step()
