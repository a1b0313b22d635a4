"""A sample's line in the gallery: what can be sorted, filtered and searched."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stages.artifacts.compose import answers
from stages.artifacts.failures import FailedSample, kind
from stages.artifacts.language import words
from stages.artifacts.masks import overlap, rle_of
from stages.artifacts.shards import Key, Shard
from stages.artifacts.tables import targets_of
from stages.report.figures import FIGURES, Column, figures, worst
from stages.report.suspicion import suspicion

TRUTH = (
    Column("miou", "mIoU", "Mean IoU of the sample's phrases with their truth.", -1),
    Column("iou", "lowest IoU", "IoU of its worst phrase.", -1),
)
LABEL_FREE = (
    Column(
        "suspicion",
        "suspicion",
        "How wrong a mask looks without truth, by the rule in About; the most suspicious phrase's.",
        1,
    ),
    *(replace(one, help=f"{one.help} The most suspicious phrase's.") for one in FIGURES),
)
SIZE = (
    Column("phrases", "phrases", "Phrases that the parser found.", 1),
    Column("words", "words", "Words of the text.", 1),
    Column("order", "place in the dataset", "Counted from 1.", -1),
)
BETWEEN = (
    Column("disagreement", "disagreement", "1 − mean IoU of the two experiments' masks of the same phrases.", 1),
    Column("gain", "gain in mIoU", "The second's mIoU less the first's.", -1),
)


@dataclass
class Line:
    """One sample of one experiment."""

    id: str
    text: str = ""
    file: str = ""
    split: str = ""
    tags: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)
    failed: FailedSample | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    by_phrase: dict[int, dict[str, float]] = field(default_factory=dict)
    """Figures of each phrase that has a mask, by its index."""


@dataclass
class Entry:
    """One sample on the page: a line an experiment, and how far two experiments' masks lie apart."""

    shard: int
    position: int
    order: int
    lines: list[Line]
    apart: float | None = None

    @property
    def id(self) -> str:
        return self.lines[0].id

    @property
    def rank(self) -> tuple[float, int]:
        """The smaller, the sooner it is to be looked at: failed ones, then those of two experiments that disagree, or
        the suspicious ones."""
        if any(one.failed for one in self.lines):
            return (-math.inf, self.order)
        looked_at = self.lines[0].numbers.get("suspicion") if len(self.lines) == 1 else self.apart
        return (math.inf if looked_at is None else -looked_at, self.order)

    @property
    def numbers(self) -> dict[str, float]:
        """The first experiment's under their names, the second's after "b_", and what lies between them."""
        found = {**self.lines[0].numbers, "order": float(self.order)}
        for second in self.lines[1:]:
            found |= {f"b_{name}": value for name, value in second.numbers.items()}
            if self.apart is not None:
                found["disagreement"] = self.apart
            if "miou" in self.lines[0].numbers and "miou" in second.numbers:
                found["gain"] = second.numbers["miou"] - self.lines[0].numbers["miou"]
        return found

    @property
    def row(self) -> dict[str, Any]:
        """What the page's table holds of it."""
        first = self.lines[0]
        failed = next((one.failed for one in self.lines if one.failed), None)
        return {
            "id": first.id,
            "text": first.text,
            "file": first.file,
            "split": first.split,
            "tags": list(first.tags),
            "phrases": list(dict.fromkeys(phrase for one in self.lines for phrase in one.phrases)),
            "stage": failed.stage if failed else "",
            "reason": kind(failed.reason) if failed else "",
            "size": list(first.size),
            "numbers": self.numbers,
        }


def line(shard: Shard, position: int, scored: Mapping[Key, Mapping[str, str]]) -> Line:
    """What the gallery knows of an experiment's sample. scored: its lines of scores.csv, by the truth's key."""
    name = shard.ids[position]
    row = shard.rows.get(name)
    found = Line(name, failed=shard.failures.get(name))
    if row is None:
        return found
    found.text, found.file, found.split = row["text"], row["image"], row["split"] or ""
    found.size = (row["width"], row["height"])
    tags = set(row["tags"] or ()).union(*(one["tags"] for one in shard.truth.get(name, {}).values()))
    found.tags = tuple(sorted(tags))
    found.numbers["words"] = sum(1 for _ in words(row["text"]))
    parse = shard.parses.get(name)
    if parse is not None:
        found.phrases = tuple(one.span.of(row["text"]) for one in parse.phrases)
        found.numbers["phrases"] = len(parse.phrases)
    if parse is not None and found.failed is None:
        maps = shard.maps.of_sample(shard.inputs["maps"].ids.index(name)) if shard.maps else {}
        loss = last(shard.losses[position]) if shard.losses is not None else None
        found.by_phrase = figures(
            parse, maps, shard.masks.get(name, {}), shard.points.get(name, {}), loss, shard.drift.get(name)
        )
        for own in found.by_phrase.values():
            own["suspicion"] = suspicion(own)
        found.numbers |= worst(found.by_phrase)
        if found.by_phrase:
            found.numbers["suspicion"] = max(own["suspicion"] for own in found.by_phrase.values())
    ious = [float(one["iou"]) for (of, _), one in scored.items() if of == "phrase"]
    if ious:
        found.numbers |= {"miou": float(np.mean(ious)), "iou": min(ious)}
    return found


def disagreement(first: Shard, second: Shard, name: str) -> float | None:
    """1 − the mean IoU of two experiments' masks of the same phrases; a phrase that only one of them has counts 1.

    A phrase is the same where one's span covers the other's root. None where neither has a phrase.
    """
    one = _phrases(first, name)
    other = _phrases(second, name)
    found = answers(one, other)
    total = len(one) + sum(1 for i in range(len(other)) if i not in found)
    if not total:
        return None
    ious = []
    for row, at in zip(one, found, strict=True):
        if at is not None:
            both, either = overlap(rle_of(row), rle_of(other[at]))
            ious.append(both / either if either else 1.0)
    return 1.0 - sum(ious) / total


def _phrases(shard: Shard, name: str) -> list[Mapping[str, Any]]:
    if name in shard.failures or name not in shard.parses:
        return []
    masks = shard.masks.get(name, {})
    keys = [("phrase", one["index"]) for one in targets_of(name, shard.parses[name]) if one["kind"] == "phrase"]
    return [masks[key] for key in keys if key in masks]


class Selection:
    """Which samples a page holds: all, or of more than `most`, half those to be looked at first and half drawn at
    random. The draw depends on the samples' ids alone; memory is bounded by `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._first: list[tuple[float, int, Entry]] = []
        self._drawn: list[tuple[int, int, Entry]] = []

    def add(self, one: Entry) -> None:
        self.total += 1
        _keep(self._first, (-one.rank[0], -one.order, one), self.most)
        draw = int.from_bytes(hashlib.sha256(f"page {one.id}".encode()).digest()[:8])
        _keep(self._drawn, (draw, -one.order, one), self.most)

    def chosen(self) -> list[Entry]:
        """The page's samples in the dataset's order."""
        first = [one for *_, one in sorted(self._first, key=lambda item: item[:2], reverse=True)]
        if self.total > self.most:
            first = first[: self.most - self.most // 2]
            there = {one.order for one in first}
            drawn = [one for *_, one in sorted(self._drawn, key=lambda item: item[:2], reverse=True)]
            first += [one for one in drawn if one.order not in there][: self.most // 2]
        return sorted(first, key=lambda one: one.order)


def columns(entries: Sequence[Entry], *, beside: str | None = None) -> list[Column]:
    """The numbers that some sample has; with a second experiment also its own, and what lies between the two."""
    known = [*TRUTH, *LABEL_FREE, *SIZE]
    if beside is not None:
        known = [
            *BETWEEN,
            *known,
            *(replace(one, name=f"b_{one.name}", label=f"{one.label} · {beside}") for one in known),
        ]
    there = {name for one in entries for name in one.numbers}
    return [one for one in known if one.name in there]


def last(losses: np.ndarray) -> float | None:
    """The last loss of an inversion; None where no step was taken."""
    taken = losses[np.isfinite(losses)]
    return float(taken[-1]) if taken.size else None


def _keep(heap: list[Any], item: Any, most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
