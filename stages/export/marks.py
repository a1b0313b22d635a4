"""Marks that people gave on the page, read back."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError

MARKS = ("good", "bad", "")


@dataclass(frozen=True)
class Mark:
    mark: str
    """good, bad, or empty: a note alone."""
    note: str


def read_marks(path: Path) -> dict[str, Mark]:
    """The marks in a CSV or JSON file that the page saved, by sample.

    Raises:
        AnywordError: the file is missing or no such file; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows: Any = json.loads(text) if path.suffix.lower() == ".json" else list(csv.DictReader(text.splitlines(True)))
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None
    except (json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise AnywordError(f"{path}: no file of marks ({error}).", remedy="Save it on the page again.") from None
    found: dict[str, Mark] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], start=1):
        values = row if isinstance(row, dict) else {}
        sample, mark, note = (values.get(name, "") for name in ("sample_id", "mark", "note"))
        if not isinstance(sample, str) or not sample or mark not in MARKS:
            raise AnywordError(
                f"{path}: mark {number} is {row!s:.80}; it needs a sample_id, and a mark that is good, bad or empty.",
                remedy="Save it on the page again.",
            )
        found[sample] = Mark(mark, str(note or ""))
    return found
