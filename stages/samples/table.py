"""The table of a folder dataset, CSV or JSONL, row by row: each is a record of its cells, or says why it is none.

Empty cells, and the nulls that tables write for them, are left out of a record; what is missing then has its default.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.rows import is_null, lines
from stages.samples.listing import quote

REQUIRED = ("id", "image", "text")
OPTIONAL = ("split", "group", "tags", "phrases", "masks")
LISTS = ("tags", "phrases", "masks")
_LONGEST_FIELD = 1 << 24  # characters; Python's csv stops at 131 072

_ANOTHER_ROW = re.compile(r"\n[^,\n]*,[^,\n]*\.(?:jpe?g|png|tiff?|webp|bmp|gif),?", re.IGNORECASE)
"""What a text holds that has swallowed a row: behind a line break, a cell and an image's name."""

Read = tuple[str, dict[str, Any] | SampleError]
"""A row's id ("" where it has none), and its other cells or what is wrong with them."""


def rows(path: Path) -> Iterator[Read]:
    """Every row of the table; AnywordError where it is no table, or where nobody can tell its rows apart."""
    yield from _jsonl(path) if path.suffix.lower() in (".jsonl", ".ndjson") else _csv(path)


def _record(cells: dict[str, Any]) -> Read:
    """A row's id as text, and its other cells, the empty ones left out."""
    cells = {column: value for column, value in cells.items() if not is_null(value)}
    name = cells.pop("id", "")
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        return "", SampleError("the id is no text.", remedy="Give every row an id, a text or a number.")
    return str(name), cells


def _jsonl(path: Path) -> Iterator[Read]:
    for number, value in lines(path):
        if isinstance(value, SampleError):
            yield f"line-{number}", value
        elif not isinstance(value, dict):
            yield f"line-{number}", SampleError(f"line {number} is no JSON object.", remedy='Write {"id": …}.')
        else:
            yield _record(value)


def _csv(path: Path) -> Iterator[Read]:
    csv.field_size_limit(_LONGEST_FIELD)
    # Bytes that are no UTF-8 become halves of characters, which fail their own row.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        raw: list[str] = []
        reader = csv.reader(_kept(file, raw), strict=True)
        columns: list[str] | None = None
        while True:
            raw.clear()
            begin = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error:
                if columns is not None and reader.line_num == begin:
                    yield f"line-{begin}", SampleError(f"line {begin}: its quotes do not pair.", remedy="Mend them.")
                    continue
                raise AnywordError(
                    f"{path}: the quotes of line {begin} do not pair: no one can tell where its row ends.",
                    remedy='Close every quote; a quote inside a text is written twice ("").',
                ) from None
            if columns is None:
                columns = fields
                _check_columns(path, columns)
            elif fields:
                yield _csv_row(columns, fields, "".join(raw))
    if columns is None:
        _check_columns(path, [])


def _kept(file: Iterable[str], raw: list[str]) -> Iterator[str]:
    for line in file:
        raw.append(line)
        yield line


def _csv_row(columns: list[str], fields: list[str], raw: str) -> Read:
    name = dict(zip(columns, fields, strict=False)).get("id", "")
    if len(fields) > len(columns):
        return name, SampleError("the row has more fields than the header.", remedy="Quote texts that hold commas.")
    if not set(columns[len(fields) :]) <= set(OPTIONAL):
        return name, SampleError("the row has fewer fields than the header.", remedy="Fill id, image and text.")
    cells: dict[str, Any] = {}
    for column, value in zip(columns, fields, strict=False):
        if '"' in value and '"{}"'.format(value.replace('"', '""')) not in raw:
            return name, SampleError(
                f"column '{column}' has a quote in an unquoted cell {quote(value)}.",
                remedy='Put the cell in quotes, and write its own twice ("").',
            )
        if _ANOTHER_ROW.search(value):
            return name, SampleError(
                f"column '{column}' runs over lines and holds what looks like another row: {quote(value)}.",
                remedy="Close every quote.",
            )
        if column in LISTS:
            try:
                cells[column] = json.loads(value) if value.strip() else None
            except (ValueError, RecursionError):
                return name, SampleError(f"column '{column}' is no JSON list.", remedy='Write it as ["…", …].')
        elif value:
            cells[column] = value
    return _record({**cells, "id": name})


_MARKS = {"\t": "tabs", ";": "semicolons", "|": "bars"}


def _check_columns(path: Path, columns: list[str]) -> None:
    other = next((mark for mark in _MARKS if len(columns) == 1 and mark in columns[0]), None)
    if other is not None:
        raise AnywordError(
            f"{path}: columns of its first line are parted by {_MARKS[other]}.", remedy="Part columns by commas."
        )
    if not all(name.isprintable() and "�" not in name for name in columns):
        raise AnywordError(f"{path}: its first line is not UTF-8.", remedy="Save it as UTF-8.")
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in REQUIRED + OPTIONAL]
    twice = [column for column in columns if columns.count(column) > 1]
    if missing or unknown or twice:
        what = f"has the column {twice[0]!r} twice" if twice else f"has an unknown column {(unknown or ['?'])[0]!r}"
        what = f"lacks the column {', '.join(missing)}" if missing else what
        raise AnywordError(
            f"{path}: the table {what}; its first line says {', '.join(columns) or 'nothing'}.",
            remedy=f"Columns are {', '.join(REQUIRED)} and, if you like, {', '.join(OPTIONAL)}.",
        )
