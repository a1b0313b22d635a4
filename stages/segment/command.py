"""A shard's points (or maps and phrases) to its masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from stages.artifacts import AnywordError, Failure, Outcome, Result, SampleError, ShardReader, ShardWriter, unchanged
from stages.artifacts.images import read_image
from stages.artifacts.language import Parse
from stages.artifacts.maps import read_maps
from stages.artifacts.masks import encode
from stages.artifacts.recipes import identity, implementation, validated
from stages.artifacts.tables import parse_of, targets_of, write_table
from stages.models.limit import limit_memory
from stages.segment.confidence import confidence
from stages.segment.recipe import STAGE, SegmenterRecipe
from stages.segment.segmenter import Cut, Module, Request, Target


def run(
    *,
    samples: Path,
    recipe: Mapping[str, Any],
    output: Path,
    points: Path | None = None,
    maps: Path | None = None,
    phrases: Path | None = None,
    images: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    memory: float | None = None,
) -> None:
    """Write `masks.parquet` for one shard: a row a target, at its image's size, with the segmenter's own score.

    samples, points, maps, phrases: manifests; which of the last three are needed the recipe's kind says. images:
    folder of the images, default beside the samples. A target without a point inside gets an empty mask. Where there
    are maps and phrases, each phrase's mask also carries what attention says of it (`confidence`).
    """
    settings = validated("segment", recipe, SegmenterRecipe)
    given = {"points": (points, "prompt"), "phrases": (phrases, "parse"), "maps": (maps, "attend")}
    inputs = {"samples": ShardReader(samples, "samples")}
    for name, (path, stage) in given.items():
        if name not in settings.READS:
            continue
        if path is not None:
            inputs[name] = ShardReader(path, stage)
        elif name not in settings.OPTIONAL:
            raise AnywordError(f"segment: this recipe needs --{name}.", remedy="Give the shard's manifest.")
    module, decides = cast(Module, implementation(settings)), identity(settings)
    if unchanged(STAGE, decides, output, inputs=inputs, models=lambda: module.records(settings)):
        return
    requests = _requests(inputs, inputs["samples"].images(images))
    limit_memory(memory)
    segmenter = module.load(settings, device)
    writer = ShardWriter(STAGE, decides, output, inputs=inputs, models=segmenter.models)

    def process(batch: Sequence[int]) -> Iterator[Result]:
        own = [requests(position, writer.ids[position]) for position in batch]
        for request, found in zip(own, segmenter.cuts(own), strict=True):
            yield Failure(str(found)) if isinstance(found, SampleError) else Outcome(list(_rows(request, found)))

    writer.run(lambda batch: list(process(batch)), batch_size=batch_size, earlier=_earlier)
    rows = [row for outcome in writer.outcomes.values() for row in outcome.rows]
    writer.publish(
        {"masks.parquet": lambda path: write_table(path, "masks", rows)},
        summary={"targets": len(rows), "empty": sum(row["score"] == 0 for row in rows)},
    )


def _earlier(shard: ShardReader) -> Callable[[int], Outcome]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in shard.table("masks"):
        rows.setdefault(row["sample_id"], []).append(row)
    return lambda position: Outcome(rows.get(shard.ids[position], []))


def _requests(inputs: Mapping[str, ShardReader], images: Path) -> Callable[[int, str], Request]:
    """What gives a sample's request by its position in the shard and its id."""
    listed = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    parses = (
        {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")} if "phrases" in inputs else {}
    )
    word_maps = read_maps(inputs["maps"].file("maps.zarr")) if "maps" in inputs else None
    points: dict[str, list[dict[str, Any]]] = {}
    for row in inputs["points"].table("points") if "points" in inputs else ():
        points.setdefault(row["sample_id"], []).append(row)

    def request(position: int, sample_id: str) -> Request:
        row = listed[sample_id]
        parse = parses[sample_id] if "phrases" in inputs else Parse()
        return Request(
            text=row["text"],
            size=(row["height"], row["width"]),
            image=partial(read_image, images, row["image"], row["image_sha256"]),
            targets=points.get(sample_id, []) if "points" in inputs else targets_of(sample_id, parse),
            parse=parse,
            maps=None if word_maps is None else word_maps.of_sample(position),
        )

    return request


def _rows(request: Request, cuts: Mapping[Target, Cut]) -> Iterator[dict[str, Any]]:
    """The rows of a sample's masks. No word of its own points at a predicate, so it has no confidence."""
    for target in request.targets:
        one = cuts.get((target["kind"], target["index"]))
        if one is None:  # a kind of target that the recipe switched off
            continue
        trust: dict[str, float] = {}
        if request.maps is not None and request.parse.phrases and target["kind"] == "phrase":
            trust = confidence(request.parse.phrases[target["index"]], request.maps, one.mask)
        row = {key: value for key, value in target.items() if key != "points"}
        yield row | encode(one.mask) | {"score": one.score} | trust
