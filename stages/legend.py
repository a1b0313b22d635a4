"""A picture with a legend below it: a square of each class's colour, and its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import UInt8

LINE = 18  # pixels
GAP = 6


def with_legend(
    picture: UInt8[np.ndarray, "height width 3"], entries: Sequence[tuple[str, tuple[int, int, int]]]
) -> UInt8[np.ndarray, "_height _width 3"]:
    """The picture, widened where a name needs it, above the entries (name, colour), laid out in lines."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=12)
    widths = [LINE + GAP + int(font.getlength(name)) + 2 * GAP for name, _ in entries]
    width = max([picture.shape[1], *widths])
    places, x, y = [], 0, 0
    for own in widths:
        if x and x + own > width:
            x, y = 0, y + LINE
        places.append((x, y))
        x += own
    image = Image.new("RGB", (width, picture.shape[0] + y + LINE + GAP), "white")
    image.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(image)
    for (name, colour), (left, line) in zip(entries, places, strict=True):
        top = picture.shape[0] + GAP + line
        draw.rectangle((left + GAP, top, left + GAP + LINE - 6, top + LINE - 6), fill=colour)
        draw.text((left + GAP + LINE, top - 1), name, fill="black", font=font)
    return np.asarray(image)
