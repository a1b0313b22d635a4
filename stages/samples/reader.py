"""What a reader of datasets is: a new kind is a module with the three functions of `Reader`, and its model in
`recipe.py`, which names it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from stages.artifacts.atomic import sha256_file
from stages.artifacts.language import Parse
from stages.artifacts.recipes import implementation, model_of
from stages.samples.listing import Entry

DRAWN = "images"
"""Folder of a shard that holds the images which a reader draws."""


@dataclass(frozen=True)
class DataLocation:
    """Where a dataset lies on this machine."""

    root: Path | None = None
    """Folder of the images."""
    texts: Path | None = None
    """The table of texts."""
    read: dict[str, str] = field(default_factory=dict)
    """SHA-256 by name of the annotation files that `entries` has read: releases of one dataset differ."""

    def note(self, path: Path) -> None:
        """Note an annotation file, under its path below `texts` or `root`."""
        bases = (base for base in (self.texts, self.root) if base is not None and path.is_relative_to(base))
        names = (path.relative_to(base).as_posix() for base in bases)
        self.read[next((name for name in names if name != "."), path.name)] = sha256_file(path)


@dataclass(frozen=True)
class TruthMask:
    """The pixels of one phrase or predicate of the dataset's own parse."""

    kind: str
    """phrase or predicate."""
    index: int
    mask: dict[str, Any]
    """Its columns of the truth table (`artifacts.masks.encode`)."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One sample, its image looked at."""

    image: str
    """POSIX path below the image root; for a reader that draws its images, below the shard's folder."""
    sha256: str
    width: int
    height: int
    text: str
    split: str = ""
    parse: Parse = field(default_factory=Parse)
    tags: tuple[str, ...] = ()
    truth: tuple[TruthMask, ...] = ()
    group: str | None = None
    """What paraphrases of one expression share: the id of the original."""
    png: bytes | None = None
    """The image itself where the reader draws it: written to `image` below the shard's folder."""


class Reader(Protocol):
    def entries(self, recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
        """All rows of the dataset in order, no image opened; AnywordError where the dataset as a whole is wrong."""

    def has_truth(self, entries: list[Entry]) -> bool:
        """Whether any of these rows brings masks to score against."""

    def sample(self, entry: Entry, place: DataLocation) -> Sample:
        """The sample of a row; SampleError where it cannot be had."""


def reader_of(kind: str) -> Reader:
    """The reader of a kind of dataset."""
    return cast(Reader, implementation(model_of("samples", kind)))
