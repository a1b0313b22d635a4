"""The embedded world with short referring expressions, a share of which name an object that is not there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stages.artifacts.masks import encode
from stages.artifacts.seeds import generator
from stages.samples import world
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.world.absent import expression
from stages.world.scene import scene

NO_TARGET = "no_target"
"""Tag of an expression that means nothing, as gRefCOCO's reader sets it."""


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """The scenes of the plain world. Which expressions mean nothing depends on the scene's number and the seed; of
    any run of scenes their share is `absent`, to a sample (systematic sampling)."""
    share, start = recipe["absent"], generator(recipe["seed"], "samples", "absent").random()
    for entry in world.entries(recipe, place):
        index = entry.source["index"]
        absent = math.floor((index + 1) * share + start) > math.floor(index * share + start)
        yield entry.model_copy(update={"source": {**entry.source, "absent": absent, "seed": recipe["seed"]}})


def has_truth(entries: list[Entry]) -> bool:
    return world.has_truth(entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The plain world's sample with an expression for its text; without a target it has no truth."""
    plain = world.sample(entry, place)
    split, index, absent = (entry.source[key] for key in ("split", "index", "absent"))
    drawn = scene(split, index)
    said = expression(drawn, generator(entry.source["seed"], "samples", "expression", entry.id), absent=absent)
    if said.instance is None:
        tags = (NO_TARGET, f"exchanged_{said.exchanged}")
        return replace(plain, text=said.text, parse=said.parse, tags=tags, truth=())
    me = drawn.instances[said.instance]
    about = ("small",) if me.small else ()
    truth = TruthMask("phrase", 0, encode(me.mask), about)
    return replace(plain, text=said.text, parse=said.parse, tags=about, truth=(truth,))
