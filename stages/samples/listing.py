"""What a dataset lists, before any image is opened: ids that are safe and unique, samples cut into shards.

A row that breaks a rule is not dropped: it stays in its place as an entry with a `problem`, and becomes a failed
row of the shard's manifest.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from stages.artifacts import rows
from stages.artifacts.errors import SampleError
from stages.artifacts.manifest import Manifest

_SHOWN = 60  # characters of a bad value that a message quotes
MAX_ID = 200
COUNTED = frozenset({"no_target", "several"})
"""Tags of gRefCOCO's reader: expressions of no target, and of more than one."""


class Entry(BaseModel):
    """One row of a dataset as its reader found it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: dict[str, Any] = {}
    """What the same reader needs to make the sample: an image path, a scene's number."""
    problem: str | None = None
    """Why this row can make no sample, in one line."""


class Contents:
    """What a listing holds, counted as it is read."""

    def __init__(self) -> None:
        self.images: set[str] = set()
        self.splits: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()

    def add(self, entries: Iterable[Entry]) -> None:
        for source in (entry.source for entry in entries if entry.problem is None):
            if "image" in source:
                self.images.add(source["image"])
            self.splits[str(source.get("split", ""))] += 1
            self.tags.update(tag for tag in source.get("tags", ()) if tag in COUNTED)

    def summary(self) -> dict[str, Any]:
        """Samples by split, samples by tag (of those that datasets themselves set), and distinct images; a reader that
        draws its images names none."""
        counts: dict[str, Any] = {"splits": dict(sorted(self.splits.items())), "tags": dict(sorted(self.tags.items()))}
        return {**counts, "images": len(self.images)} if self.images else counts


def told(index: Manifest) -> str:
    """What a dataset turned out to hold, in one line.

    >>> summary = {"samples": 3, "refused": 1, "splits": {"val": 2}, "tags": {}, "images": 2, "files": {"a.csv": "0f"}}
    >>> from stages.artifacts.manifest import Stage
    >>> stage = Stage(name="index", version="1")
    >>> told(Manifest(stage=stage, recipe={"kind": "folder"}, inputs={}, fingerprint="", summary=summary))
    'folder: 3 samples (1 refused) of 2 images; val 2; read a.csv (sha256 0f)'
    """
    summary = index.summary
    images = f" of {summary['images']} images" if "images" in summary else ""
    counts = [*summary["splits"].items(), *summary["tags"].items()]
    parts = [
        f"{index.recipe['kind']}: {summary['samples']} samples ({summary['refused']} refused){images}",
        ", ".join(f"{name or 'no split'} {count}" for name, count in counts),
        ", ".join(f"read {name} (sha256 {sha256[:12]})" for name, sha256 in summary["files"].items()),
    ]
    return "; ".join(part for part in parts if part)


def id_problem(sample_id: str) -> str | None:
    """Which rule an id breaks, if any. Ids stay out of file names, but tables, pages and exports carry them."""
    if not sample_id.strip():
        return "the id is empty. Give every row an id."
    if len(sample_id) > MAX_ID:
        return f"id {quote(sample_id)} has {len(sample_id)} characters, over {MAX_ID}. Shorten it."
    if not sample_id.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in sample_id):
        return f"id {quote(sample_id)} holds a control character. Remove it."
    if "\\" in sample_id or sample_id.startswith("/") or ".." in sample_id.split("/"):
        return f"id {quote(sample_id)} looks like a path that leads elsewhere. Use no backslash, '..' or leading '/'."
    return None


def image_problem(image: str) -> str | None:
    """Which rule an image's relative path breaks, if any; whether the file is there is looked at later."""
    if not image.strip():
        return "names no image. Fill the column 'image'."
    if "\x00" in image:
        return f"image {quote(image)} holds a zero character. Remove it."
    if image.startswith("/") or ".." in image.split("/") or "\\" in image:
        return f"image {quote(image)} must be a path below the image folder, without '..' and backslashes."
    return None


def text_problem(text: str) -> str | None:
    return None if text.strip() else "the text is empty. Write what to look for."


def listed(name: str, make: Callable[[], Entry]) -> Entry:
    """The entry of one record, whatever its format: a failed row where `make` finds that it breaks a rule, lacks a key
    or has another form."""
    entry = rows.attempted(make)
    return Entry(id=name, problem=str(entry)) if isinstance(entry, SampleError) else entry


def with_unique_ids(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries in order, every id safe and new: a bad id becomes `row-N`, a repeated one `id#2`, both failed. So is
    one whose values could not be written.

    >>> [(e.id, e.problem is None) for e in with_unique_ids([Entry(id="a"), Entry(id="a"), Entry(id="../a")])]
    [('a', True), ('a#2', False), ('row-3', False)]
    """
    seen: set[str] = set()
    copies: Counter[str] = Counter()
    for row, entry in enumerate(entries, start=1):
        problem = id_problem(entry.id)
        name = entry.id if problem is None else f"row-{row}"
        unique = name
        while unique in seen:  # goes on from the last copy, so that a million equal ids take a million steps
            copies[name] += 1
            unique = f"{name}#{copies[name] + 1}"
        seen.add(unique)
        if problem is None and unique != name:
            problem = f"id {quote(name)} is there {copies[name] + 1} times up to this row. Give it its own id."
        unwritable = rows.problem(entry.source)
        problem = entry.problem or problem or unwritable
        if unique == entry.id and problem == entry.problem:
            yield entry
        else:
            yield Entry(id=unique, source={} if unwritable else entry.source, problem=problem)


def in_shards(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Fixed runs of `size` entries; the last may be shorter."""
    shard: list[Entry] = []
    for entry in entries:
        shard.append(entry)
        if len(shard) == size:
            yield shard
            shard = []
    if shard:
        yield shard


def quote(value: str) -> str:
    """A value as a message shows it: escaped, so that it stays on one line, and cut."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return "'" + "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown) + "'"
