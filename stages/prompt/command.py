"""Phrases and maps of a shard to its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.artifacts import Outcome, Result, ShardReader, ShardWriter, unchanged
from stages.artifacts.recipes import validated
from stages.artifacts.tables import parse_of, targets_of, write_table
from stages.prompt.recipe import STAGE, PrompterRecipe


def run(*, samples: Path, phrases: Path, maps: Path, recipe: Mapping[str, Any], output: Path) -> None:
    """Write `points.parquet` for one shard.

    samples, phrases, maps: manifests of the shard's samples, parse and attend. recipe: PrompterRecipe as a dict.
    A sample without phrases gets no rows; a phrase whose map responds nowhere gets a row without points.
    """
    from stages.artifacts.maps import read_maps
    from stages.prompt.binding import bind

    settings = validated("prompt", recipe, PrompterRecipe)
    inputs = {
        "samples": ShardReader(samples, "samples"),
        "phrases": ShardReader(phrases, "parse"),
        "maps": ShardReader(maps, "attend"),
    }
    identity = settings.model_dump(mode="json")
    if unchanged(STAGE, identity, output, inputs=inputs):
        return
    listed = inputs["samples"].table("samples")
    sizes = {row["sample_id"]: (row["width"], row["height"]) for row in listed}
    texts = {row["sample_id"]: row["text"] for row in listed}
    parses = {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")}
    word_maps = read_maps(inputs["maps"].file("maps.zarr"))
    writer = ShardWriter(STAGE, identity, output, inputs=inputs)

    def process(batch: Sequence[int]) -> list[Result]:
        return [one(position) for position in batch]

    def one(position: int) -> Outcome:
        sample_id = writer.ids[position]
        width, height = sizes[sample_id]
        parse = parses[sample_id]
        seen = parse if settings.numerals else parse.without_numerals(texts[sample_id])
        bound = bind(seen, word_maps.of_sample(position), settings, sample_id)
        rows = []
        for target in targets_of(sample_id, parse):
            points = bound.get((target["kind"], target["index"]))
            if points is None:  # a kind of target that the recipe switched off
                continue
            target["points"] = [
                {
                    "x": point.x * width,
                    "y": point.y * height,
                    "label": point.label,
                    "start": point.word[0],
                    "end": point.word[1],
                }
                for point in points
            ]
            rows.append(target)
        return Outcome(rows)

    writer.run(process, batch_size=64)
    rows = [row for outcome in writer.outcomes.values() for row in outcome.rows]
    writer.publish(
        {"points.parquet": lambda path: write_table(path, "points", rows)},
        summary={"targets": len(rows), "without_points": sum(not row["points"] for row in rows)},
    )
