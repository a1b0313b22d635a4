"""Samples of a shard to their phrases."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.artifacts import Failure, Outcome, Result, SampleError, ShardReader, ShardWriter, unchanged
from stages.artifacts.manifest import Manifest, read_manifest
from stages.artifacts.recipes import Recipe, identity, validated
from stages.artifacts.tables import parse_of, write_table
from stages.parse.recipe import STAGE

log = logging.getLogger("anyword")

_BATCH = 64  # texts between two saves


def run(*, samples: Path, recipe: Mapping[str, Any], output: Path) -> Manifest:
    """Write `phrases.parquet` for one shard: a row for every sample whose text could be parsed.

    samples: manifest of the shard's samples. recipe: one of the models of `recipe.py` as a dict.
    """
    from stages.parse.parser import ParseRequest, load_parser

    given = ShardReader(samples, "samples")
    rows = {row["sample_id"]: row for row in given.table("samples")}
    parser = load_parser(recipe)
    decides = identity(validated("parse", recipe, Recipe))
    if unchanged(STAGE, decides, output, inputs={"samples": given}, models=lambda: parser.models):
        return read_manifest(output, STAGE.name)
    writer = ShardWriter(STAGE, decides, output, inputs={"samples": given}, models=parser.models, observed=True)

    def process(batch: Sequence[int]) -> list[Result]:
        ids = [writer.ids[position] for position in batch]
        requests = [ParseRequest(one, rows[one]["text"], parse_of(rows[one])) for one in ids]
        results = parser.parse(requests)
        return [
            Failure(str(result), getattr(result, "usage", {}))
            if isinstance(result, SampleError)
            else Outcome([{"sample_id": one, **result.parse.checked(rows[one]["text"]).row()}, dict(result.usage)])
            for one, result in zip(ids, results, strict=True)
        ]

    writer.run(process, batch_size=_BATCH)
    found = [outcome.rows[0] for outcome in writer.outcomes.values()]
    noted = [row for row in found if row["notes"]]
    if noted:
        first = f"the first, sample '{noted[0]['sample_id']}': {noted[0]['notes'][0]}"
        log.warning("parse: %d of %d texts have notes; %s", len(noted), len(found), first)
    return writer.publish(
        {"phrases.parquet": lambda path: write_table(path, "phrases", found)},
        summary={
            "phrases": sum(len(row["phrases"]) for row in found),
            "without_phrases": sum(not row["phrases"] for row in found),
            **_total(one.usage if isinstance(one, Failure) else one.rows[1] for one in writer.results.values()),
        },
    )


def _total(usages: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Sums by name: tokens asked for and paid, words dropped."""
    total: dict[str, float] = {}
    for usage in usages:
        for name, value in usage.items():
            total[name] = total.get(name, 0) + value
    return {name: total[name] for name in sorted(total)}
