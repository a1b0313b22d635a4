"""What an export is made of: an experiment's samples with their masks, shard by shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.artifacts.compose import answers
from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import columns_of, empty
from stages.artifacts.no_target import NoTarget
from stages.artifacts.results import Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.tables import parse_of, targets_of
from stages.export.marks import Mark

CONFIDENCE = ("contrast", "attention", "agreement")
"""Columns of the masks table, beside the score, that say how far a mask can be trusted."""


NO_ROW: dict[str, Any] = {"image": "", "width": None, "height": None, "text": "", "split": None, "tags": []}
"""In place of the samples table's row of a sample that has none."""


@dataclass(frozen=True)
class Mask:
    """One phrase's or predicate's mask."""

    row: dict[str, Any]
    """Its row of the masks table."""
    phrase: str
    """Its words in the text."""
    probability: float | None = None
    """That its object is there, by the no-target decision; None without one, and of a predicate."""
    nothing: bool | None = None
    """Whether the decision says that the phrase means nothing: the row's mask is then empty."""


@dataclass(frozen=True)
class Exported:
    """One sample with its masks, in the order of the experiment's own tables."""

    number: int
    """Running number over all shards, from 1: the same as on the report's page."""
    sample: dict[str, Any]
    """Its row of the samples table; where it failed before it had one, the row's cells are None."""
    masks: tuple[Mask, ...]
    failed: str | None = None
    """Why it has no masks, if it failed."""
    mark: Mark | None = None
    """What a person said of it on the page."""
    answers: dict[int, int] = field(default_factory=dict)
    """Index of each of the dataset's own phrases to the position (in `masks`) of the mask that answers it."""

    @property
    def id(self) -> str:
        return str(self.sample["sample_id"])

    @property
    def listed(self) -> bool:
        """Whether its image and text could be read."""
        return bool(self.sample["image"])

    @property
    def phrases(self) -> list[Mask]:
        return [mask for mask in self.masks if mask.row["kind"] == "phrase"]

    @property
    def meant(self) -> list[Mask]:
        """The phrases that mean something."""
        return [mask for mask in self.phrases if not mask.nothing]


def read(
    root: Path, experiment: str, decision: NoTarget | None = None, marks: Mapping[str, Mark] | None = None
) -> Iterator[Exported]:
    """Every sample of `experiment` below `root` (results/{dataset}); failed ones, and those marked bad, without masks.
    Of one that failed when its image or text was read, the table's row is empty but for its id. Images that the samples
    stage drew itself are named as they lie below results/DATASET/samples, others as the dataset does. A phrase of which
    `decision` says that it means nothing has an empty mask.

    Raises:
        AnywordError: the experiment has no finished masks, or only some shards have; the decision weighs a column that
            the masks do not have.
    """
    results = Results(root)
    shards = results.shards()
    if not shards:
        raise AnywordError(f"{root}: no samples here.", remedy="Give the dataset's folder below results/.")
    number = 0
    for shard in shards:
        inputs = {
            "samples": ShardReader(results.samples(shard), "samples"),
            "masks": ShardReader(results.masks(experiment, shard), "segment"),
        }
        check_lineage(inputs)
        rows = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
        found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for mask in inputs["masks"].table("masks"):
            found[mask["sample_id"]].append(mask)
        failures = {**inputs["masks"].failures, **inputs["samples"].failures}
        for name in inputs["samples"].ids:
            number += 1
            row, failed, mark = rows.get(name), failures.get(name), (marks or {}).get(name)
            if row is None:
                yield Exported(number, {**NO_ROW, "sample_id": name}, (), failed or "it has no row", mark)
                continue
            if mark is not None and mark.mark == "bad" and failed is None:
                failed = f"marked bad: {mark.note}".removesuffix(": ")
            if row["image"] in inputs["samples"].manifest.files:  # drawn: every shard has an images/000000.png
                row = {**row, "image": f"{shard}/{row['image']}"}
            masks = () if failed else tuple(_mask(one, row["text"], decision) for one in found[name])
            yield Exported(number, row, masks, failed, mark, _answers(row, masks))


def _mask(row: dict[str, Any], text: str, decision: NoTarget | None) -> Mask:
    words = text[row["start"] : row["end"]]
    if decision is None or row["kind"] != "phrase":
        return Mask(row, words)
    probability = float(decision.probabilities([row])[0])
    nothing = probability < decision.threshold
    pixels = columns_of(empty(row["height"], row["width"])) if nothing else {}
    return Mask({**row, **pixels}, words, probability, nothing)


def _answers(row: dict[str, Any], masks: tuple[Mask, ...]) -> dict[int, int]:
    wanted = [one for one in targets_of(row["sample_id"], parse_of(row)) if one["kind"] == "phrase"]
    places = [i for i, mask in enumerate(masks) if mask.row["kind"] == "phrase"]
    found = answers(wanted, [masks[i].row for i in places])
    return {one["index"]: places[at] for one, at in zip(wanted, found, strict=True) if at is not None}
