"""All that the page shows of one sample, as plain values: words and maps, phrases with points and masks, truth."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stages.artifacts.language import words
from stages.artifacts.maps import WordMaps
from stages.artifacts.masks import decode, encode
from stages.artifacts.shards import Key, Row, Shard
from stages.artifacts.tables import UNNAMED, targets_of
from stages.report.figures import drift_of
from stages.report.rows import Line

if TYPE_CHECKING:
    from jaxtyping import Float

PARTS_SHOWN = 40
"""Of a map kept in parts (steps, layers, heads), so many, evenly spread: a sample's data stay small."""
_FIGURES = ("score", "contrast", "attention", "agreement")


def experiment(
    shard: Shard, line: Line, size: tuple[int, int], lines: Mapping[Key, Mapping[str, str]]
) -> dict[str, Any]:
    """What one experiment made of a sample, as far as it came.

    size: width and height of the page's picture, to which masks are reduced. lines: of scores.csv, by the truth's key.
    """
    name = line.id
    found: dict[str, Any] = {"suspicion": _rounded(line.numbers.get("suspicion"))}
    if line.failed:
        found["failed"] = {"stage": line.failed.stage, "reason": line.failed.reason}
    parse = shard.parses.get(name)
    row = shard.rows.get(name)
    if parse is None or row is None:
        return found
    found["words"] = [{"start": one.start, "end": one.end} for one in words(row["text"])]
    for word in found["words"]:
        if (went := drift_of(shard.drift.get(name, {}), word["start"], word["end"])) is not None:
            word["drift"] = _rounded(went)
    if shard.maps is not None and name not in shard.inputs["maps"].failures:
        found |= _maps(shard.maps, shard.inputs["maps"].ids.index(name), found["words"])
    masks, points = shard.masks.get(name, {}), shard.points.get(name, {})
    answered = {(kind, int(one["answer"])): (kind, index) for (kind, index), one in lines.items() if one["answer"]}
    found["targets"] = []
    for target in targets_of(name, parse):
        key = (target["kind"], target["index"])
        own = {part: target[part] for part in ("kind", "index", "start", "end", "root_start", "root_end")}
        own |= _grammar(parse, key)
        if key in points:
            own["points"] = [_point(one, row, size) for one in points[key]["points"]]
        if key in masks:
            own["mask"] = _mask(masks[key], size)
            own["figures"] = {part: _rounded(masks[key][part]) for part in _FIGURES if masks[key][part] is not None}
            if key[0] == "phrase" and key[1] in line.by_phrase:
                more = line.by_phrase[key[1]]
                own["figures"] |= {part: _rounded(value) for part, value in more.items() if part != "loss"}
        if key in answered:
            own["truth"] = list(answered[key])
            own["iou"] = _rounded(float(lines[answered[key]]["iou"]))
        found["targets"].append(own)
    found["relations"] = [
        {"start": one.span.start, "end": one.span.end, "subject": one.subject, "object": one.object}
        for one in parse.relations
    ]
    found["referred"], found["notes"] = parse.referred, list(parse.notes)
    if shard.losses is not None:
        taken = shard.losses[shard.ids.index(name)]
        found["loss"] = [_rounded(float(one)) for one in taken[np.isfinite(taken)]]
    return found


def truth(rows: Sequence[Row], text: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """The sample's truths, with the words that each is of (of a class that the text does not name, its name)."""
    return [
        {
            "kind": row["kind"],
            "index": row["index"],
            "text": row["tags"][0] if row["kind"] == UNNAMED else text[row["start"] : row["end"]],
            "tags": list(row["tags"]),
            "mask": _mask(row, size),
        }
        for row in rows
    ]


def _grammar(parse: Any, key: Key) -> dict[str, Any]:
    if key[0] == "predicate":
        one = parse.predicates[key[1]]
        return {"subject": one.subject, "object": one.object}
    phrase = parse.phrases[key[1]]
    return {"adjectives": [[one.start, one.end] for one in phrase.adjectives], "possessor": phrase.possessor}


def _maps(maps: WordMaps, position: int, spoken: list[dict[str, Any]]) -> dict[str, Any]:
    """Maps of the words that have one, each stretched over 8 bits of its own range; `map` of a word is its place."""
    rows = np.flatnonzero(maps.sample == position)
    by_span = {(int(maps.start[row]), int(maps.end[row])): row for row in rows}
    taken: list[int] = []
    for word in spoken:
        row = by_span.get((word["start"], word["end"]))
        if row is not None:
            word["map"], word["peak"] = len(taken), _rounded(float(maps.maps[row].max()))
            taken.append(int(row))
    if not taken:
        return {}
    found: dict[str, Any] = {"grid": list(maps.maps.shape[1:]), "maps": _bytes(maps.maps[taken])}
    if maps.parts is not None:
        count = maps.parts.shape[1]
        shown = np.unique(np.linspace(0, count - 1, min(count, PARTS_SHOWN)).round().astype(int))
        names = [maps.part_names[one] for one in shown]
        found["parts"] = {"of": count, "names": names, "maps": _bytes(maps.parts[taken][:, shown])}
    return found


def _bytes(maps: Float[np.ndarray, "... rows columns"]) -> str:
    low = maps.min(axis=(-2, -1), keepdims=True)
    high = maps.max(axis=(-2, -1), keepdims=True)
    level = (maps - low) / np.where(high > low, high - low, 1.0)
    return base64.b64encode((level * 255).round().astype(np.uint8).tobytes()).decode("ascii")


def _mask(row: Row, size: tuple[int, int]) -> dict[str, Any]:
    """The mask at the picture's size where that is smaller; `area` is the share of the whole image."""
    mask = decode(row)
    if size[0] < row["width"]:
        reduced = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        row = encode(np.asarray(reduced) > 127)
    counts = {"width": row["width"], "height": row["height"], "counts": row["counts"]}
    return {**counts, "area": _rounded(float(mask.mean()))}


def _point(one: Row, row: Row, size: tuple[int, int]) -> list[float]:
    """x and y in 0..1 of the image, the label, and the word's characters."""
    return [
        round(one["x"] / row["width"], 4),
        round(one["y"] / row["height"], 4),
        one["label"],
        one["start"],
        one["end"],
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
