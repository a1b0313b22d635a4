"""What the workflow scored, as a study reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.results import Results
from stages.artifacts.shard_reader import ShardReader

Key = tuple[str, str, int]
"""(sample_id, kind, index) of a truth."""


@dataclass(frozen=True)
class Scores:
    """IoU and tags of every truth of one kind; samples that failed on the way are in it, with 0."""

    ious: Mapping[Key, float]
    tags: Mapping[Key, Sequence[str]]

    @property
    def miou(self) -> float:
        return sum(self.ious.values()) / len(self.ious) if self.ious else 0.0


def read_scores(results: Path, dataset: str, experiment: str, *, kind: str = "phrase") -> Scores:
    """The scores of one experiment below `results`, checked against their manifest."""
    folder = ShardReader(Results(results / dataset).score(experiment), "score")
    rows = csv.DictReader(io.StringIO(folder.file("scores.csv").read_text(encoding="utf-8")))
    found = {(row["sample_id"], row["kind"], int(row["index"])): row for row in rows if row["kind"] == kind}
    return Scores(
        ious={key: float(row["iou"]) for key, row in found.items()},
        tags={key: row["tags"].split() for key, row in found.items()},
    )


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; fractions to three places."""

    def cell(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)

    lines = [list(header), ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
