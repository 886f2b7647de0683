"""A curve of polynomial pieces through points of a walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from helpers.geometry import Box

SAMPLES = 17  # per piece, by which its arc length is measured; 1e-5 of the length where a piece turns by 0.5 rad


@dataclass(frozen=True, eq=False)
class Piece:
    """A polynomial that interpolates a few control points, on the interval [0, 1] of its parameter.

    Attributes:
        controls: the control points, and the tangent at the first point of a slice where it is used, flat.
        weights: (m, m), float64: the coefficient of t^j is the j-th row times the controls.
        shape: of a point.
        bounds: the box into which the curve is moved, if any.
    """

    controls: tuple[Tensor, ...]
    weights: Tensor
    shape: torch.Size
    bounds: Box | None

    def at(self, t: Tensor) -> Tensor:
        """Return the points (q, *shape) at parameters (q,) in [0, 1]."""
        stacked = torch.stack(self.controls)
        weights = (t[:, None] ** torch.arange(len(self.weights))) @ self.weights
        points = (weights.to(stacked) @ stacked).reshape(-1, *self.shape)
        return points if self.bounds is None else self.bounds.clamp(points)

    def lengths(self) -> Tensor:
        """Return the arc length from the piece's start to each of ``SAMPLES`` equidistant parameters."""
        points = self.at(torch.linspace(0, 1, SAMPLES, dtype=torch.float64)).flatten(1)
        chords = (points[1:] - points[:-1]).norm(dim=1).double().cpu()
        return torch.cat([chords.new_zeros(1), chords.cumsum(0)])


@dataclass(frozen=True, eq=False)
class Curve:
    """Pieces joined end to end, parametrised by arc length."""

    pieces: Sequence[Piece]

    @cached_property
    def _lengths(self) -> Tensor:
        """Arc lengths within each piece, (pieces, SAMPLES)."""
        return torch.stack([piece.lengths() for piece in self.pieces])

    @cached_property
    def _ends(self) -> Tensor:
        """Arc length of the curve at the end of each piece, (pieces,)."""
        return self._lengths[:, -1].cumsum(0)

    def at(self, s: float | Tensor) -> Tensor:
        """Return the point at an arc length, or the points (q, *shape) at many.

        Raises:
            ValueError: an arc length lies outside of the curve.
        """
        arc_lengths = torch.as_tensor(s, dtype=torch.float64).reshape(-1)
        longest = float(self._ends[-1])
        if arc_lengths.min() < 0 or arc_lengths.max() > longest * (1 + 1e-9):
            raise ValueError(f"s={s}: must lie between 0 and the length of the curve, {longest:.6g}")
        points = [self._at(float(length)) for length in arc_lengths]
        return torch.stack(points) if torch.as_tensor(s).ndim else points[0]

    def _at(self, s: float) -> Tensor:
        index = min(int(torch.searchsorted(self._ends, s)), len(self.pieces) - 1)
        lengths = self._lengths[index]
        within = s - float(self._ends[index] - lengths[-1])
        after = int(torch.searchsorted(lengths, within).clamp(1, SAMPLES - 1))
        share = (within - lengths[after - 1]) / (lengths[after] - lengths[after - 1]).clamp(min=1e-300)
        t = (after - 1 + share.clamp(0, 1)) / (SAMPLES - 1)
        return self.pieces[index].at(t.reshape(1))[0]

    def to_tensors(self) -> dict[str, Tensor]:
        """Return what ``from_tensors`` needs to rebuild the curve; each control point is stored once."""
        index: dict[bytes, int] = {}
        controls: list[Tensor] = []
        width = max(len(piece.controls) for piece in self.pieces)
        indices = torch.full((len(self.pieces), width), -1)
        weights = torch.zeros(len(self.pieces), width, width, dtype=torch.float64)
        for row, piece in enumerate(self.pieces):
            for column, control in enumerate(piece.controls):
                key = control.cpu().numpy().tobytes()
                if key not in index:
                    index[key] = len(controls)
                    controls.append(control)
                indices[row, column] = index[key]
            weights[row, : len(piece.weights), : len(piece.weights)] = piece.weights
        tensors = {"curve_controls": torch.stack(controls), "curve_indices": indices, "curve_weights": weights}
        bounds, shape = self.pieces[0].bounds, self.pieces[0].shape
        if bounds is not None:
            tensors["curve_lower"] = bounds.lower.expand(shape).contiguous()
            tensors["curve_upper"] = bounds.upper.expand(shape).contiguous()
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], shape: torch.Size) -> Curve:
        """Rebuild a curve of points of a shape from ``to_tensors``."""
        bounds = Box(tensors["curve_lower"], tensors["curve_upper"]) if "curve_lower" in tensors else None
        pieces = []
        for indices, weights in zip(tensors["curve_indices"], tensors["curve_weights"], strict=True):
            count = int((indices >= 0).sum())
            controls = tuple(tensors["curve_controls"][indices[:count]])
            pieces.append(Piece(controls, weights[:count, :count], shape, bounds))
        return cls(pieces)
