"""The embedded world as a semantic set: a text lists an image's classes, and every pixel has exactly one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stages.artifacts.language import Parse
from stages.artifacts.masks import encode
from stages.samples import world
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.samples.readers.semantic import listed
from stages.world.class_lists import every_class, label_maps
from stages.world.scene import scene


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """The scenes of the plain world."""
    own = {key: recipe[key] for key in ("classes", "synonyms", "candidates")}
    plain = {key: recipe[key] for key in ("split", "first", "count")}
    for entry in world.entries(plain, place):
        yield entry.model_copy(update={"source": {**entry.source, **own}})


def has_truth(entries: list[Entry]) -> bool:
    return world.has_truth(entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The plain world's image with its classes for a text; the truth is a mask a class that is there."""
    source = entry.source
    plain = world.sample(entry.model_copy(update={"source": {key: source[key] for key in ("split", "index")}}), place)
    there = label_maps(scene(source["split"], source["index"]), source["classes"], synonyms=source["synonyms"])
    names = list(there) if source["candidates"] == "truth" else list(every_class(source["classes"]))
    text, phrases = listed(names)
    masks = [(i, there[name]) for i, name in enumerate(names) if name in there]
    truth = tuple(TruthMask("phrase", i, encode(mask)) for i, mask in masks)
    return replace(plain, text=text, parse=Parse(phrases=phrases), tags=(), truth=truth)
