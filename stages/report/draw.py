"""Pixels of the page: pictures, and strips of overlays that its canvas cuts and lays over them.

All overlays of a sample are one file (a strip of equal cells, one under the other), so that a page of fifty samples
is a hundred and fifty small files instead of a thousand.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

COLOURS = (
    (46, 134, 222),
    (238, 82, 83),
    (16, 172, 132),
    (255, 159, 67),
    (155, 89, 212),
    (0, 188, 212),
    (240, 98, 173),
    (139, 168, 30),
)
"""Of phrases, in turn. The style sheet names the same ones (.c0 to .c7)."""

_FILL, _EDGE = 110, 255  # opacity of a mask's inside and border
_WHITE = len(COLOURS) * 2 + 1
# Heat: dark violet, magenta, orange, pale yellow (after matplotlib's inferno), ever more opaque.
_HEAT = np.array([(20, 8, 60), (120, 28, 109), (237, 105, 37), (251, 180, 26), (252, 255, 190)], dtype=np.float64)


def picture(pixels: UInt8[np.ndarray, "height width 3"], longest: int) -> tuple[bytes, str, tuple[int, int]]:
    """An image file of at most `longest` pixels a side, its suffix, and its (width, height).

    Small images stay PNG, exact to the pixel; photographs become JPEG.
    """
    image = Image.fromarray(pixels)
    width, height = fitted(image.width, image.height, longest)
    suffix = ".png" if max(image.size) <= 256 else ".jpg"
    if width < image.width:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if suffix == ".png":
        image.save(out, "PNG", optimize=True)
    else:
        image.save(out, "JPEG", quality=88)
    return out.getvalue(), suffix, (width, height)


def fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    """The size with the same proportions whose longer side is at most `longest`."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def heat(maps: Sequence[Float[np.ndarray, "rows columns"]]) -> bytes:
    """A strip of attention maps as PNG, each stretched to its own minimum and maximum."""
    cells = []
    for one in maps:
        low, high = float(one.min()), float(one.max())
        level = np.zeros(one.shape) if high <= low else (one - low) / (high - low)
        at = level * (len(_HEAT) - 1)
        below = np.minimum(at.astype(int), len(_HEAT) - 2)
        part = (at - below)[..., None]
        colour = _HEAT[below] * (1 - part) + _HEAT[below + 1] * part
        cells.append(np.concatenate([colour, (60 + 160 * level)[..., None]], axis=2))
    return _png(Image.fromarray(np.concatenate(cells).round().astype(np.uint8), "RGBA"))


def outlines(
    predicted: Sequence[tuple[Bool[np.ndarray, "height width"], int]],
    truth: Sequence[Bool[np.ndarray, "height width"]],
    size: tuple[int, int],
) -> bytes:
    """A strip of masks as PNG of `size` (width, height) a cell: predictions filled in the colour of their number,
    then truths as white outlines."""
    cells = []
    for mask, number in predicted:
        cell = _resized(mask, size)
        colour = number % len(COLOURS)
        cells.append(np.where(_border(cell, 1), 2 * colour + 2, np.where(cell, 2 * colour + 1, 0)))
    for mask in truth:
        cells.append(np.where(_border(_resized(mask, size), 2), _WHITE, 0))
    image = Image.fromarray(np.concatenate(cells).astype(np.uint8), "P")
    palette = [0, 0, 0] + [value for colour in COLOURS for value in colour * 2] + [255, 255, 255]
    image.putpalette(palette)
    opacity = bytes([0] + [_FILL, _EDGE] * len(COLOURS) + [255])
    return _png(image, transparency=opacity)


def _resized(mask: Bool[np.ndarray, "height width"], size: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    if mask.shape == (size[1], size[0]):
        return mask
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) > 127


def _border(mask: Bool[np.ndarray, "height width"], thickness: int) -> Bool[np.ndarray, "height width"]:
    """The mask's pixels within `thickness` of its outside; the image's own border counts as outside."""
    inner = mask
    for _ in range(thickness):
        padded = np.pad(inner, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & inner
    return mask & ~inner


def _png(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, **options)
    return out.getvalue()
