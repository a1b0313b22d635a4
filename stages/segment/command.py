"""A shard's points (or maps and phrases) to its masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts import (
    AnywordError,
    Failure,
    ModelRecord,
    Outcome,
    Result,
    ShardReader,
    ShardWriter,
    attempt,
    unchanged,
)
from stages.artifacts.images import read_image
from stages.artifacts.masks import encode
from stages.artifacts.tables import parse_of, targets_of, write_table
from stages.segment.recipe import PLACE, STAGE, AttentionRecipe, GroundingDinoRecipe, Sam3Recipe, SamRecipe


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
) -> None:
    """Write `masks.parquet` for one shard: a row a target, at its image's size, with the segmenter's own score.

    samples, points, maps, phrases: manifests; which of the last three are needed the recipe's kind says. images:
    folder of the images, default beside the samples. A target without a point inside gets an empty mask. Where there
    are maps and phrases, each phrase's mask also carries what attention says of it (`confidence`).
    """
    inputs = {"samples": ShardReader(samples, "samples")}
    writer: ShardWriter | None
    if recipe.get("kind") == "attention":
        plain = AttentionRecipe.model_validate(recipe)
        inputs["phrases"] = ShardReader(_needed(phrases, "phrases"), "parse")
        inputs["maps"] = ShardReader(_needed(maps, "maps"), "attend")
        writer = _from_maps(inputs, plain, output, batch_size)
    elif recipe.get("kind") in ("grounding-dino", "sam3"):
        inputs["phrases"] = ShardReader(_needed(phrases, "phrases"), "parse")
        writer = _from_words(inputs, recipe, output, images or inputs["samples"].path, batch_size, device)
    else:
        settings = SamRecipe.model_validate(recipe)
        inputs["points"] = ShardReader(_needed(points, "points"), "prompt")
        if maps is not None and phrases is not None:
            inputs["phrases"], inputs["maps"] = ShardReader(phrases, "parse"), ShardReader(maps, "attend")
        writer = _from_points(inputs, settings, output, images or inputs["samples"].path, batch_size, device)
    if writer is None:
        return
    rows = [row for outcome in writer.outcomes.values() for row in outcome.rows]
    writer.publish(
        {"masks.parquet": lambda path: write_table(path, "masks", rows)},
        summary={"targets": len(rows), "empty": sum(row["score"] == 0 for row in rows)},
    )


def _from_points(
    inputs: dict[str, ShardReader], settings: SamRecipe, output: Path, images: Path, batch_size: int, device: str
) -> ShardWriter | None:
    from stages.models import sam
    from stages.models.records import segment_anything
    from stages.segment.points import Prompt, cut

    # The path of a checkpoint does not decide the result, its hash does: the same file elsewhere is the same recipe.
    identity = settings.model_dump(mode="json", exclude={"checkpoint"})

    def before() -> dict[str, ModelRecord]:
        return {"sam": segment_anything(settings.model, settings.checkpoint)}

    if unchanged(STAGE, identity, output, inputs=inputs, models=before):
        return None
    segmenter = sam.load(settings.model, settings.checkpoint, _device(device))
    listed = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    targets: dict[str, list[dict[str, Any]]] = {}
    for row in inputs["points"].table("points"):
        targets.setdefault(row["sample_id"], []).append(row)
    trust = _trust(inputs)
    record = ModelRecord(id=segmenter.id, sha256=segmenter.weights_sha256)
    writer = ShardWriter(STAGE, identity, output, inputs=inputs, models={"sam": record})

    def process(batch: Sequence[int]) -> list[Result]:
        encoded: dict[int, Any] = {}
        results: dict[int, Result] = {}
        for position in batch:
            results[position] = attempt(load, encoded, position)
        good = [position for position in batch if not isinstance(results[position], Failure)]
        pixels = [encoded[position] for position in good]
        for position, one in zip(good, segmenter.encode(pixels) if pixels else [], strict=True):
            results[position] = masks_of(position, one)
        return [results[position] for position in batch]

    def load(pixels: dict[int, Any], position: int) -> Outcome:
        row = listed[writer.ids[position]]
        image = read_image(images, row["image"], row["image_sha256"])
        sam.check_shape(image.shape[:2], segmenter.model.image_encoder.img_size)
        pixels[position] = image
        return Outcome()

    def masks_of(position: int, encoded: sam.Encoded) -> Outcome:
        own = targets.get(writer.ids[position], [])
        prompts = [
            Prompt(
                np.array([(point["x"], point["y"]) for point in row["points"]]).reshape(-1, 2),
                np.array([point["label"] for point in row["points"]], dtype=int),
            )
            for row in own
        ]
        cuts = cut(segmenter, encoded, encoded.size, prompts, settings.answer)
        return Outcome(
            [
                {key: value for key, value in row.items() if key != "points"}
                | encode(one.mask)
                | {"score": one.score}
                | trust(position, row, one.mask)
                for row, one in zip(own, cuts, strict=True)
            ]
        )

    writer.run(process, batch_size=batch_size)
    return writer


def _from_maps(
    inputs: dict[str, ShardReader], settings: AttentionRecipe, output: Path, batch_size: int
) -> ShardWriter | None:
    from stages.artifacts.maps import read_maps
    from stages.segment.attention import masks

    identity = settings.model_dump(mode="json")
    if unchanged(STAGE, identity, output, inputs=inputs):
        return None
    sizes = {row["sample_id"]: (row["height"], row["width"]) for row in inputs["samples"].table("samples")}
    parses = {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")}
    word_maps = read_maps(inputs["maps"].file("maps.zarr"))
    options = settings.model_dump(exclude={"kind"})
    trust = _trust(inputs)
    writer = ShardWriter(STAGE, identity, output, inputs=inputs)

    def one(position: int) -> Outcome:
        sample_id = writer.ids[position]
        found = masks(parses[sample_id], word_maps.of_sample(position), sizes[sample_id], **options)
        rows = []
        for target in targets_of(sample_id, parses[sample_id]):
            key = (target["kind"], target["index"])
            if key in found:  # predicates may be switched off
                mask, score = found[key]
                rows.append(target | encode(mask) | {"score": score} | trust(position, target, mask))
        return Outcome(rows)

    writer.run(lambda batch: [one(position) for position in batch], batch_size=batch_size)
    return writer


def _from_words(
    inputs: dict[str, ShardReader], recipe: Mapping[str, Any], output: Path, images: Path, batch_size: int, device: str
) -> ShardWriter | None:
    from stages.segment.models import answering, records_of
    from stages.segment.text import cuts

    kind = GroundingDinoRecipe if recipe["kind"] == "grounding-dino" else Sam3Recipe
    settings = kind.model_validate(recipe)
    listed = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    parses = {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")}
    identity = settings.model_dump(mode="json", exclude=set(PLACE))
    if unchanged(STAGE, identity, output, inputs=inputs, models=lambda: records_of(settings)):
        return None
    ask, models = answering(settings, _device(device))
    writer = ShardWriter(STAGE, identity, output, inputs=inputs, models=models)

    def one(position: int) -> Outcome:
        row = listed[writer.ids[position]]
        parse = parses[row["sample_id"]]
        image = read_image(images, row["image"], row["image_sha256"])
        found = cuts(parse, row["text"], image.shape[:2], ask(image), settings.answer, settings.predicates)
        targets = [(t, found.get((t["kind"], t["index"]))) for t in targets_of(row["sample_id"], parse)]
        return Outcome([t | encode(cut.mask) | {"score": cut.score} for t, cut in targets if cut is not None])

    writer.run(lambda batch: [attempt(one, position) for position in batch], batch_size=batch_size)
    return writer


def _trust(inputs: Mapping[str, ShardReader]) -> Callable[[int, Mapping[str, Any], np.ndarray], dict[str, Any]]:
    """What gives a target's confidence columns from its sample's position, its row and its mask: none without maps
    and phrases, and none for a predicate, which no word of its own points at."""
    if "maps" not in inputs or "phrases" not in inputs:
        return lambda position, row, mask: {}
    from stages.artifacts.maps import read_maps
    from stages.segment.confidence import confidence

    parses = {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")}
    word_maps = read_maps(inputs["maps"].file("maps.zarr"))

    def columns(position: int, row: Mapping[str, Any], mask: np.ndarray) -> dict[str, Any]:
        if row["kind"] != "phrase":
            return {}
        phrase = parses[row["sample_id"]].phrases[row["index"]]
        return confidence(phrase, word_maps.of_sample(position), mask)

    return columns


def _needed(path: Path | None, name: str) -> Path:
    if path is None:
        raise AnywordError(f"segment: this recipe needs --{name}.", remedy="Give the shard's manifest.")
    return path


def _device(name: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
