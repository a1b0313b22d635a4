"""A second look at what is small: the crop around a word's first response, enlarged, attended again, merged.

Cross-attention at 16x16 cannot tell objects of a cell or two from their surroundings (the papers' stated limit). In a
crop the same object covers many cells. The word's map from the crop replaces, in part, what the first map had there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.attend.recipe import SecondLook

if TYPE_CHECKING:
    from jaxtyping import Float32, UInt8


@dataclass(frozen=True)
class Box:
    """A square part of the image, in fractions of its sides (the maps' own coordinates)."""

    left: float
    top: float
    side: float

    def crop(self, image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "h w 3"]:
        height, width = image.shape[:2]
        x0, y0 = round(self.left * width), round(self.top * height)
        x1 = max(x0 + 1, round((self.left + self.side) * width))
        y1 = max(y0 + 1, round((self.top + self.side) * height))
        return image[y0:y1, x0:x1]


def where_to_look(first: Float32[np.ndarray, "height width"], settings: SecondLook) -> Box | None:
    """The square around a map's strongest region, or None where the response is too wide to gain from a closer look.

    The region is the connected one of cells at or over half of the (min-max scaled) map that holds its highest cell.
    """
    from scipy import ndimage

    low, high = float(first.min()), float(first.max())
    if high <= low:
        return None
    strong = (first - low) / (high - low) >= 0.5
    if strong.mean() >= settings.below:
        return None
    labels, _ = ndimage.label(strong)
    rows, columns = np.nonzero(labels == labels[np.unravel_index(first.argmax(), first.shape)])
    cells = first.shape[0]
    extent = max(rows.max() - rows.min(), columns.max() - columns.min()) + 1
    side = min(1.0, max(settings.least, settings.margin * extent / cells))
    middle_x = (columns.min() + columns.max() + 1) / 2 / cells
    middle_y = (rows.min() + rows.max() + 1) / 2 / cells
    left = float(np.clip(middle_x - side / 2, 0.0, 1.0 - side))
    top = float(np.clip(middle_y - side / 2, 0.0, 1.0 - side))
    return Box(left, top, float(side))


def enlarge(maps: Float32[np.ndarray, "words height width"], side: int) -> Float32[np.ndarray, "words side side"]:
    """Maps interpolated bilinearly to `side`."""
    import torch

    grown = torch.nn.functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps))[:, None], size=(side, side), mode="bilinear", align_corners=False
    )
    return grown[:, 0].numpy()


def merge(
    whole: Float32[np.ndarray, "side side"], closer: Float32[np.ndarray, "height width"], box: Box, share: float
) -> Float32[np.ndarray, "side side"]:
    """The whole image's map with `share` of it, inside the box, taken from the crop's.

    Attention is a share among the words, and a crop has other competitors, so the crop's map is first brought to the
    sum that the whole's has in the box: it says where in the box the word is, not how much of it there is.
    """
    side = whole.shape[0]
    x0, y0 = round(box.left * side), round(box.top * side)
    cells = max(1, round(box.side * side))
    x0, y0 = min(x0, side - cells), min(y0, side - cells)
    part = np.s_[y0 : y0 + cells, x0 : x0 + cells]
    inside = enlarge(closer[None], cells)[0]
    total = float(inside.sum())
    if total <= 0:
        return whole
    merged = whole.copy()
    merged[part] = (1 - share) * whole[part] + share * inside * (float(whole[part].sum()) / total)
    return merged


def boxes_of(
    maps: Float32[np.ndarray, "words height width"], named: Sequence[bool], settings: SecondLook
) -> dict[int, Box]:
    """Which of a text's words are looked at again, and where. named: words that could name something at all."""
    found = {row: where_to_look(maps[row], settings) for row in range(len(named)) if named[row]}
    return {row: box for row, box in found.items() if box is not None}
