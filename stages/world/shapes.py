"""The shapes of the embedded world as signed distances: negative inside, in units of the shape's radius.

Every shape is drawn once, finely, into a table of distances to its outline; an object is then a rotated, scaled
look-up in that table. One way to draw all shapes, a few microseconds each, with clean antialiased edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

NOUNS = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "diamond", "crescent", "arrow")
SOLID = ("circle", "square", "triangle", "heart", "diamond")
"""Shapes thick enough to hold another one inside."""

_TABLE = 768  # samples a side
_EXTENT = 1.35  # the table spans [-_EXTENT, _EXTENT] radii
MARGIN = 4
"""Pixels around a shape for which its patch still holds distances."""


def _polygon(
    x: Float[np.ndarray, "n n"], y: Float[np.ndarray, "n n"], corners: list[tuple[float, float]]
) -> Bool[np.ndarray, "n n"]:
    """Even-odd rule: which points lie inside the polygon."""
    inside = np.zeros(x.shape, dtype=bool)
    previous = corners[-1]
    for corner in corners:
        (x0, y0), (x1, y1) = previous, corner
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        previous = corner
    return inside


def _inside(noun: str, x: Float[np.ndarray, "n n"], y: Float[np.ndarray, "n n"]) -> Bool[np.ndarray, "n n"]:
    """Which points of the plane (y downwards) a shape of radius about 1 holds."""
    radius = np.hypot(x, y)
    if noun == "circle":
        return radius < 0.95
    if noun == "ring":
        return (radius < 1.0) & (radius > 0.48)
    if noun == "square":
        return (abs(x) < 0.82) & (abs(y) < 0.82)
    if noun == "cross":
        return ((abs(x) < 0.34) & (abs(y) < 1)) | ((abs(y) < 0.34) & (abs(x) < 1))
    if noun == "crescent":
        return (radius < 1.0) & (np.hypot(x - 0.52, y) > 0.78)
    if noun == "heart":
        lobes = (np.hypot(abs(x) - 0.46, y + 0.34) < 0.5) & (y < 0.2)
        return lobes | _polygon(x, y, [(-0.9, -0.12), (0.0, 0.98), (0.9, -0.12), (0.0, -0.5)])
    if noun == "triangle":
        return _polygon(x, y, [(0, -1), (0.95, 0.72), (-0.95, 0.72)])
    if noun == "diamond":
        return _polygon(x, y, [(0, -1), (0.62, 0), (0, 1), (-0.62, 0)])
    if noun == "arrow":
        head = [(0.0, -0.78), (1.0, 0.0), (0.0, 0.78)]
        return _polygon(x, y, [*head, (0.0, 0.32), (-1.0, 0.32), (-1.0, -0.32), (0.0, -0.32)])
    if noun == "star":
        turns = np.arange(10) * np.pi / 5 - np.pi / 2
        reach = np.where(np.arange(10) % 2 == 0, 1.0, 0.46)
        return _polygon(x, y, list(zip(reach * np.cos(turns), reach * np.sin(turns), strict=True)))
    raise ValueError(f"no shape is called {noun!r}; shapes are {', '.join(NOUNS)}")


@cache
def _table(noun: str) -> tuple[Float[np.ndarray, "n n"], float]:
    """Signed distances of a shape of radius 1 on a fine grid, and its area."""
    from scipy.ndimage import distance_transform_edt

    step = 2 * _EXTENT / _TABLE
    axis = (np.arange(_TABLE) + 0.5) * step - _EXTENT
    inside = _inside(noun, *np.meshgrid(axis, axis))
    outwards = distance_transform_edt(~inside) - 0.5
    inwards = distance_transform_edt(inside) - 0.5
    distance = np.where(inside, -inwards, outwards) * step
    return distance.astype(np.float32), float(inside.sum() * step * step)


def scale_of_area(noun: str, area: float) -> float:
    """The radius in pixels at which the shape covers `area` square pixels."""
    return float(np.sqrt(area / _table(noun)[1]))


@dataclass(frozen=True)
class Patch:
    """A shape on a square patch of pixels around its centre, to be laid anywhere on a canvas.

    `distance` is signed, in pixels, negative inside; the patch's pixel (half, half) is the shape's centre.
    """

    distance: Float[np.ndarray, "side side"]
    inside: Bool[np.ndarray, "side side"]
    half: int

    @property
    def area(self) -> int:
        return int(self.inside.sum())

    def extent(self) -> tuple[int, int]:
        """Height and width in pixels of the shape's bounding box."""
        rows, columns = np.flatnonzero(self.inside.any(1)), np.flatnonzero(self.inside.any(0))
        return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)

    def window(self, y: int, x: int, side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Slices of a `side`-pixel canvas and of this patch that coincide when the centre lies on (y, x)."""
        top, left = y - self.half, x - self.half
        rows = slice(max(top, 0), min(y + self.half + 1, side))
        columns = slice(max(left, 0), min(x + self.half + 1, side))
        return (rows, columns), (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )


def patch(noun: str, radius: float, angle: float) -> Patch:
    """The shape with `radius` in pixels, turned by `angle` (radians)."""
    table, _ = _table(noun)
    half = int(np.ceil(radius * 1.12)) + MARGIN
    axis = np.arange(-half, half + 1, dtype=np.float32) / np.float32(radius)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = axis[None, :] * cosine + axis[:, None] * sine
    v = axis[:, None] * cosine - axis[None, :] * sine
    grain = np.float32(_TABLE / (2 * _EXTENT))
    column = ((u + np.float32(_EXTENT)) * grain).astype(np.int32).clip(0, _TABLE - 1)
    row = ((v + np.float32(_EXTENT)) * grain).astype(np.int32).clip(0, _TABLE - 1)
    distance = table[row, column] * np.float32(radius)
    return Patch(distance=distance, inside=distance < 0, half=half)
