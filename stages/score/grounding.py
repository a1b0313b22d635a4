"""Every phrase of every sentence: which mask answers it, and how well.

Who answers whom is decided by the text alone, never by the masks, so a wrong mask cannot look for a truth that it
happens to fit. Matching by IoU, as grounding benchmarks without spans have it (Segment Anyword, 3.1), is reported
beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.artifacts.errors import ArtifactError
from stages.artifacts.masks import iou_matrix, overlap, rle_of
from stages.score.bootstrap import Interval, mean

Row = Mapping[str, Any]
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


def answers(truth: Sequence[Row], predictions: Sequence[Row]) -> list[int | None]:
    """For each truth the position of the prediction that answers it, or None; all rows of one sample and kind.

    A prediction answers a phrase whose root noun its span covers (a predicate: whose span it covers), and at most
    one. Equal roots go first, so that a long phrase does not take the place of the one that means the noun; then
    the truths in order, each with the first prediction left.

    >>> whole = dict(start=0, end=25, root_start=6, root_end=12)     # "a red circle by a square": root circle
    >>> parts = [dict(start=0, end=12, root_start=6, root_end=12), dict(start=16, end=24, root_start=18, root_end=24)]
    >>> answers(parts, [whole])
    [0, None]
    """
    found: list[int | None] = [None] * len(truth)
    taken: set[int] = set()
    for fits in (_same_root, _covers_root):
        for position, one in enumerate(truth):
            if found[position] is None:
                free = (i for i, other in enumerate(predictions) if i not in taken and fits(other, one))
                found[position] = next(free, None)
                taken.update(() if found[position] is None else (found[position],))  # type: ignore[arg-type]
    return found


def score_sample(sample_id: str, truth: Sequence[Row], predictions: Sequence[Row]) -> Sample:
    """The records of one sample; `predictions` is empty for a sample that failed on the way: all its truth counts 0.

    Raises:
        ArtifactError: a mask of another size than the truth's.
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
            inside, either = (0, 0) if at is None else _overlap(sample_id, given[at], row)
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
                )
            )
        used = set(found)
        extra += [
            {name: row[name] for name in ("sample_id", "kind", "index", "start", "end", "score")}
            for i, row in enumerate(given)
            if i not in used
        ]
    return Sample(sample_id, tuple(records), tuple(extra), len(predictions))


def ious(
    records: Iterable[Record], *, kind: str = "phrase", tag: str | None = None
) -> dict[tuple[str, str, int], float]:
    """IoU by (sample_id, kind, index), for paired comparisons of experiments."""
    return {one.key: one.iou for one in records if one.kind == kind and (tag is None or tag in one.tags)}


def summary(records: Sequence[Record], *, replicates: int, seed: int) -> dict[str, Any]:
    """Figures of records of one kind: counts, mIoU by span and by IoU, and the share of masks over half right."""
    names = [one.sample_id for one in records]

    def over(values: Sequence[float]) -> Interval:
        return mean(values, names, replicates=replicates, seed=seed)

    return {
        "count": len(records),
        "answered": sum(one.answer is not None for one in records),
        "miou": over([one.iou for one in records]).json(),
        "miou_matched_by_iou": over([one.iou_matched for one in records]).json(),
        "iou_over_half": over([float(one.iou >= 0.5) for one in records]).json(),
    }


def by_tag(records: Sequence[Record], *, replicates: int, seed: int) -> dict[str, Any]:
    """`summary` of the records with each tag of the truth."""
    tags = sorted({tag for one in records for tag in one.tags})
    return {tag: summary([one for one in records if tag in one.tags], replicates=replicates, seed=seed) for tag in tags}


def _same_root(prediction: Row, truth: Row) -> bool:
    return bool(prediction["root_start"] == truth["root_start"] and prediction["root_end"] == truth["root_end"])


def _covers_root(prediction: Row, truth: Row) -> bool:
    return bool(prediction["start"] <= truth["root_start"] and truth["root_end"] <= prediction["end"])


def _overlap(sample_id: str, prediction: Row, truth: Row) -> tuple[int, int]:
    try:
        return overlap(rle_of(prediction), rle_of(truth))
    except ArtifactError as error:
        raise ArtifactError(f"sample '{sample_id}': {error}") from None


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
