"""Straight moves from an input: along directions that the model sees, and along directions of its kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.equivalence import create_generator
from helpers.geometry import PullbackMetric, drift
from helpers.sessions.inputs import ModelInput
from helpers.sessions.session import Frame, round_number

COUNT = 3  # of visible directions, at most, and of random null directions
SHORTEST, GROWTH, TRIALS = 0.01, 1.25, 21  # lengths that are tried, as fractions of the norm of the input: 0.01 to 0.87


@dataclass(frozen=True)
class NamedDirection:
    """A unit direction at an input.

    Attributes:
        name: such as "visible 1" or "null 2".
        eigenvalue: of the pullback metric; 0 for a null direction.
        vector: of length 1, (parts, d_model).
    """

    name: str
    eigenvalue: float
    vector: Float[Tensor, "parts d_model"]


class Directions:
    """Move an input along single directions, all by the same length, and see what the model makes of it.

    The visible directions are the eigenvectors with the largest eigenvalues of the pullback metric. Random null
    directions are noise without its visible part. An eigenvector has no sign of its own; it is turned so that the
    prediction becomes less probable along it. With targets, there is one more null direction for each: the way to
    it, without its visible part. A move along a null direction leaves the outputs unchanged to first order only.

    Args:
        start: the input.
        towards: names of targets, see ``ModelInput.find_target``.
        seed: of the random null directions.

    Attributes:
        directions: what can be pulled.
        length: of the longest move: a little more than the first visible direction needs to change the prediction.
    """

    def __init__(self, start: ModelInput, towards: tuple[str, ...] = (), seed: int = 0):
        self.input, self.towards, self.seed = start, towards, seed
        self._start = start.f(start.f.start).detach()
        self.metric = PullbackMetric.at(start.f, start.f.start)
        self.directions = [*self._visible_directions(), *self._null_directions(towards, seed)]
        self.length = self._find_length()

    def _visible_directions(self) -> list[NamedDirection]:
        metric = self.metric
        predicted, found = int(self._start.argmax()), []
        for i in range(min(metric.rank, COUNT)):
            falls = float(metric.factor[predicted] @ metric.right[i]) <= 0
            vector = self._whole(metric.eigenvectors[i]) * (1 if falls else -1)
            found.append(NamedDirection(f"visible {i + 1}", float(metric.eigenvalues[i]), vector))
        return found

    def _null_directions(self, towards: tuple[str, ...], seed: int) -> list[NamedDirection]:
        generator, f, point = create_generator(seed), self.input.f, self.input.point
        moves = {f"null {i}": torch.randn(f.start.shape, generator=generator) for i in range(1, COUNT + 1)}
        for name in towards:
            goal = self.input.find_target(name, point, f.parts)
            moves[f"null, towards {name}"] = (goal - point)[list(f.parts)]
        null = {name: self.metric.project_to_kernel(move.to(f.start)) for name, move in moves.items()}
        return [NamedDirection(name, 0.0, self._whole(v / v.norm())) for name, v in null.items() if v.norm() > 0]

    def _whole(self, chosen: Tensor) -> Tensor:
        """Complete a direction of the parts that may move by zeros."""
        whole = torch.zeros_like(self.input.point)
        whole[list(self.input.f.parts)] = chosen.to(whole)
        return whole

    @torch.no_grad()
    def _find_length(self) -> float:
        norm, predicted = float(self.input.point.norm()) or 1.0, int(self._start.argmax())
        lengths = [norm * SHORTEST * GROWTH**i for i in range(TRIALS)]
        flipping = (
            length
            for length in lengths
            for sign in (1, -1)
            if self.metric.rank and int(self._outputs(self.find_point(0, sign * length)).argmax()) != predicted
        )
        return float(f"{1.1 * next(flipping, lengths[TRIALS // 2]):.2g}")  # a middle one, if nothing changes

    @torch.no_grad()
    def _outputs(self, point: Tensor) -> Tensor:
        return self.input.f(point[list(self.input.f.parts)])

    def describe(self) -> Frame:
        """Describe the input and its directions, for a front end."""
        directions = [
            {"name": d.name, "eigenvalue": round_number(d.eigenvalue), **self.input.describe_direction(d.vector)}
            for d in self.directions
        ]
        return self.input.describe_outputs() | {
            "directions": directions,
            "length": self.length,
            "start": self.pull(0, 0.0),
        }

    def find_point(self, index: int, length: float) -> Float[Tensor, "parts d_model"]:
        """Return the point at a length along a direction.

        Args:
            index: of the direction in ``directions``.
            length: of the move, with its sign.

        Raises:
            ValueError: no such direction, or a length that is not finite.
        """
        if not 0 <= index < len(self.directions):
            raise ValueError(f"index={index}: must be between 0 and {len(self.directions) - 1}")
        if not abs(length) < float("inf"):
            raise ValueError(f"length={length}: must be a finite number")
        return self.input.point + length * self.directions[index].vector

    def pull(self, index: int, length: float) -> Frame:
        """Move the input along a direction and return what is seen there; arguments and errors as in ``find_point``."""
        point = self.find_point(index, length)
        outputs = self._outputs(point)
        return {
            "direction": index,
            "length": round_number(length),
            "drift": round_number(float(drift(outputs, self._start))),
            "outputs": [round_number(value) for value in outputs.tolist()],
            **self.input.describe(point),
        }
