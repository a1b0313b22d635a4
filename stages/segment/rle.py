"""Masks as COCO run lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool


def encode(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """The columns `height`, `width`, `counts` of a mask; counts are COCO's compressed run lengths as text."""
    from pycocotools import mask as coco

    height, width = mask.shape
    counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return {"height": height, "width": width, "counts": counts.decode("ascii")}
