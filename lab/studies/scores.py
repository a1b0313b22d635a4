"""What the workflow scored, as a study reads it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def score_of(results: Path, dataset: str, experiment: str) -> dict[str, Any]:
    """score.json of an experiment below `results`, checked against its manifest."""
    folder = ShardReader(Results(results / dataset).score(experiment), "score")
    found: dict[str, Any] = json.loads(folder.file("score.json").read_bytes())
    return found


def samples_of(results: Path, dataset: str) -> Iterator[tuple[str, ShardReader]]:
    """The shards of a dataset's samples in order, each with its name."""
    made = Results(results / dataset)
    for shard in made.shards():
        yield shard, ShardReader(made.samples(shard), "samples")
