"""Walks made side by side, the map run on all their points at once.

A walk spends its time in the map, and a small model at one point keeps neither a CPU core nor a GPU busy. Here each
walk goes on until it needs the map; when all of them do, one batch answers them all. The walks themselves are those of
the other modules, unchanged. Each has a thread of its own, but only one runs at a time and their order is fixed, so
that what they find depends on which walks go together and on nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from torch import Tensor

from helpers.geometry.differentiation import SmoothMap, batched_jacobian

T = TypeVar("T")


@dataclass(frozen=True)
class _Question:
    """What a walker wants to know: the map's value at a point, and its Jacobian if it differentiates."""

    point: Tensor
    differentiate: bool


class _Cancelled(BaseException):
    """Ends a walk from outside."""


class _Answer(torch.autograd.Function):
    """The map as a walker sees it: its value, with the derivatives that came with it."""

    @staticmethod
    def forward(ctx, point: Tensor, outputs: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return outputs

    @staticmethod
    def backward(ctx, changes: Tensor) -> tuple[Tensor, None, None]:
        return torch.tensordot(changes, *ctx.saved_tensors, dims=1), None, None


class _Walker:
    """A walk in a thread of its own, which runs only between an answer and the next question."""

    def __init__(self, walk: Callable[[SmoothMap], Any]):
        self._walk, self._answers, self._said = walk, SimpleQueue(), SimpleQueue()
        self._error: BaseException | None = None
        self.question: _Question | None = None
        self.result: Any = None
        threading.Thread(target=self._run, daemon=True).start()

    def go_on(self, answer: Any) -> None:
        """Answer the last question and wait for the next one, None if the walk is over; raise what the walk raises."""
        self._answers.put(answer)
        self.question = self._said.get()
        if self._error:
            raise self._error

    def cancel(self) -> None:
        """End the walk where it stands."""
        with suppress(_Cancelled):
            self.go_on(_Cancelled())

    def _run(self) -> None:
        try:
            torch.set_num_threads(self._answers.get())  # each thread has a number of its own
            self.result = self._walk(self._ask)
        except BaseException as error:  # raised again by ``go_on``
            self._error = error
        self._said.put(None)

    def _ask(self, point: Tensor) -> Tensor:
        differentiate = torch.is_grad_enabled() and point.requires_grad
        self._said.put(_Question(point.detach(), differentiate))
        answer = self._answers.get()
        if isinstance(answer, _Cancelled):
            raise answer
        outputs, rows = answer
        return _Answer.apply(point, outputs, rows) if differentiate else outputs


def walk_together(
    f: SmoothMap, walks: Sequence[Callable[[SmoothMap], T]], rows: Sequence[int] | None = None
) -> list[T]:
    """Make walks side by side, each with a map that gives what f gives.

    Args:
        f: the map; all walks ask it for points of one shape.
        walks: functions of a map; each is called once.
        rows: the outputs that the walks differentiate, all if None; to them others are constants.

    Returns:
        What each walk returned.

    Raises:
        The first error of a walk or of the map; all walks are ended.
    """
    walkers: list[_Walker] = []
    try:
        for walk in walks:
            walkers.append(_Walker(walk))
            walkers[-1].go_on(torch.get_num_threads())
        while waiting := [walker for walker in walkers if walker.question]:
            found = _answer(f, [walker.question for walker in waiting], rows)
            for walker, answer in zip(waiting, found, strict=True):
                walker.go_on(answer)
    finally:  # ends those that still walk, if there was an error
        for walker in walkers:
            while walker.question:
                walker.cancel()
    return [walker.result for walker in walkers]


def _answer(f: SmoothMap, asked: Sequence[_Question], rows: Sequence[int] | None) -> list[tuple[Tensor, Tensor | None]]:
    """Run the map on all points at once, and differentiate it where that is wanted."""
    found: list[Any] = [None] * len(asked)
    for differentiate in (False, True):
        numbers = [i for i, question in enumerate(asked) if question.differentiate == differentiate]
        if not numbers:
            continue
        points = torch.stack([asked[i].point for i in numbers])
        if differentiate:
            outputs, jacobians = batched_jacobian(f, points, rows)
        else:
            with torch.no_grad():
                outputs, jacobians = torch.func.vmap(f)(points), [None] * len(points)
        for i, pair in zip(numbers, zip(outputs, jacobians, strict=True), strict=True):
            found[i] = pair
    return found
