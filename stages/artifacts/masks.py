"""Masks as tables hold them: COCO run-length encoding, height, width and `counts` as text.

All arithmetic stays on the runs (pycocotools), never on decoded pixels: a 640x480 mask has some hundred runs and
300 000 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import ArtifactError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

Rle = dict[str, Any]
"""`{"size": [height, width], "counts": bytes}`, the form that pycocotools takes."""


def rle_of(row: Mapping[str, Any]) -> Rle:
    """The mask in a row of `masks` or `truth` (or a COCO segmentation with text counts) for pycocotools."""
    size = row["size"] if "size" in row else [row["height"], row["width"]]
    counts = row["counts"]
    return {"size": [int(size[0]), int(size[1])], "counts": counts.encode() if isinstance(counts, str) else counts}


def columns_of(rle: Mapping[str, Any]) -> dict[str, Any]:
    """The columns `height`, `width`, `counts` of a table for a mask of pycocotools."""
    counts = rle["counts"]
    height, width = rle["size"]
    return {
        "height": int(height),
        "width": int(width),
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }


def encode(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """The columns of a table for a mask of pixels."""
    from pycocotools import mask as coco

    return columns_of(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(row: Mapping[str, Any]) -> Bool[np.ndarray, "height width"]:
    """The pixels of a row's mask."""
    from pycocotools import mask as coco

    return coco.decode(rle_of(row)).astype(bool)


def empty(height: int, width: int) -> Rle:
    """A mask without a pixel."""
    from pycocotools import mask as coco

    return coco.frPyObjects({"size": [height, width], "counts": [height * width]}, height, width)


def union(masks: Iterable[Rle], height: int, width: int) -> Rle:
    """All pixels of any of the masks; an empty mask of the given size where there is none."""
    from pycocotools import mask as coco

    found = list(masks)
    _check_sizes([*found, {"size": [height, width]}])
    return coco.merge(found, intersect=False) if found else empty(height, width)


def areas(masks: Iterable[Rle]) -> Int64[np.ndarray, " masks"]:
    """Pixels of each mask."""
    from pycocotools import mask as coco

    found = list(masks)
    # pycocotools 2.0.11 fails on more than 255 masks a call under NumPy 2 (it names their number in a uint8).
    parts = [coco.area(found[i : i + 255]) for i in range(0, len(found), 255)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def overlap(one: Rle, other: Rle) -> tuple[int, int]:
    """Pixels in both masks, pixels in either; ArtifactError where their sizes differ."""
    from pycocotools import mask as coco

    _check_sizes([one, other])
    inside = int(coco.area(coco.merge([one, other], intersect=True)))
    return inside, int(coco.area(one)) + int(coco.area(other)) - inside


def iou_matrix(rows: list[Rle], columns: list[Rle]) -> Float64[np.ndarray, "rows columns"]:
    """Intersection over union of every pair; 0 where both masks are empty."""
    from pycocotools import mask as coco

    if not rows or not columns:
        return np.zeros((len(rows), len(columns)))
    _check_sizes([*rows, *columns])
    return np.asarray(coco.iou(rows, columns, [0] * len(columns)), dtype=np.float64)


def _check_sizes(masks: list[Rle]) -> None:
    # pycocotools answers -1 or a 0x0 mask for masks of two sizes, which then passes for a poor score.
    sizes = {tuple(mask["size"]) for mask in masks}
    if len(sizes) > 1:
        shown = " and ".join(f"{height}x{width}" for height, width in sorted(sizes))
        raise ArtifactError(f"masks of one image have the sizes {shown} (height x width).", remedy="Make them again.")
