"""A plain dataset: a folder of images and a CSV or JSONL table of texts, with or without truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.images import opened, read_file
from stages.artifacts.language import Parse, Phrase, Span, words
from stages.artifacts.masks import columns_of, encode
from stages.samples.images import ImageFacts, look_at
from stages.samples.listing import MAX_ID, Entry, image_problem, listed, quote, text_problem
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.samples.readers.given import segmentation
from stages.samples.table import rows

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

FORMS = {
    "image": "a path below the image folder",
    "text": "a text",
    "split": "a text",
    "group": f"a text of at most {MAX_ID} characters",
    "tags": "a list of texts",
    "phrases": "a list of texts, or of {start, end} with root_start, root_end, adjectives and tags if you like",
    "masks": "a list, one a phrase: a mask image's path below the image folder, COCO's RLE {size, counts}, COCO's list "
    "of polygons [[x, y, x, y, x, y, …], …], or null",
}
"""What each column takes."""


class GivenPhrase(BaseModel):
    """A phrase by its characters in the text, for data whose phrases are not plain strings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    root_start: int | None = None
    root_end: int | None = None
    adjectives: tuple[tuple[int, int], ...] = ()
    tags: tuple[str, ...] = ()
    """Of its truth: the score is told by them."""


class GivenMask(BaseModel):
    """A mask as COCO writes one: [height, width] and its runs, as text or as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: tuple[int, int]
    counts: str | tuple[int, ...]


class Row(BaseModel):
    """One row of the table, its types checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    text: str
    split: str = ""
    group: str = Field("", max_length=MAX_ID)
    tags: tuple[str, ...] = ()
    phrases: tuple[str | GivenPhrase, ...] = ()
    masks: tuple[str | GivenMask | tuple[tuple[float, ...], ...] | None, ...] = ()


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """The rows of the table; AnywordError if it is missing, is no table, or lacks a required column."""
    if place.texts is None or place.root is None:
        raise AnywordError("a folder dataset needs --root and --texts.")
    if not place.texts.is_file():
        raise AnywordError(f"{place.texts}: no such file.", remedy="Set `texts` of the dataset to its CSV or JSONL.")
    if not place.root.is_dir():
        raise AnywordError(f"{place.root}: no such folder.", remedy="Set `root` of the dataset to its images.")
    place.note(place.texts)
    empty = True
    for name, cells in rows(place.texts):
        empty = False
        yield listed(name, partial(_entry, name, cells))
    if empty:
        raise AnywordError(f"{place.texts}: no rows.", remedy="It needs the columns id, image and text.")


def has_truth(entries: list[Entry]) -> bool:
    return any(mask is not None for entry in entries for mask in entry.source.get("masks", ()))


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The sample of a row; SampleError where image, phrases or masks do not fit."""
    if place.root is None:
        raise AnywordError("a folder dataset needs --root.")
    row = Row.model_validate(entry.source)
    facts = look_at(place.root, row.image)
    phrases = resolve_phrases(row.text, row.phrases)
    if row.masks and len(row.masks) != len(phrases):
        raise SampleError(
            f"{len(row.masks)} masks for {len(phrases)} phrases.", remedy="Give one a phrase, null for none."
        )
    truth = tuple(
        replace(_truth(place.root, mask, index, facts), tags=_tags(row.phrases[index]))
        for index, mask in enumerate(row.masks)
        if mask is not None
    )
    return Sample(
        image=row.image,
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        text=row.text,
        split=row.split,
        parse=Parse(phrases=phrases),
        tags=row.tags,
        truth=truth,
        group=row.group.strip() or None,
    )


def resolve_phrases(text: str, given: tuple[str | GivenPhrase, ...]) -> tuple[Phrase, ...]:
    """Given phrases as spans of the text. A string is found where it next occurs as whole words, reading on from
    the phrase before it; its root is its last word. SampleError where a phrase is not in the text.

    >>> [p.span.start for p in resolve_phrases("a cat and a cat", ("a cat", "a cat"))]
    [0, 10]
    """
    phrases = []
    cursor = 0
    for one in given:
        if isinstance(one, str):
            span = _occurrence(text, one, cursor)
            cursor = span.end
            last = [word for word in words(one) if word.of(one)[0].isalnum()][-1:]
            root = Span(start=span.start + last[0].start, end=span.start + last[0].end) if last else span
            phrases.append(Phrase(span=span, root=root))
            continue
        try:
            span = Span(start=one.start, end=one.end)
            inner = one.root_start is not None and one.root_end is not None
            root = Span(start=one.root_start, end=one.root_end) if inner else span  # type: ignore[arg-type]
            adjectives = tuple(Span(start=start, end=end) for start, end in one.adjectives)
            for part in (span, root, *adjectives):
                part.of(text)
        except ValueError:
            raise SampleError(
                f"a phrase ({one.start}:{one.end}) does not fit its text of {len(text)} characters.",
                remedy="Check start, end, root and adjectives.",
            ) from None
        phrases.append(Phrase(span=span, root=root, adjectives=adjectives))
    return tuple(phrases)


def _tags(given: str | GivenPhrase) -> tuple[str, ...]:
    return () if isinstance(given, str) else given.tags


def _occurrence(text: str, phrase: str, cursor: int) -> Span:
    """Where `phrase` occurs as whole words at or after `cursor`."""
    start = text.find(phrase, cursor) if phrase.strip() else -1
    while start >= 0:
        end = start + len(phrase)
        joined = (start > 0 and text[start - 1].isalnum() and phrase[0].isalnum()) or (
            end < len(text) and text[end].isalnum() and phrase[-1].isalnum()
        )
        if not joined:
            return Span(start=start, end=end)
        start = text.find(phrase, start + 1)
    raise SampleError(
        f"phrase {quote(phrase)} does not occur in the text from character {cursor} on.",
        remedy="List phrases in the text's own words and order, or by start and end.",
    )


def _truth(
    root: Path, mask: str | GivenMask | tuple[tuple[float, ...], ...], index: int, facts: ImageFacts
) -> TruthMask:
    if isinstance(mask, str):
        pixels = _mask_pixels(root, mask)
        if pixels.shape != (facts.height, facts.width):
            raise SampleError(
                f"mask '{mask}' has {pixels.shape[1]}x{pixels.shape[0]} pixels, its image {facts.width}x{facts.height}."
            )
        return TruthMask("phrase", index, encode(pixels))
    given = mask.model_dump(mode="json") if isinstance(mask, GivenMask) else [list(one) for one in mask]
    return TruthMask("phrase", index, columns_of(segmentation([given], facts.height, facts.width)))


def _mask_pixels(root: Path, mask: str) -> Bool[np.ndarray, "height width"]:
    """True where a mask image is not zero (any channel; a palette image's own indices)."""
    import numpy as np

    problem = image_problem(mask)
    if problem:
        raise SampleError(problem)
    with opened(read_file(root, mask, "mask"), mask, "mask") as image:
        values = np.asarray(image.convert("RGB") if image.mode in ("RGBA", "LA", "CMYK") else image)
    return np.asarray(values.any(axis=-1) if values.ndim == 3 else values != 0)


def _entry(name: str, cells: dict[str, Any] | SampleError) -> Entry:
    if isinstance(cells, SampleError):
        raise cells
    try:
        row = Row.model_validate({"image": "", "text": "", **cells})
    except ValidationError as error:
        column = str(error.errors()[0]["loc"][0])
        raise SampleError(_wrong(column, cells.get(column))) from None
    source = row.model_dump(mode="json", exclude_defaults=True)
    return Entry(id=name, source=source, problem=image_problem(row.image) or text_problem(row.text))


def _wrong(column: str, value: Any) -> str:
    """What is wrong with a cell, and what belongs there."""
    if column not in FORMS:
        return f"column {quote(column)} is unknown. Columns are id, {', '.join(FORMS)}."
    return f"column '{column}' holds {quote(json.dumps(value))}. It takes {FORMS[column]}."
