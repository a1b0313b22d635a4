"""What an export is made of: an experiment's samples with their masks, shard by shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
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

CONFIDENCE = ("contrast", "attention", "agreement")
"""Columns of the masks table, beside the score, that say how far a mask can be trusted."""


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
    answers: dict[int, int] = field(default_factory=dict)
    """Index of each of the dataset's own phrases to the position (in `masks`) of the mask that answers it."""

    @property
    def id(self) -> str:
        return str(self.sample["sample_id"])

    @property
    def has_image(self) -> bool:
        return self.sample["image"] is not None

    @property
    def phrases(self) -> list[Mask]:
        return [mask for mask in self.masks if mask.row["kind"] == "phrase"]

    @property
    def meant(self) -> list[Mask]:
        """The phrases that mean something."""
        return [mask for mask in self.phrases if not mask.nothing]


def read(root: Path, experiment: str, decision: NoTarget | None = None) -> Iterator[Exported]:
    """Every sample that the index of `root` (results/{dataset}) lists; failed ones without masks. A phrase of which
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
            row = rows.get(name)
            if row is None:
                nothing = dict.fromkeys(("image", "width", "height", "text", "split"))
                yield Exported(number, {"sample_id": name, **nothing}, (), failures.get(name, "it has no row"))
                continue
            masks = tuple(_mask(one, row["text"], decision) for one in found[name])
            yield Exported(number, row, masks, failures.get(name), _answers(row, masks))


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
