"""A plain dataset: a folder of images and a CSV or JSONL table of texts, with or without truth."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.language import Parse, Phrase, Span, words
from stages.artifacts.masks import columns_of, encode
from stages.samples.images import ImageFacts, look_at
from stages.samples.listing import MAX_ID, Entry, image_problem, quote, text_problem
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.samples.readers.given import coco_rle

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

REQUIRED = ("id", "image", "text")
OPTIONAL = ("split", "group", "tags", "phrases", "masks")
_LISTS = ("tags", "phrases", "masks")
_LONGEST_FIELD = 1 << 24  # characters; Python's csv stops at 131 072


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
    masks: tuple[str | GivenMask | None, ...] = ()


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """The rows of the table; AnywordError if it is missing, is no table, or lacks a required column."""
    if place.texts is None or place.root is None:
        raise AnywordError("a folder dataset needs --root and --texts.")
    if not place.texts.is_file():
        raise AnywordError(f"{place.texts}: no such file.", remedy="Set `texts` of the dataset to its CSV or JSONL.")
    if not place.root.is_dir():
        raise AnywordError(f"{place.root}: no such folder.", remedy="Set `root` of the dataset to its images.")
    place.note(place.texts)
    read = _jsonl if place.texts.suffix.lower() in (".jsonl", ".ndjson") else _csv
    empty = True
    for record, problem in read(place.texts):
        empty = False
        yield _entry(record, problem)
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
        except ValueError as error:
            raise SampleError(f"a phrase does not fit the text: {_first(error)}.", remedy="Check offsets.") from error
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


def _truth(root: Path, mask: str | GivenMask, index: int, facts: ImageFacts) -> TruthMask:
    if isinstance(mask, GivenMask):
        rle = coco_rle(mask.model_dump(mode="json"), facts.height, facts.width)
        return TruthMask("phrase", index, columns_of(rle))
    pixels = _mask_pixels(root, mask)
    if pixels.shape != (facts.height, facts.width):
        raise SampleError(
            f"mask '{mask}' has {pixels.shape[1]}x{pixels.shape[0]} pixels, its image {facts.width}x{facts.height}."
        )
    return TruthMask("phrase", index, encode(pixels))


def _mask_pixels(root: Path, mask: str) -> Bool[np.ndarray, "height width"]:
    """True where a mask image is not zero (any channel; a palette image's own indices)."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    look_at(root, mask)
    try:
        with Image.open(root / mask) as image:
            values = np.asarray(image.convert("RGB") if image.mode in ("RGBA", "LA", "CMYK") else image)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise SampleError(f"mask '{mask}' cannot be decoded ({error}).", remedy="Replace the file.") from error
    return np.asarray(values.any(axis=-1) if values.ndim == 3 else values != 0)


def _entry(record: dict[str, Any], problem: str | None) -> Entry:
    name = record.pop("id", "")
    name = name if isinstance(name, str) else json.dumps(name)
    if problem:
        return Entry(id=name, problem=problem)
    try:
        row = Row.model_validate(record)
    except ValidationError as error:
        return Entry(id=name, problem=f"column {_first(error)}.")
    source = row.model_dump(mode="json", exclude_defaults=True)
    return Entry(id=name, source=source, problem=image_problem(row.image) or text_problem(row.text))


def _csv(path: Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval=None)
            _check_columns(path, list(reader.fieldnames or ()))
            for record in reader:
                yield _csv_row(record)
    except UnicodeDecodeError as error:
        raise AnywordError(f"{path}: not UTF-8 (byte {error.start}).", remedy="Save it as UTF-8.") from None
    except csv.Error as error:
        raise AnywordError(f"{path}: not a CSV table ({error}).", remedy="Check its quotes.") from None


def _csv_row(record: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    name = record.get("id") or ""
    if "" in record:
        return {"id": name}, "the row has more fields than the header. Quote texts that hold commas."
    if any(record.get(column) is None for column in REQUIRED):
        return {"id": name}, "the row has fewer fields than the header. Fill id, image and text."
    cleaned: dict[str, Any] = {}
    for column, value in record.items():
        if column in _LISTS:
            try:
                cleaned[column] = json.loads(value) if value and value.strip() else []
            except json.JSONDecodeError as error:
                return {"id": name}, f"column '{column}' is no JSON list ({error.msg}). Write it as [\"…\", …]."
        elif value is not None:
            cleaned[column] = value
    return cleaned, None


def _jsonl(path: Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    yield {"id": f"line-{number}"}, f"line {number} is no JSON ({error.msg}). Mend it."
                    continue
                if not isinstance(record, dict):
                    yield {"id": f"line-{number}"}, f'line {number} is no JSON object. Write {{"id": …}}.'
                    continue
                yield record, None
    except UnicodeDecodeError as error:
        raise AnywordError(f"{path}: not UTF-8 (byte {error.start}).", remedy="Save it as UTF-8.") from None


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in REQUIRED + OPTIONAL]
    if missing or unknown:
        what = f"lacks the column {', '.join(missing)}" if missing else f"has an unknown column {unknown[0]!r}"
        raise AnywordError(
            f"{path}: the table {what}; its first line says {', '.join(columns) or 'nothing'}.",
            remedy=f"Columns are {', '.join(REQUIRED)} and, if you like, {', '.join(OPTIONAL)}.",
        )


def _first(error: ValueError) -> str:
    """The first complaint of a validation, on one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return str(error)
