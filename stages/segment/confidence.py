"""How far a mask can be trusted: what attention says of it, beside the IoU that the segmenter predicts.

Contrast: how many times brighter the attention of a phrase's words is inside the mask than outside, as the base-2
logarithm of the ratio of the two means. The energy-based pointing game (Wang et al., Score-CAM, CVPR workshops 2020)
holds a map's sum inside against its sum outside likewise; of means, a large mask has no advantage. It is taken of the
probabilities as they are: min-max scaling would make a peak of any map, also of a flat one.

Attention: the mean probability itself inside the mask. Softmax lets a word that fits nowhere lose to other tokens.

A phrase's contrast and attention are the least of its words': in "a red circle" both words have to point at the mask,
and where there is a red square and a blue circle none has both.

Agreement: the IoU of the mask and the phrase's map (its words' maps multiplied) cut at half its range, as Segment
Anyword's "plain" variant cuts it (appendix): do map and segmenter mean the same pixels?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Phrase
from stages.artifacts.maps import mean_map, resized
from stages.segment.attention import response

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    Maps = Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]]

HALF = 0.5
MOST = 10.0
"""Contrast beyond a factor of a thousand says no more."""


LONGEST = 512
"""Larger masks are looked at in every second (third, …) row and column: maps have 16 cells a side."""


def confidence(phrase: Phrase, maps: Maps, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
    """`contrast` in -10..10, `attention` and `agreement` in 0..1 of a phrase's mask, by the maps of its text's words.

    All are 0 for an empty mask and where no word of the phrase has a map; contrast is 0 for a mask of all pixels.
    """
    step = -(-max(mask.shape) // LONGEST)
    sparse = mask[step // 2 :: step, step // 2 :: step]
    mask = sparse if sparse.any() else mask
    size = (mask.shape[0], mask.shape[1])
    exact = {word: one.astype(np.float64) for word, one in maps.items()}
    words = [
        own for span in (phrase.root, *phrase.adjectives) if (own := mean_map(exact, span.start, span.end)) is not None
    ]
    if not words or not mask.any():
        return {"contrast": 0.0, "attention": 0.0, "agreement": 0.0}
    words = [resized(one, size) for one in words]
    joined = resized(response(phrase.root, phrase.adjectives, maps, "product"), size)
    return {
        "contrast": min(contrast(one, mask) for one in words),
        "attention": min(float(one[mask].mean()) for one in words),
        "agreement": agreement((joined >= HALF) & (joined > 0), mask),
    }


def contrast(values: Float[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]) -> float:
    """Base-2 logarithm of a map's mean inside of a mask over its mean outside, within MOST; 0 where either part is
    empty, or the map is.

    >>> contrast(np.array([[0.4, 0.1]]), np.array([[True, False]]))
    2.0
    """
    if not mask.any() or mask.all():
        return 0.0
    inside, outside = float(values[mask].mean()), float(values[~mask].mean())
    if inside <= 0 and outside <= 0:
        return 0.0
    least = 2.0**-MOST * max(inside, outside)
    return round(float(np.log2(max(inside, least) / max(outside, least))), 6)


def agreement(one: Bool[np.ndarray, "height width"], other: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0
