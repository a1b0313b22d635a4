"""What can be said of a phrase's mask without truth: figures that the gallery sorts by, all 0 to 1 but the contrast.

The segmenter's own figures (`score`, `contrast`, `attention`, `agreement`) come from the masks table. Here are those
that need the whole sentence: a wrong mask is often a right mask of something else, which no figure of the mask and
its own words can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stages.artifacts.language import Parse
from stages.artifacts.maps import mean_map
from stages.artifacts.masks import decode, overlap, rle_of

if TYPE_CHECKING:
    from jaxtyping import Float

    Map = Float[np.ndarray, "rows columns"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A number that every mask, or every sample, may have."""

    name: str
    label: str
    help: str
    direction: int
    """1: the largest values are the ones to look at first, -1: the smallest."""


FIGURES = (
    Column("score", "segmenter's score", "IoU that the segmenter predicts for its mask.", -1),
    Column("contrast", "contrast", "How much brighter its words' maps are inside the mask, in powers of two.", -1),
    Column("attention", "attention", "Mean attention probability of its words inside the mask.", -1),
    Column("agreement", "agreement", "IoU of the mask and the phrase's map, cut at half its range.", -1),
    Column("entropy", "entropy of the map", "1: the noun looks everywhere alike; 0: at one cell.", 1),
    Column("peak", "peak", "The highest attention probability of the noun's map.", -1),
    Column("shared", "shared pixels", "Largest IoU with the mask of another phrase of the sentence.", 1),
    Column("rival", "a rival's share", "Attention of the strongest other phrase inside the mask, beside its own.", 1),
    Column("discord", "discord of its words", "How far the maps of its noun and its adjectives lie apart.", 1),
    Column("contradicted", "points against", "Share of its points that the mask contradicts.", 1),
    Column("area", "area", "Share of the image's pixels in the mask.", -1),
    Column("drift", "drift", "How far the noun's embedding went in the inversion, in lengths of its first one.", 1),
    Column("loss", "loss", "The inversion's last loss, of the sample.", 1),
)
"""Figures by which masks are sorted; docs/audit.md says how well each finds wrong ones."""


def figures(
    parse: Parse,
    maps: Mapping[tuple[int, int], Map],
    masks: Mapping[tuple[str, int], Row],
    points: Mapping[tuple[str, int], Row],
    loss: float | None = None,
    drift: Mapping[tuple[int, int], float] | None = None,
) -> dict[int, dict[str, float]]:
    """The figures of each phrase that has a mask, by its index; what cannot be had of these inputs is left out.

    maps: by (start, end) of each word of the text. masks, points: rows of the tables by (kind, index). loss: the
    sample's own. drift: by (start, end) of each token that learned.
    """
    nouns = [mean_map(maps, one.root.start, one.root.end) for one in parse.phrases]
    found: dict[int, dict[str, float]] = {}
    for index, phrase in enumerate(parse.phrases):
        row = masks.get(("phrase", index))
        if row is None:
            continue
        own: dict[str, float | None] = {name: row.get(name) for name in ("score", "contrast", "attention", "agreement")}
        mask = decode(row)
        others = [masks["phrase", i] for i in range(len(parse.phrases)) if i != index and ("phrase", i) in masks]
        own["area"] = float(mask.mean())
        own["shared"] = max((_iou(row, other) for other in others), default=0.0)
        own["loss"] = loss
        own["drift"] = drift_of(drift or {}, phrase.root.start, phrase.root.end)
        if ("phrase", index) in points:
            own["contradicted"] = _contradicted(mask, points["phrase", index]["points"])
        noun = nouns[index]
        if noun is not None:
            own |= {"entropy": entropy(noun), "peak": float(noun.max())}
            adjectives = [mean_map(maps, one.start, one.end) for one in phrase.adjectives]
            own["discord"] = max((_distance(noun, one) for one in adjectives if one is not None), default=0.0)
            rivals = [one for i, one in enumerate(nouns) if i != index and one is not None]
            own["rival"] = _rival(_shares(mask, noun.shape), noun, rivals)
        found[index] = {name: float(value) for name, value in own.items() if value is not None}
    return found


def entropy(values: Map) -> float:
    """Entropy of a map as a distribution over its cells, over that of an even one.

    >>> entropy(np.ones((2, 2))), entropy(np.eye(2)), abs(entropy(np.array([[1.0, 0.0]])))
    (1.0, 0.5, 0.0)
    """
    total = float(values.sum())
    if values.size < 2 or total <= 0:
        return 1.0
    shares = values[values > 0].astype(np.float64) / total
    return round(float(-(shares * np.log2(shares)).sum() / np.log2(values.size)), 6)


def drift_of(drift: Mapping[tuple[int, int], float], start: int, end: int) -> float | None:
    """The mean over the tokens that the span start:end touches; None where none of them learned."""
    found = [value for (first, last), value in drift.items() if first < end and start < last]
    return float(np.mean(found)) if found else None


def worst(found: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Of each figure its most suspicious value over a sample's phrases."""
    result = {}
    for one in FIGURES:
        values = [own[one.name] for own in found.values() if one.name in own]
        if values:
            result[one.name] = max(values) if one.direction > 0 else min(values)
    return result


def _iou(one: Row, other: Row) -> float:
    both, either = overlap(rle_of(one), rle_of(other))
    return both / either if either else 0.0


def _contradicted(mask: np.ndarray, points: Sequence[Row]) -> float:
    """Share of the points, inside and outside weighing alike, on whose side the mask is not."""
    sides: dict[bool, list[bool]] = {}
    for point in points:
        y = min(int(point["y"]), mask.shape[0] - 1)
        x = min(int(point["x"]), mask.shape[1] - 1)
        sides.setdefault(point["label"] == 1, []).append(bool(mask[y, x]) != (point["label"] == 1))
    return float(np.mean([np.mean(own) for own in sides.values()])) if sides else 1.0


def _shares(mask: np.ndarray, size: tuple[int, int]) -> Map:
    """How much of each cell of a map lies in the mask."""
    reduced = Image.fromarray(mask.astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(reduced, dtype=np.float64)


def _scaled(values: Map) -> Map:
    low, high = float(values.min()), float(values.max())
    return np.zeros(values.shape) if high <= low else (values - low) / (high - low)


def _rival(shares: Map, noun: Map, rivals: Sequence[Map]) -> float:
    """Mean response of the strongest rival inside the mask over its sum with the noun's own, each map min-max-scaled;
    a half: they claim the mask alike."""
    weight = float(shares.sum())
    if not rivals or not weight:
        return 0.0
    own = float((shares * _scaled(noun)).sum())
    strongest = max(float((shares * _scaled(one)).sum()) for one in rivals)
    return strongest / (own + strongest) if own + strongest > 0 else 0.0


def _distance(one: Map, other: Map) -> float:
    """Half the sum of differences of two maps as distributions: 0 for equal ones, 1 for maps that share no cell."""
    first, second = float(one.sum()), float(other.sum())
    if first <= 0 or second <= 0:
        return 1.0
    return float(np.abs(one / first - other / second).sum() / 2)
