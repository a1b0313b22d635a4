"""The page's files of samples: details with their pictures, and sheets of thumbnails."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from stages.artifacts.errors import SampleError
from stages.artifacts.images import read_image
from stages.artifacts.masks import decode
from stages.artifacts.progress import track
from stages.artifacts.shards import Key, Shard
from stages.report import detail, draw, site
from stages.report.rows import Entry

log = logging.getLogger("anyword")

Scored = Mapping[str, Mapping[Key, Mapping[str, str]]]
"""The lines of scores.csv by sample, then by the truth's kind and index; `answer` is the index of what answers it."""
Tiles = tuple[Image | None, Image | None]
"""A sample's thumbnail, and that of its masks."""


def write_samples(
    folder: Path,
    opened: Sequence[Sequence[Shard]],
    entries: Sequence[Entry],
    scored: Sequence[Scored],
    longest: int,
    images: Path | None,
) -> None:
    """Details and thumbnails of the page's samples, shard by shard, so that one shard is in memory at a time."""
    details, sheets = site.Batches(site.DETAILS_A_FILE), site.Batches(site.SHEET)
    grouped_entries = itertools.groupby(entries, key=lambda one: one.shard)
    by_shard = [(number, list(own)) for number, own in grouped_entries]
    for number, own in track(by_shard, "report: pictures", len(entries), size=lambda one: len(one[1])):
        shards = [one.unread() for one in opened[number]]
        for entry in own:
            value, tiles = _sample(shards, entry, scored, longest, images)
            for part, values in details.add(value):
                (folder / f"details-{part:05d}.js").write_bytes(site.data(f"details-{part:05d}", values))
            for part, whole in sheets.add(tiles):
                _write_sheet(folder, part, whole)
    for part, values in details.rest():
        (folder / f"details-{part:05d}.js").write_bytes(site.data(f"details-{part:05d}", values))
    for part, whole in sheets.rest():
        _write_sheet(folder, part, whole)


def _write_sheet(folder: Path, part: int, tiles: Sequence[Tiles]) -> None:
    (folder / f"images-{part:05d}.jpg").write_bytes(draw.sheet([image for image, _ in tiles], site.CELL))
    (folder / f"masks-{part:05d}.png").write_bytes(draw.mask_sheet([masks for _, masks in tiles], site.CELL))


def _sample(
    shards: Sequence[Shard], entry: Entry, scored: Sequence[Scored], longest: int, images: Path | None
) -> tuple[dict[str, Any], Tiles]:
    """A sample's details, its thumbnail, and the thumbnail of its (first experiment's) masks."""
    name, first = entry.id, shards[0]
    row = first.rows.get(name)
    found: dict[str, Any] = {"id": name, "text": row["text"] if row else "", "file": row["image"] if row else ""}
    size = draw.fitted(row["width"], row["height"], longest) if row else (1, 1)
    own = [scores.get(name, {}) for scores in scored]
    found["runs"] = [
        detail.experiment(one, line, size, lines) for one, line, lines in zip(shards, entry.lines, own, strict=True)
    ]
    if row is None:
        return found, (None, None)
    found |= {"width": row["width"], "height": row["height"], "split": row["split"], "tags": row["tags"]}
    found["truth"] = detail.truth(list(first.truth.get(name, {}).values()), row["text"], size)
    try:
        pixels = read_image(first.inputs["samples"].images(images), row["image"], row["image_sha256"])
    except SampleError as error:
        log.warning("report: sample '%s' is shown without its image: %s", name, error)
        return found, (None, None)
    found["picture"] = site.data_uri(*draw.picture(pixels, longest))
    tile = draw.thumbnail(pixels, site.CELL)
    masks = [decode(one) for (kind, _), one in first.masks.get(name, {}).items() if kind == "phrase"]
    return found, (tile, draw.coloured(masks, tile.size) if masks and name not in first.failures else None)
