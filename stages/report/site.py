"""The files of the page: one HTML that names styles and scripts, and data that it loads as scripts.

A page opened as a file may load scripts and images beside it, but not fetch them; so data are scripts of one call,
`anyword("NAME", JSON)`. Everything from a dataset is in that JSON, and the scripts put it on the page as text.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "core.js",
    "decode.js",
    "query.js",
    "table.js",
    "marks.js",
    "facets.js",
    "gallery.js",
    "overlay.js",
    "sentence.js",
    "strip.js",
    "sample.js",
    "about.js",
    "main.js",
)
"""In the order in which they are loaded."""
ASSETS = (*SCRIPTS, "page.css")
ROWS_A_FILE = 2000
"""Lines of the gallery in a file."""
DETAILS_A_FILE = 10
"""Samples in a file of details, pictures among them."""
SHEET = 16
"""Thumbnails on a sheet."""
CELL = 128
"""Pixels a side of a thumbnail."""


def shell(title: str) -> bytes:
    """index.html."""
    template = _text("index.html")
    scripts = "\n".join(f'<script src="app/{name}" defer></script>' for name in SCRIPTS)
    return template.replace("{{ title }}", html.escape(title)).replace("{{ scripts }}", scripts).encode()


def assets() -> dict[str, bytes]:
    """The scripts and the style sheet by name."""
    return {name: _text(name).encode() for name in ASSETS}


def data(name: str, value: Any) -> bytes:
    """A file of data: the value is JSON in ASCII, without a tag's bracket."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return f"anyword({json.dumps(name)},{text.replace('<', chr(92) + 'u003c')});\n".encode("ascii")


def data_uri(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def parts(count: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Number, first and last (exclusive) of each file of `size` of `count` samples."""
    for number, first in enumerate(range(0, count, size)):
        yield number, first, min(first + size, count)


def table(rows: Sequence[Mapping[str, Any]], numbers: Iterable[str]) -> dict[str, Any]:
    """Rows as columns; `numbers` (of each row's own mapping) to four places, null where a row has none."""
    texts = [name for name in (rows[0] if rows else {}) if name != "numbers"]
    found: dict[str, Any] = {name: [row[name] for row in rows] for name in texts}
    found["numbers"] = {name: [_number(row["numbers"].get(name)) for row in rows] for name in numbers}
    return found


def _number(value: float | None) -> float | None:
    if value is None or value != value:
        return None
    return int(value) if float(value).is_integer() else round(float(value), 4)


def _text(name: str) -> str:
    return files("stages.report").joinpath("templates", name).read_text(encoding="utf-8")


class Batches:
    """Values one after another into numbered runs of one length."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._number = 0
        self._held: list[Any] = []

    def add(self, value: Any) -> Iterator[tuple[int, list[Any]]]:
        """The run that this value completes, if it does."""
        self._held.append(value)
        return self.rest() if len(self._held) == self.size else iter(())

    def rest(self) -> Iterator[tuple[int, list[Any]]]:
        """What is held, if anything."""
        if self._held:
            held, number = self._held, self._number
            self._held, self._number = [], number + 1
            yield number, held
