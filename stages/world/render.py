"""Pixels of the embedded world: textured grounds, a shore line between them, patterned shapes on top."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

    from stages.world.shapes import Patch

SIDE = 128
"""Height and width of every scene in pixels."""

COLOURS = {
    "red": (214, 40, 40),
    "orange": (242, 134, 28),
    "yellow": (246, 222, 50),
    "green": (34, 158, 60),
    "blue": (36, 76, 214),
    "purple": (136, 48, 168),
    "white": (246, 246, 246),
    "black": (30, 30, 34),
}
PATTERNS = ("plain", "striped", "dotted")
GROUNDS = ("grass", "sand", "water", "snow", "gravel")

_BASE = {
    "grass": (112, 148, 92),
    "sand": (212, 190, 146),
    "water": (104, 148, 182),
    "snow": (226, 232, 238),
    "gravel": (142, 136, 132),
}
# Texture: blur (rows, columns) of white noise, and its standard deviation in grey levels.
_GRAIN = {
    "grass": ((4.5, 1.4), 9.0),
    "sand": ((2.2, 9.0), 6.0),
    "water": ((1.7, 12.0), 9.0),
    "snow": ((9.0, 9.0), 5.0),
    "gravel": ((2.2, 2.2), 9.0),
}
_TILE = 2 * SIDE


@cache
def _texture(ground: str) -> Float[np.ndarray, "tile tile 3"]:
    """A seamless tile of a ground, twice as large as a scene, in [0, 255]."""
    from scipy.ndimage import gaussian_filter

    blur, spread = _GRAIN[ground]
    noise = np.random.default_rng(GROUNDS.index(ground)).standard_normal((_TILE, _TILE))
    grain = gaussian_filter(noise, blur, mode="wrap")
    grain *= spread / grain.std()
    return (np.asarray(_BASE[ground]) + grain[..., None]).astype(np.float32)


def ground_pixels(ground: str, corner: tuple[int, int], light: float) -> Float[np.ndarray, "128 128 3"]:
    """A crop of a ground's texture from `corner` (row, column) of its tile, brightness times `light`; in [0, 255]."""
    rows = (corner[0] + np.arange(SIDE)) % _TILE
    columns = (corner[1] + np.arange(SIDE)) % _TILE
    return _texture(ground)[rows[:, None], columns[None, :]] * np.float32(light)


def shore(angle: float, offset: float, wave: float, phase: float) -> Float[np.ndarray, "128 128"]:
    """Signed distance in pixels to a wavy line: positive where the second ground lies.

    The line passes `offset` pixels from the centre, its normal turned by `angle`; `wave` is its amplitude.
    """
    axis = np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)
    across = axis[None, :] * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))
    along = axis[:, None] * np.float32(np.cos(angle)) - axis[None, :] * np.float32(np.sin(angle))
    return across - np.float32(offset) - np.float32(wave) * np.sin(along * np.float32(0.11) + np.float32(phase))


def blend_grounds(
    first: Float[np.ndarray, "128 128 3"],
    second: Float[np.ndarray, "128 128 3"],
    line: Float[np.ndarray, "128 128"],
) -> Float[np.ndarray, "128 128 3"]:
    """The second ground where `line` > 0, with a light seam of about two pixels along it."""
    share = (line * np.float32(0.5) + np.float32(0.5)).clip(0, 1)[..., None]
    seam = np.exp(-np.square(line * np.float32(0.6)))[..., None] * np.float32(0.5)
    mixed = first + (second - first) * share
    return mixed + (np.float32(236) - mixed) * seam


def _second_shade(colour: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """The colour of stripes and dots: lighter on dark objects, darker on light ones."""
    level = colour.mean()
    if level < 60:
        return colour + (255 - colour) * np.float32(0.42)
    if level > 220:
        return colour * np.float32(0.62)
    if level < 150:
        return colour + (255 - colour) * np.float32(0.72)
    return colour * np.float32(0.42)


def pattern_share(
    pattern: str, half: int, period: float, angle: float, phase: tuple[float, float]
) -> Float[np.ndarray, "side side"]:
    """How much of each pixel of a patch takes the second shade, in [0, 1]; `period` in pixels."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = axis[None, :] * cosine + axis[:, None] * sine + np.float32(phase[0] * period)
    if pattern == "striped":
        away = abs(u % np.float32(period) - np.float32(period / 2))  # 0 at a stripe's middle
        return (np.float32(period / 4 + 0.5) - away).clip(0, 1)
    v = axis[:, None] * cosine - axis[None, :] * sine + np.float32(phase[1] * period)
    du = u % np.float32(period) - np.float32(period / 2)
    dv = v % np.float32(period) - np.float32(period / 2)
    return (np.float32(period * 0.31 + 0.5) - np.sqrt(du * du + dv * dv)).clip(0, 1)


def draw(
    canvas: Float[np.ndarray, "128 128 3"],
    shape: Patch,
    centre: tuple[int, int],
    colour: str,
    light: float,
    share: Float[np.ndarray, "side side"] | None,
) -> None:
    """Lay an object on the canvas in place: its colour, its pattern's second shade, a darker rim, soft edges."""
    there, here = shape.window(*centre, SIDE)
    distance = shape.distance[here]
    paint = np.asarray(COLOURS[colour], dtype=np.float32) * np.float32(light)
    pixels = np.broadcast_to(paint, (*distance.shape, 3))
    if share is not None:
        pixels = pixels + (_second_shade(paint) - paint) * share[here][..., None]
    rim = (distance + np.float32(1.8)).clip(0, 1)[..., None] * np.float32(0.45)
    pixels = pixels * (1 - rim)
    if colour == "black":
        pixels = pixels + np.float32(70) * rim
    alpha = (np.float32(0.5) - distance).clip(0, 1)[..., None]
    canvas[there] += (pixels - canvas[there]) * alpha


def visible(
    shapes: list[tuple[Patch, tuple[int, int]]],
) -> list[Bool[np.ndarray, "128 128"]]:
    """The visible part of each object, given in the order in which they were laid down."""
    owner = np.full((SIDE, SIDE), -1, dtype=np.int8)
    for number, (shape, centre) in enumerate(shapes):
        there, here = shape.window(*centre, SIDE)
        owner[there][shape.inside[here]] = number
    return [owner == number for number in range(len(shapes))]


def as_bytes(canvas: Float[np.ndarray, "128 128 3"]) -> UInt8[np.ndarray, "128 128 3"]:
    return canvas.clip(0, 255).round().astype(np.uint8)
