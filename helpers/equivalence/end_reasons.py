"""Why a walk ends."""

from __future__ import annotations

from enum import StrEnum


class EndReason(StrEnum):
    """Why a walk ended; each reason equals its sentence, so that it can be printed and stored."""

    TRAVEL_REACHED = "travel reached"
    TARGET_REACHED = "target reached"
    CLASS_LEFT = "class left"
    ALL_STEPS = "all steps made"
    MAX_STEPS = "max_steps made"
    INTERRUPTED = "interrupted"
    NOTHING_NEARER = "no nearer point of the class lies ahead"
    TRIVIAL_KERNEL = "the kernel is trivial"
    FLAT = "the map is flat here: no output changes"
    NO_DIRECTION = "no null direction was found inside the box"
    CLASS_LEAVES_BOX = "the class leaves the box here"
    NO_EXIT = "no direction leads out"
    STALLED = "the lead of the new class has stopped growing"
    NO_EXIT_IN_BOX = "no direction inside the box leads out"
    NOT_HELD = "the tolerance cannot be held"
    NOT_FINITE = "the output is not finite"
    NOT_DIFFERENTIABLE = "the Jacobian is not finite"
