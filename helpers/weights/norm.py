"""Layer norms and RMS norms, and what is left of them once they are folded into what reads after them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer norm, or an RMS norm, which neither centres nor has a bias.

    Attributes:
        scale: multiplies each coordinate; 1 + w where the file stores w (Gemma).
        bias: is added; None without one.
        centres: whether the mean of the coordinates is taken out.
        eps: is added to the mean square.
    """

    scale: Float[Tensor, " d"]
    bias: Float[Tensor, " d"] | None
    centres: bool
    eps: float

    def __call__(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Compute the whole norm."""
        scaled = self.normalize(x) * self.scale
        return scaled if self.bias is None else scaled + self.bias

    def normalize(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Compute the norm without scale and bias: what is left of it once they are folded into what reads after it."""
        return self.centre(x) / self.size(x)

    def centre(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Take out the mean of the coordinates, if this norm does."""
        return x - x.mean(-1, keepdim=True) if self.centres else x

    def size(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 1"]:
        """Return the number that the norm divides each vector by."""
        return (self.centre(x).square().mean(-1, keepdim=True) + self.eps).sqrt()

    def fold(self, matrix: Float[Tensor, "*heads d r"]) -> Float[Tensor, "*heads d r"]:
        """Fold the scale into a matrix that reads after the norm, then take out what no centred vector meets."""
        return self.centre((matrix * self.scale[:, None]).mT).mT

    def fold_bias(self, bias: Float[Tensor, "*heads r"], matrix: Float[Tensor, "*heads d r"]) -> Tensor:
        """Add what the matrix, before it is folded, makes of the norm's bias."""
        return bias if self.bias is None else bias + self.bias @ matrix
