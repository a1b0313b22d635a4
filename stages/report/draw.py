"""Pixels of the page: a sample's picture, and sheets of thumbnails with sheets of masks of the same layout to lay over
them. One file holds many thumbnails, so that ten thousand samples are some hundred files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

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
"""Of phrases, in turn; the page takes them from its data."""

LARGE = 0.5
_FILL, _EDGE = 88, 255  # opacity of a mask's inside and border


def picture(pixels: UInt8[np.ndarray, "height width 3"], longest: int) -> tuple[bytes, str]:
    """An image file of at most `longest` pixels a side, and its MIME type.

    Small images stay PNG, exact to the pixel; photographs become JPEG.
    """
    image = Image.fromarray(pixels)
    small = max(image.size) <= 256
    size = fitted(image.width, image.height, longest)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return (_file(image, "PNG"), "image/png") if small else (_file(image, "JPEG", quality=86), "image/jpeg")


def fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    """The size with the same proportions whose longer side is at most `longest`."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def thumbnail(pixels: UInt8[np.ndarray, "height width 3"], cell: int) -> Image.Image:
    """The image with its longer side as long as a cell of a sheet."""
    image = Image.fromarray(pixels)
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def coloured(masks: Sequence[Bool[np.ndarray, "height width"]], size: tuple[int, int]) -> Image.Image:
    """Masks at a thumbnail's (width, height) as a palette: filled and bordered in the colour of their place, small ones
    over large ones; of more of the image than LARGE, the border alone."""
    cell = np.zeros((size[1], size[0]), dtype=np.uint8)
    for number, mask in sorted(enumerate(masks), key=lambda one: -int(one[1].sum())):
        small = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        inside = np.asarray(small) > 127
        colour = number % len(COLOURS)
        if inside.mean() <= LARGE:
            cell[inside] = 2 * colour + 1
        cell[_border(inside)] = 2 * colour + 2
    return Image.fromarray(cell, "P")


def sheet(tiles: Sequence[Image.Image | None], cell: int) -> bytes:
    """Thumbnails in a square of cells, row by row, as JPEG; each lies at its cell's upper left."""
    return _file(_laid(tiles, cell, "RGB"), "JPEG", quality=80)


def mask_sheet(tiles: Sequence[Image.Image | None], cell: int) -> bytes:
    """Palettes of `coloured` likewise, as PNG, transparent where no mask is."""
    image = _laid(tiles, cell, "P")
    image.putpalette([0, 0, 0] + [value for colour in COLOURS for value in colour * 2])
    return _file(image, "PNG", transparency=bytes([0] + [_FILL, _EDGE] * len(COLOURS)))


def _laid(tiles: Sequence[Image.Image | None], cell: int, mode: str) -> Image.Image:
    side = math.ceil(math.sqrt(len(tiles)))
    image = Image.new(mode, (side * cell, side * cell))
    for number, tile in enumerate(tiles):
        if tile is not None:
            image.paste(tile, (number % side * cell, number // side * cell))
    return image


def _border(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The mask's pixels beside its outside; the image's own border counts as outside."""
    padded = np.pad(mask, 1)
    return mask & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])


def _file(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()
