"""The embedded world with its captions perturbed: typos, broken grammar, capitals (Segment Anyword, G.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stages.samples import world
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation, Sample
from stages.world.noise import moved, perturb


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """The scenes of the plain world, each with the noise that its caption is read under."""
    for entry in world.entries(recipe, place):
        yield entry.model_copy(update={"source": {**entry.source, "noise": recipe["noise"]}})


def has_truth(entries: list[Entry]) -> bool:
    return world.has_truth(entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The plain world's sample with another text; phrases and truth stay those of the words they were."""
    clean = world.sample(entry, place)
    perturbed = perturb(clean.text, entry.source["noise"])
    return replace(clean, text=perturbed.text, parse=moved(clean.parse, perturbed))
