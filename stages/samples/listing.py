"""What a dataset lists, before any image is opened: ids that are safe and unique, samples cut into shards.

A row that breaks a rule is not dropped: it stays in its place as an entry with a `problem`, and becomes a failed
row of the shard's manifest.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

_SHOWN = 60  # characters of a bad value that a message quotes
MAX_ID = 200


class Entry(BaseModel):
    """One row of a dataset as its reader found it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: dict[str, Any] = {}
    """What the same reader needs to make the sample: an image path, a scene's number."""
    problem: str | None = None
    """Why this row can make no sample, in one line."""


def id_problem(sample_id: str) -> str | None:
    """Which rule an id breaks, if any. Ids stay out of file names, but tables, pages and exports carry them."""
    if not sample_id.strip():
        return "the id is empty. Give every row an id."
    if len(sample_id) > MAX_ID:
        return f"id {quote(sample_id)} has {len(sample_id)} characters, over {MAX_ID}. Shorten it."
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in sample_id):
        return f"id {quote(sample_id)} holds a control character. Remove it."
    if "\\" in sample_id or sample_id.startswith("/") or ".." in sample_id.split("/"):
        return f"id {quote(sample_id)} looks like a path that leads elsewhere. Use no backslash, '..' or leading '/'."
    return None


def image_problem(image: str) -> str | None:
    """Which rule an image's relative path breaks, if any; whether the file is there is looked at later."""
    path = PurePosixPath(image)
    if not image.strip():
        return "names no image. Fill the column 'image'."
    if "\x00" in image:
        return f"image {quote(image)} holds a zero character. Remove it."
    if path.is_absolute() or ".." in path.parts or "\\" in image:
        return f"image {quote(image)} must be a path below the image folder, without '..' and backslashes."
    return None


def text_problem(text: str) -> str | None:
    return None if text.strip() else "the text is empty. Write what to look for."


def with_unique_ids(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries in order, every id safe and new: a bad id becomes `row-N`, a repeated one `id#2`, both failed.

    >>> [(e.id, e.problem is None) for e in with_unique_ids([Entry(id="a"), Entry(id="a"), Entry(id="../a")])]
    [('a', True), ('a#2', False), ('row-3', False)]
    """
    seen: set[str] = set()
    for row, entry in enumerate(entries, start=1):
        problem = id_problem(entry.id)
        name = entry.id if problem is None else f"row-{row}"
        unique, copy = name, 1
        while unique in seen:
            copy += 1
            unique = f"{name}#{copy}"
        seen.add(unique)
        if problem is None and unique != name:
            problem = f"id {quote(name)} is there {copy} times; this row is number {copy}. Give it its own id."
        yield entry.model_copy(update={"id": unique, "problem": problem or entry.problem})


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
