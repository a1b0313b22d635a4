"""Every phrase of every sentence: which mask answers it, and how well.

Who answers whom is decided by the text alone, never by the masks, so a wrong mask cannot look for a truth that it
happens to fit. Matching by IoU, as grounding benchmarks without spans have it (Segment Anyword, 3.1), is reported
beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.artifacts.compose import answers
from stages.artifacts.maps import mean_map
from stages.artifacts.masks import decode, iou_matrix, overlap, rle_of
from stages.score.bootstrap import mean, means
from stages.score.recipe import Grounding

Row = Mapping[str, Any]
Maps = Mapping[tuple[int, int], np.ndarray]
"""Attention maps [height, width] of one sample's words by (start, end)."""
KINDS = ("phrase", "predicate")


@dataclass(frozen=True)
class Record:
    """One truth and its answer."""

    sample_id: str
    kind: str
    index: int
    start: int
    end: int
    tags: tuple[str, ...]
    answer: int | None
    """Index of the answering prediction, within its kind."""
    intersection: int
    union: int
    iou: float
    iou_matched: float
    """IoU with the prediction that one-to-one matching by IoU gives it."""
    score: float | None
    """The answer's own score."""
    pointing: bool | None = None
    """Whether the maximum of the root word's map lies in the truth; None where there is no map."""

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.sample_id, self.kind, self.index)


@dataclass(frozen=True)
class Sample:
    """One sample's records, and the predictions that answer nothing."""

    sample_id: str
    records: tuple[Record, ...]
    extra: tuple[dict[str, Any], ...]
    predictions: int


def score_sample(sample_id: str, truth: Sequence[Row], predictions: Sequence[Row], maps: Maps | None = None) -> Sample:
    """The records of one sample; `predictions` is empty for a sample that failed on the way: all its truth counts 0.

    `maps` are the sample's word maps by (start, end), for pointing.

    Raises:
        ArtifactError: masks of two sizes.
    """
    records: list[Record] = []
    extra: list[dict[str, Any]] = []
    for kind in KINDS:
        wanted = [row for row in truth if row["kind"] == kind]
        given = [row for row in predictions if row["kind"] == kind]
        found = answers(wanted, given)
        matched = _matched([rle_of(row) for row in wanted], [rle_of(row) for row in given])
        for position, row in enumerate(wanted):
            at = found[position]
            inside, either = (0, 0) if at is None else overlap(rle_of(given[at]), rle_of(row))
            records.append(
                Record(
                    sample_id=sample_id,
                    kind=kind,
                    index=row["index"],
                    start=row["start"],
                    end=row["end"],
                    tags=tuple(row["tags"]),
                    answer=None if at is None else given[at]["index"],
                    intersection=inside,
                    union=either,
                    iou=inside / either if either else 0.0,
                    iou_matched=matched[position],
                    score=None if at is None else given[at]["score"],
                    pointing=None if maps is None else points_inside(maps, row),
                )
            )
        used = set(found)
        extra += [
            {name: row[name] for name in ("sample_id", "kind", "index", "start", "end", "score")}
            for i, row in enumerate(given)
            if i not in used
        ]
    return Sample(sample_id, tuple(records), tuple(extra), len(predictions))


def collector(recipe: Grounding) -> None:
    """There are no figures beside those of every phrase."""


def points_inside(maps: Maps, truth: Row) -> bool | None:
    """Whether the maximum of the map of the truth's root lies in its mask; None where no word of the root has a map.

    The map covers the whole image; its highest cell stands for the pixel at the cell's centre. A root of several
    words takes the mean of their maps.
    """
    found = mean_map(maps, truth["root_start"], truth["root_end"])
    if found is None:
        return None
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    y = int((row + 0.5) * truth["height"] / found.shape[0])
    x = int((column + 0.5) * truth["width"] / found.shape[1])
    return bool(decode(truth)[y, x])


def ious(
    records: Iterable[Record], *, kind: str = "phrase", tag: str | None = None
) -> dict[tuple[str, str, int], float]:
    """IoU by (sample_id, kind, index), for paired comparisons of experiments."""
    return {one.key: one.iou for one in records if one.kind == kind and (tag is None or tag in one.tags)}


def summary(records: Sequence[Record], *, replicates: int, seed: int) -> dict[str, Any]:
    """Figures of records of one kind: counts, mIoU by span and by IoU, and the share of masks over half right."""
    options = {"replicates": replicates, "seed": seed}
    columns = {
        "miou": [one.iou for one in records],
        "miou_matched_by_iou": [one.iou_matched for one in records],
        "iou_over_half": [float(one.iou >= 0.5) for one in records],
    }
    figures = means(columns, [one.sample_id for one in records], **options)
    pointed = [one for one in records if one.pointing is not None]
    pointing = mean([float(bool(one.pointing)) for one in pointed], [one.sample_id for one in pointed], **options)
    return {
        "count": len(records),
        "answered": sum(one.answer is not None for one in records),
        **{name: figure.json() for name, figure in figures.items()},
        "pointing": pointing.json(),
        "pointed": len(pointed),
    }


def by_tag(records: Sequence[Record], *, replicates: int, seed: int) -> dict[str, Any]:
    """`summary` of the records with each tag of the truth."""
    tags = sorted({tag for one in records for tag in one.tags})
    return {tag: summary([one for one in records if tag in one.tags], replicates=replicates, seed=seed) for tag in tags}


def _matched(truth: list[Any], predictions: list[Any]) -> list[float]:
    """Greedy one-to-one matching by falling IoU: each truth's IoU with its match, 0 without one."""
    ious = iou_matrix(truth, predictions)
    found = [0.0] * len(truth)
    while ious.size and ious.max() > 0:
        row, column = divmod(int(ious.argmax()), ious.shape[1])
        found[row] = float(ious[row, column])
        ious[row, :] = 0
        ious[:, column] = 0
    return found
