"""A scene and its truth as one picture, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from stages.world.sample import WorldSample


def sheet(item: WorldSample, scale: int = 4) -> Image:
    """The scene, then for each truth the scene dimmed but for its mask, left to right with their words."""
    from PIL import Image, ImageDraw

    tiles = [("", item.image)]
    for truth in item.truth:
        part = item.parse.phrases if truth.kind == "phrase" else item.parse.predicates
        dimmed = np.where(truth.mask[..., None], item.image, item.image // 4)
        tiles.append((part[truth.number].span.of(item.text), dimmed))
    side = item.image.shape[0] * scale
    picture = Image.new("RGB", (side * len(tiles), side + 36), "white")
    pen = ImageDraw.Draw(picture)
    for column, (words, pixels) in enumerate(tiles):
        tile = Image.fromarray(pixels.astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
        picture.paste(tile, (column * side, 0))
        pen.text((column * side + 6, side + 2), words, fill="black", font_size=14)
    pen.text((6, side + 18), item.text, fill="black", font_size=13)
    return picture
