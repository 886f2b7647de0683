"""A map that counts how often it is evaluated and differentiated."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.geometry import Linearization, SmoothMap, check_outputs


class CountedMap:
    """A map that counts its forward passes and its backward passes, one backward pass per differentiated output.

    Attributes:
        forward_passes: evaluations so far.
        backward_passes: outputs differentiated so far.
    """

    def __init__(self, f: SmoothMap):
        self._f = f
        self.forward_passes = 0
        self.backward_passes = 0

    @property
    def cost(self) -> int:
        """Forward-pass equivalents so far: 1 per forward pass, 2 per backward pass of one output."""
        return self.forward_passes + 2 * self.backward_passes

    @torch.no_grad()
    def __call__(self, point: Float[Tensor, "*point"]) -> Float[Tensor, " k"]:
        """Evaluate the map; it gets a copy of the point, and its outputs are copied (see ``Linearization``)."""
        self.forward_passes += 1
        outputs = self._f(point.clone())
        check_outputs(outputs)
        return outputs.clone()

    def linearize(self, point: Float[Tensor, "*point"]) -> Linearization:
        """Evaluate the map at a point where it will be differentiated."""
        self.forward_passes += 1
        return Linearization(self._f, point)

    def jacobian(self, linearization: Linearization) -> Float[Tensor, "k *point"]:
        """Differentiate every output where the map was linearized."""
        self.backward_passes += len(linearization.outputs)
        return linearization.jacobian()

    def pull_back(self, linearization: Linearization, combinations: Float[Tensor, "m k"]) -> Float[Tensor, "m *point"]:
        """Differentiate linear combinations of the outputs where the map was linearized, one backward pass each."""
        self.backward_passes += len(combinations)
        return linearization.pull_back(combinations)

    def gradient(self, linearization: Linearization, output: int) -> Float[Tensor, "*point"]:
        """Differentiate one output where the map was linearized."""
        self.backward_passes += 1
        return linearization.gradient(output)
