"""What the page shows of one sample, made from the tables' rows: words, targets, truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.artifacts.language import words
from stages.artifacts.tables import UNNAMED

Row = Mapping[str, Any]
Key = tuple[str, int]
"""kind and index of a target or a truth."""


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    inside: bool


@dataclass(frozen=True)
class Word:
    """A piece of the sentence: a word, or what stands between two (then without a map)."""

    text: str
    map: int | None = None
    """Cell in the strip of maps."""
    colour: int | None = None
    """Number of the phrase that it belongs to."""
    root: bool = False
    peak: float = 0.0
    """The map's highest attention probability."""


@dataclass(frozen=True)
class Target:
    """A phrase or predicate of the parser with what the experiment made of it."""

    kind: str
    text: str
    colour: int
    mask: int | None
    """Cell in the strip of masks."""
    truth: int | None
    """Cell of the truth that it answers."""
    iou: float | None
    score: float | None
    points: tuple[Point, ...]
    extra: bool
    """There is truth, but none that this answers."""


@dataclass(frozen=True)
class Missed:
    """A truth that no prediction answers."""

    kind: str
    text: str
    truth: int
    tags: tuple[str, ...]


@dataclass
class Card:
    """One sample of the page."""

    number: int
    id: str
    text: str
    width: int = 0
    height: int = 0
    reason: str | None = None
    words: list[Word] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    picture: str | None = None
    maps: str | None = None
    masks: str | None = None
    cells: int = 0
    """Cells in the strip of masks."""
    map_cells: int = 0
    miou: float | None = None
    canvas: tuple[int, int] = (0, 0)
    """Width and height of an overlay, in pixels."""

    @property
    def dot(self) -> float:
        """Radius of a point, in pixels of the image."""
        return round(max(self.width, self.height) / 90, 2)

    @property
    def has_truth(self) -> bool:
        return bool(self.missed) or any(target.truth is not None for target in self.targets)


def sentence(
    text: str, targets: Sequence[Row], maps: Mapping[tuple[int, int], np.ndarray]
) -> tuple[list[Word], list[np.ndarray]]:
    """The text cut into words and gaps, and the maps in the order of their cells.

    `targets` are the parser's, in the order of their colours; of nested phrases the shortest gives the colour.
    """
    pieces: list[Word] = []
    cells: list[np.ndarray] = []
    cursor = 0
    for span in words(text):
        if span.start > cursor:
            pieces.append(Word(text[cursor : span.start]))
        cursor = span.end
        at = (span.start, span.end)
        owners = [
            (row["end"] - row["start"], i)
            for i, row in enumerate(targets)
            if row["start"] <= span.start and span.end <= row["end"]
        ]
        owner = min(owners)[1] if owners else None
        root = owner is not None and targets[owner]["root_start"] <= span.start < targets[owner]["root_end"]
        if at in maps:
            cells.append(maps[at])
        pieces.append(
            Word(
                text=span.of(text),
                map=len(cells) - 1 if at in maps else None,
                colour=owner,
                root=root,
                peak=float(maps[at].max()) if at in maps else 0.0,
            )
        )
    if cursor < len(text):
        pieces.append(Word(text[cursor:]))
    return pieces, cells


def targets_of_card(
    text: str,
    targets: Sequence[Row],
    masks: Mapping[Key, Row],
    points: Mapping[Key, Row],
    truth: Sequence[Row],
    scores: Mapping[Key, Row],
) -> tuple[list[Target], list[Missed], list[Row], list[Row]]:
    """Targets, unanswered truths, and the rows whose masks fill the strip: predictions, then truths.

    `scores` are the lines of scores.csv by the truth's key; `answer` in them is the target's index.
    """
    predicted = [masks[key] for key in map(_key, targets) if key in masks]
    cell = {_key(row): i for i, row in enumerate(predicted)}
    truth_cell = {_key(row): len(predicted) + i for i, row in enumerate(truth)}
    answered = {
        (kind, int(line["answer"])): (kind, index)
        for (kind, index), line in scores.items()
        if line["answer"] != "" and (kind, index) in truth_cell
    }
    found = []
    for colour, row in enumerate(targets):
        key = _key(row)
        of = answered.get(key)
        found.append(
            Target(
                kind=row["kind"],
                text=text[row["start"] : row["end"]],
                colour=colour,
                mask=cell.get(key),
                truth=truth_cell[of] if of else None,
                iou=float(scores[of]["iou"]) if of else None,
                score=masks[key]["score"] if key in masks else None,
                points=tuple(Point(p["x"], p["y"], p["label"] == 1) for p in points[key]["points"])
                if key in points
                else (),
                extra=bool(truth) and of is None and key in masks,
            )
        )
    missed = [
        Missed(row["kind"], _said(text, row), truth_cell[_key(row)], tuple(row["tags"]))
        for row in truth
        if _key(row) not in answered.values()
    ]
    return found, missed, predicted, list(truth)


def _said(text: str, row: Row) -> str:
    """A truth's words; of a class that the text does not name, its name."""
    return row["tags"][0] if row["kind"] == UNNAMED else text[row["start"] : row["end"]]


def _key(row: Row) -> Key:
    return row["kind"], row["index"]
