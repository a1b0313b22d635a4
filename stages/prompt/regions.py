"""A map's high-response region, and points drawn from it (Segment Anyword, section 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

_CONNECTED = np.ones((3, 3), dtype=bool)  # cells that touch at a corner belong together: thin slanted things stay whole


def scaled(values: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Min-max scaling to 0..1; a constant map, which points nowhere, becomes zeros."""
    low, high = float(values.min()), float(values.max())
    return np.zeros_like(values, dtype=np.float64) if high <= low else (values - low) / (high - low)


def largest_region(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The largest connected part of a mask (8-connected); of equal parts the first in reading order."""
    labels, count = ndimage.label(mask, structure=_CONNECTED)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(sizes.argmax())


def high_response(values: Float[np.ndarray, "height width"], threshold: float) -> Bool[np.ndarray, "height width"]:
    """The largest connected region of a min-max-scaled map at or above `threshold`; empty for a constant map."""
    scale = scaled(values)
    return largest_region((scale >= threshold) & (scale > 0))


def draw(
    region: Bool[np.ndarray, "height width"],
    response: Float[np.ndarray, "height width"],
    count: int,
    sampling: str,
    generator: np.random.Generator,
) -> Float[np.ndarray, "points 2"]:
    """`count` points of a region as (x, y) in 0..1 of the map's width and height; none from an empty region.

    Cells are drawn without replacement while there are enough. `uniform` is the paper's way; `response` favours
    strong cells; `centre` takes the cell deepest inside, then those farthest from the ones taken.
    """
    cells = np.argwhere(region)
    if len(cells) == 0 or count == 0:
        return np.zeros((0, 2))
    if sampling == "centre":
        chosen = _spread(region, cells, count)
    else:
        weights = response[region] if sampling == "response" else np.ones(len(cells))
        weights = weights - min(0.0, float(weights.min())) + 1e-12
        chosen = cells[generator.choice(len(cells), size=count, replace=len(cells) < count, p=weights / weights.sum())]
    height, width = region.shape
    return (chosen[:, ::-1] + 0.5) / np.array([width, height])


def _spread(region: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    """The cell deepest inside the region, then cells both deep and far from those taken."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1][region]
    chosen = [cells[depth.argmax()]]
    while len(chosen) < count:
        gap = np.min([np.hypot(*(cells - one).T) for one in chosen], axis=0)
        chosen.append(cells[np.minimum(gap, 2 * depth).argmax()])
    return np.array(chosen)
