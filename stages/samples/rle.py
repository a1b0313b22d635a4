"""Masks as COCO run-length encoding, the form in which tables hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool


def encode(mask: Bool[np.ndarray, "height width"]) -> str:
    """The compressed counts of a mask, as text (pycocotools' own, column by column)."""
    from pycocotools import mask as coco

    counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return str(counts.decode("ascii"))
