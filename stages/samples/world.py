"""The embedded world as a dataset: samples drawn from their number, images written beside their tables."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from stages.artifacts.atomic import sha256_of
from stages.artifacts.masks import encode
from stages.samples.listing import Entry
from stages.samples.reader import DRAWN, DataLocation, Sample, TruthMask


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """Scenes `first` to `first + count` of a split; nothing is drawn yet."""
    for index in range(recipe["first"], recipe["first"] + recipe["count"]):
        source = {"split": recipe["split"], "index": index}
        if recipe.get("synonyms") is not None:  # where nothing is said, listings stay what they were
            source["synonyms"] = recipe["synonyms"]
        yield Entry(id=f"{recipe['split']}-{index:06d}", source=source)


def has_truth(entries: list[Entry]) -> bool:
    return bool(entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The scene, its caption with gold phrases, and the exact mask of each."""
    from PIL import Image

    from stages.world.sample import sample as draw

    split, index = entry.source["split"], entry.source["index"]
    drawn = draw(split, index, unseen=entry.source.get("synonyms"))
    height, width = drawn.image.shape[:2]
    file = io.BytesIO()
    Image.fromarray(drawn.image).save(file, format="PNG")
    png = file.getvalue()
    tags = {
        drawn.caption.register: True,
        "same_noun": drawn.scene.same_noun,
        "synonym": drawn.caption.unseen is not None,
        "two_grounds": len(drawn.scene.grounds) > 1,
    }
    return Sample(
        image=f"{DRAWN}/{index:06d}.png",
        sha256=sha256_of(png),
        width=width,
        height=height,
        text=drawn.text,
        split=split,
        parse=drawn.parse,
        tags=tuple(name for name, holds in tags.items() if holds),
        truth=tuple(TruthMask(one.kind, one.number, encode(one.mask), one.tags) for one in drawn.truth),
        png=png,
    )
