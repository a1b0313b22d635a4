"""How far a mask can be trusted: what attention says of it, beside the IoU that the segmenter predicts.

Contrast: how much the attention of a phrase's words is brighter inside the mask than outside, as Michelson's contrast
of the two means, (inside - outside) / (inside + outside) (Studies in Optics, 1927). It is taken of the probabilities as
they are, without rescaling, so a map that is flat everywhere stays near 0. A phrase's is the least of its words': in
"a red circle" both words have to point at the mask, and where there is a red square and a blue circle none does.

Agreement: the IoU of the mask and the phrase's map (its words' maps multiplied) cut at half its range, as Segment
Anyword's "plain" variant cuts it (appendix): do map and segmenter mean the same pixels?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Phrase, Span
from stages.segment.attention import resized, response

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    Maps = Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]]

HALF = 0.5


LONGEST = 512
"""Larger masks are looked at in every second (third, …) row and column: maps have 16 cells a side."""


def confidence(phrase: Phrase, maps: Maps, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
    """`contrast` in -1..1 and `agreement` in 0..1 of a phrase's mask, by the maps of its text's words.

    Both are 0 for an empty mask and where no word of the phrase has a map; contrast is 0 for a mask of all pixels.
    """
    step = -(-max(mask.shape) // LONGEST)
    sparse = mask[step // 2 :: step, step // 2 :: step]
    mask = sparse if sparse.any() else mask
    size = (mask.shape[0], mask.shape[1])
    words = [own for span in (phrase.root, *phrase.adjectives) if (own := _of_span(span, maps)) is not None]
    if not words or not mask.any():
        return {"contrast": 0.0, "agreement": 0.0}
    joined = resized(response(phrase.root, phrase.adjectives, maps, "product"), size)
    return {
        "contrast": min(contrast(resized(one, size), mask) for one in words),
        "agreement": agreement((joined >= HALF) & (joined > 0), mask),
    }


def contrast(values: Float[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]) -> float:
    """Michelson's contrast of a map's means inside and outside of a mask; 0 where either part is empty.

    >>> contrast(np.array([[0.3, 0.1]]), np.array([[True, False]]))
    0.5
    """
    if not mask.any() or mask.all():
        return 0.0
    inside, outside = float(values[mask].mean()), float(values[~mask].mean())
    return round((inside - outside) / (inside + outside), 6) if inside + outside > 0 else 0.0


def agreement(one: Bool[np.ndarray, "height width"], other: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0


def _of_span(span: Span, maps: Maps) -> Float[np.ndarray, "rows columns"] | None:
    """The mean of the maps of the words that a span touches."""
    values = [one for (start, end), one in maps.items() if start < span.end and span.start < end]
    return np.mean(values, axis=0, dtype=np.float64) if values else None
