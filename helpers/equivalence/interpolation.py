"""Interpolation of the curve that a class cuts out of a slice, from its control points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.equivalence.curve import Piece
from helpers.equivalence.slices import Slice

POINTS = 5  # control points per polynomial, as in trial and benchmark: 4 to 6 cost the same, 7 and 8 amplify round-off


@dataclass(frozen=True)
class Interpolant:
    """A polynomial through control points, as a function of the linear coordinate u = axis . z.

    A curve is the graph of a smooth function over a linear coordinate along its tangent, so that the order of the
    interpolation is not limited by an approximate arc length, as it is with chord lengths.

    Attributes:
        weights: (m, m): the coefficient of ((u - centre) / scale)^j is the j-th row times the controls.
        controls: (m, r + 1), coordinates of points, and of the tangent at the slice's base where it is used.
        indices: of the control points; -1 for the tangent.
        centre, scale: of u.
        nodes: (number of points,), their u.
    """

    weights: Tensor
    controls: Tensor
    indices: tuple[int, ...]
    centre: float
    scale: float
    nodes: Tensor

    def at(self, u: float) -> Tensor:
        """Return coordinates (r + 1,)."""
        v = (u - self.centre) / self.scale
        powers = v ** torch.arange(len(self.weights), dtype=torch.float64)
        return powers @ self.weights @ self.controls

    def tangent(self, u: float) -> Tensor:
        """Return the unit tangent (r + 1,)."""
        v, orders = (u - self.centre) / self.scale, torch.arange(1, len(self.weights), dtype=torch.float64)
        derivative = (orders * v ** (orders - 1)) @ self.weights[1:] @ self.controls
        return derivative / derivative.norm()

    def node_product(self, u: float) -> float:
        """Return the product of the distances of u to the nodes, to which the interpolation error is proportional."""
        distances = (u - self.nodes).abs()
        return float(distances.prod()) * (float(distances[0]) if -1 in self.indices else 1.0)


class ControlPoints:
    """The control points of one slice, in the order of the curve, from the slice's base on.

    Args:
        piece: the slice.
        tangent: unit tangent at the base, (r + 1,).
    """

    def __init__(self, slice_: Slice, tangent: Tensor):
        self.slice, self.tangent = slice_, tangent
        self.coordinates = [torch.zeros(slice_.dimension, dtype=torch.float64)]
        self._points = [slice_.base.flatten()]
        self._direction = slice_.vector(tangent).to(slice_.base)

    @property
    def last(self) -> Tensor:
        """Coordinates of the last point."""
        return self.coordinates[-1]

    def insert(self, z: Tensor, axis: Tensor) -> None:
        """Add a point, before all that lie further along the axis."""
        place = len(self.coordinates)
        while place > 1 and float(axis @ self.coordinates[place - 1]) > float(axis @ z):
            place -= 1
        self.coordinates.insert(place, z)
        self._points.insert(place, self.slice.point(z).flatten())

    def copy(self) -> ControlPoints:
        """Return a copy to which points can be added without changing this one."""
        other = ControlPoints(self.slice, self.tangent)
        other.coordinates, other._points = list(self.coordinates), list(self._points)
        return other

    def interpolant(self, axis: Tensor, near: float) -> Interpolant:
        """Interpolate the points whose coordinate along an axis is nearest to a value."""
        z = torch.stack(self.coordinates)
        u = z @ axis
        chosen = (u - near).abs().argsort()[:POINTS].sort().values
        nodes, controls = u[chosen], z[chosen]
        with_tangent = len(z) < POINTS
        centre, scale = float(nodes[-1]), max(float((nodes[-1] - nodes[0]).abs()), 1e-300)
        if len(chosen) == 1:
            scale = 1.0
        orders = torch.arange(len(chosen) + with_tangent, dtype=torch.float64)
        v = (nodes - centre) / scale
        conditions = v[:, None] ** orders
        if with_tangent:
            slope = orders * v[0] ** (orders - 1).clamp(min=0)
            conditions = torch.cat([conditions, slope[None] * float(axis @ self.tangent) / scale])
            controls = torch.cat([controls, self.tangent[None]])
        indices = (*chosen.tolist(), *([-1] if with_tangent else []))
        return Interpolant(torch.linalg.inv(conditions), controls, indices, centre, scale, nodes)

    def piece(self, axis: Tensor, start: float, end: float) -> Piece:
        """Return the curve between two values of the coordinate along an axis."""
        polynomial = self.interpolant(axis, (start + end) / 2)
        shift, stretch = (start - polynomial.centre) / polynomial.scale, (end - start) / polynomial.scale
        weights = _binomial(len(polynomial.weights), shift, stretch) @ polynomial.weights
        controls = tuple(self._direction if i < 0 else self._points[i] for i in polynomial.indices)
        return Piece(controls, weights, self.slice.base.shape, self.slice.bounds)


def _binomial(count: int, shift: float, stretch: float) -> Tensor:
    """Return the matrix that turns coefficients in v = shift + stretch t into coefficients in t."""
    matrix = torch.zeros(count, count, dtype=torch.float64)
    row = torch.zeros(count, dtype=torch.float64)
    row[0] = 1.0
    for j in range(count):
        matrix[:, j] = row
        row = shift * row + stretch * torch.cat([row.new_zeros(1), row[:-1]])
    return matrix
