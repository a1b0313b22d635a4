"""What a target's attention map adds to its points: a box, or the map itself as a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Parse
from stages.segment.attention import response
from stages.segment.segmenter import Target

if TYPE_CHECKING:
    from jaxtyping import Float

    Maps = Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]]


def responses(parse: Parse, maps: Maps) -> dict[Target, Float[np.ndarray, "rows columns"]]:
    """The map in 0..1 of every target: of a phrase the mean of its noun's and its adjectives', of a predicate the
    higher of its subject's and its object's."""
    phrases = [response(phrase.root, phrase.adjectives, maps, "mean") for phrase in parse.phrases]
    found: dict[Target, np.ndarray] = {("phrase", index): one for index, one in enumerate(phrases)}
    for index, predicate in enumerate(parse.predicates):
        members = [phrases[i] for i in (predicate.subject, predicate.object) if i is not None]
        if members:
            found["predicate", index] = np.max(members, axis=0)
    return found


def box_of(
    values: Float[np.ndarray, "rows columns"], threshold: float, size: tuple[int, int]
) -> Float[np.ndarray, " 4"] | None:
    """The box (x0, y0, x1, y1; pixels of an image of this height and width) around the largest region of cells at or
    above a threshold that touch at their sides; None where there is no such cell."""
    from scipy.ndimage import find_objects, label

    regions, count = label((values >= threshold) & (values > 0))
    if not count:
        return None
    largest = int(np.argmax(np.bincount(regions.ravel())[1:]))
    rows, columns = find_objects(regions)[largest]
    down, across = size[0] / values.shape[0], size[1] / values.shape[1]
    return np.array([columns.start * across, rows.start * down, columns.stop * across, rows.stop * down])
