"""Label maps of the embedded world: a scene's objects and grounds as classes, by phrase, by colour or by noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from stages.world.caption import SYNONYMS
from stages.world.render import COLOURS, GROUNDS
from stages.world.scene import Instance, Scene
from stages.world.shapes import NOUNS

if TYPE_CHECKING:
    from jaxtyping import Bool

By = Literal["phrases", "colours", "nouns"]


def said(thing: Instance, by: By, *, synonyms: bool) -> str:
    """What an object is called, e.g. "striped red circle", "red" or "circle".

    synonyms: in words that the embedded models never saw, those of them that have such.
    """
    words = {
        "phrases": [*([thing.pattern] if thing.pattern_shows else []), thing.colour, thing.noun],
        "colours": [thing.colour],
        "nouns": [thing.noun],
    }[by]
    return " ".join(SYNONYMS.get(word, word) if synonyms else word for word in words)


def label_maps(drawn: Scene, by: By, *, synonyms: bool = False) -> dict[str, Bool[np.ndarray, "128 128"]]:
    """Each class of a scene with its visible pixels, objects before grounds; things of one name are one class. Every
    pixel is in exactly one."""
    found: dict[str, Bool[np.ndarray, "128 128"]] = {}
    for thing in drawn.instances:
        name = said(thing, by, synonyms=synonyms)
        found[name] = found.get(name, np.zeros_like(thing.mask)) | thing.mask
    for ground in drawn.grounds:
        found[ground.name] = found.get(ground.name, np.zeros_like(ground.mask)) | ground.mask
    return found


def every_class(by: Literal["colours", "nouns"]) -> tuple[str, ...]:
    """All names that scenes may hold, objects before grounds."""
    return (*(NOUNS if by == "nouns" else COLOURS), *GROUNDS)
