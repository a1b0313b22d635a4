"""A small finished experiment, written by hand through the artifact formats: what score, report and exports read.

Two shards of two samples each. Every mask is a rectangle, so a test can say the IoU in its head.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stages.artifacts import Failure, ShardReader, ShardWriter, Stage
from stages.artifacts.atomic import sha256_file
from stages.artifacts.language import Parse, Phrase, Predicate, Span, words
from stages.artifacts.manifest import ModelRecord
from stages.artifacts.maps import WordMaps, write_maps
from stages.artifacts.masks import encode
from stages.artifacts.tables import targets_of, write_table

WIDTH, HEIGHT = 48, 32


def span(text, part, start=0):
    at = text.index(part, start)
    return Span(start=at, end=at + len(part))


def phrase(text, whole, root):
    outer = span(text, whole)
    inner = span(text, root, outer.start)
    before = [one for one in words(text) if outer.start <= one.start and one.end < inner.start and one.of(text) != "a"]
    return Phrase(span=outer, root=inner, adjectives=tuple(before))


def rectangle(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


@dataclass
class Toy:
    """One sample: truth and prediction masks by (kind, index); a reason makes it fail in segment."""

    id: str
    text: str
    parse: Parse
    truth: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    masks: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    tags: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    failed: str | None = None
    unread: str | None = None
    """Why the samples stage had no row for it."""
    confidence: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    """What segment says of a mask beside its score."""


CIRCLE, SQUARE = rectangle(4, 4, 14, 24), rectangle(30, 10, 40, 30)


def toys():
    one = "a red circle touches a blue square"
    parse = Parse(
        phrases=(phrase(one, "a red circle", "circle"), phrase(one, "a blue square", "square")),
        predicates=(Predicate(span=span(one, "touches"), subject=0, object=1),),
        referred=0,
    )
    two = "a circle and a square"
    half = rectangle(4, 4, 14, 14)  # IoU .5 with the circle
    hostile = '<script>alert("1")</script> & a cat'
    return [
        Toy(
            "first",
            one,
            parse,
            truth={("phrase", 0): CIRCLE, ("phrase", 1): SQUARE, ("predicate", 0): CIRCLE | SQUARE},
            masks={("phrase", 0): half, ("phrase", 1): SQUARE, ("predicate", 0): CIRCLE | SQUARE},
            tags={("phrase", 1): ["small"]},
        ),
        Toy(
            "second <b>",
            two,
            Parse(phrases=(phrase(two, "a circle", "circle"), phrase(two, "a square", "square")), referred=0),
            truth={("phrase", 0): CIRCLE},
            masks={("phrase", 0): CIRCLE, ("phrase", 1): SQUARE},
        ),
        Toy("../third", one, parse, truth={("phrase", 0): CIRCLE, ("phrase", 1): SQUARE}, failed="no map. Look there."),
        Toy(
            "=fourth",
            hostile,
            Parse(phrases=(phrase(hostile, "a cat", "cat"),), referred=0),
            truth={("phrase", 0): SQUARE},
            masks={("phrase", 0): rectangle(0, 0, 2, 2)},
            tags={("phrase", 0): ["small", "synonym"]},
        ),
    ]


def write_results(root: Path, samples: list[Toy] | None = None, *, experiment="toy", shard_size=2, parser="truth"):
    """Folders of every stage up to segment below `root`; gives the number of shards. What two experiments share is
    written once."""
    samples = toys() if samples is None else samples
    shards = [samples[i : i + shard_size] for i in range(0, len(samples), shard_size)]
    for number, shard in enumerate(shards):
        _write_shard(root, shard, f"{number:05d}", experiment, parser)
    return len(shards)


def _write_shard(root, shard, name, experiment, parser):
    folders = {
        "samples": root / "samples" / name,
        "parse": root / "parse" / parser / name,
        "invert": root / "invert" / "toy" / name,
        "attend": root / "attend" / "toy" / "toy" / name,
        "prompt": root / "experiments" / experiment / "prompt" / name,
        "segment": root / "experiments" / experiment / "segment" / name,
    }
    shared = folders["samples"].is_dir()
    images = root / "drawn"
    images.mkdir(parents=True)
    rows = []
    for number, toy in enumerate(shard):
        pixels = np.full((HEIGHT, WIDTH, 3), 230, dtype=np.uint8)
        for mask, colour in zip(toy.truth.values(), ((200, 30, 30), (30, 30, 200)), strict=False):
            pixels[mask] = colour
        Image.fromarray(pixels).save(images / f"{number:06d}.png")
        rows.append(
            {
                "sample_id": toy.id,
                "image": f"images/{number:06d}.png",
                "image_sha256": sha256_file(images / f"{number:06d}.png"),
                "width": WIDTH,
                "height": HEIGHT,
                "text": toy.text,
                "split": "test",
                **toy.parse.row(),
                "tags": [],
            }
        )
    ids = [toy.id for toy in shard]
    truth = [row for toy in shard for row in _masks(toy, toy.truth, tags=True)]
    done = [toy for toy in shard if toy.failed is None and toy.unread is None]
    rows = [row for row, toy in zip(rows, shard, strict=True) if toy.unread is None]
    recipe = {"kind": "toy"}

    writer = ShardWriter(
        Stage(name="samples", version="1"), recipe, folders["samples"] / "manifest.json", inputs={}, ids=ids
    )
    writer.results |= {position: Failure(toy.unread) for position, toy in enumerate(shard) if toy.unread}
    tables = {
        "samples.parquet": lambda path: write_table(path, "samples", rows),
        "truth.parquet": lambda path: write_table(path, "truth", truth),
        "images": lambda path: shutil.copytree(images, path),
    }
    if not shared:
        writer.publish(tables)
    shutil.rmtree(images)
    source = ShardReader(folders["samples"], "samples")

    def publish(stage, writers, failing=False, **inputs):
        if shared and stage in ("parse", "invert", "attend"):
            return ShardReader(folders[stage], stage)
        models = {"backbone": ModelRecord(id="toy", sha256="0" * 64)} if stage == "invert" else {}
        writer = ShardWriter(
            Stage(name=stage, version="1"), recipe, folders[stage] / "manifest.json", inputs=inputs, models=models
        )
        for position, toy in enumerate(shard):
            if failing and toy.failed:
                writer.results[position] = Failure(toy.failed)
        writer.publish(writers)
        return ShardReader(folders[stage], stage)

    parses = [{"sample_id": toy.id, **toy.parse.row()} for toy in shard]
    phrases = publish("parse", {"phrases.parquet": lambda p: write_table(p, "phrases", parses)}, samples=source)
    moved = [
        {"sample_id": toy.id, "start": word.start, "end": word.end, "drift": 0.25 if word.start else 2.0}
        for toy in done
        for word in words(toy.text)
    ]
    embeddings = publish("invert", {"drift.parquet": lambda p: write_table(p, "drift", moved)}, samples=source)
    word_maps = _maps(shard)
    maps = publish("attend", {"maps.zarr": lambda p: write_maps(p, word_maps)}, samples=source, embeddings=embeddings)
    points = [row for toy in done for row in _points(toy)]
    prompts = publish(
        "prompt",
        {"points.parquet": lambda p: write_table(p, "points", points)},
        failing=True,
        samples=source,
        phrases=phrases,
        maps=maps,
    )
    masks = [
        {**row, **toy.confidence.get((row["kind"], row["index"]), {})}
        for toy in done
        for row in _masks(toy, toy.masks, score=0.75)
    ]
    publish("segment", {"masks.parquet": lambda p: write_table(p, "masks", masks)}, samples=source, points=prompts)


def _masks(toy, masks, *, tags=False, **columns):
    for target in targets_of(toy.id, toy.parse):
        key = (target["kind"], target["index"])
        if key in masks:
            extra = {"tags": toy.tags.get(key, [])} if tags else {}
            yield {**target, **encode(masks[key]), **extra, **columns}


def _points(toy):
    for target in targets_of(toy.id, toy.parse):
        key = (target["kind"], target["index"])
        if key in toy.masks and toy.masks[key].any():
            y, x = np.argwhere(toy.masks[key])[0] + 0.5
            inside = {"x": x, "y": y, "label": 1, "start": target["root_start"], "end": target["root_end"]}
            yield {**target, "points": [inside, {"x": 0.5, "y": 0.5, "label": 0, "start": -1, "end": -1}]}


def _maps(shard):
    """Every word looks at the middle of the first truth of its sample."""
    maps, sample, starts, ends = [], [], [], []
    for position, toy in enumerate(shard):
        for word in words(toy.text):
            one = np.full((16, 16), 0.01, dtype=np.float32)
            y, x = np.argwhere(next(iter(toy.truth.values()))).mean(axis=0)
            one[int(y * 16 / HEIGHT), int(x * 16 / WIDTH)] = 0.5
            maps.append(one)
            sample.append(position)
            starts.append(word.start)
            ends.append(word.end)
    places = (np.asarray(values, dtype=np.int32) for values in (sample, starts, ends))
    whole = np.stack(maps)
    layers = np.stack([whole, whole[:, ::-1]], axis=1)  # the second has every map upside down
    return WordMaps(whole, *places, layers, ("up", "down"))
