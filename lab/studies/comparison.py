"""What a study shows: rows of figures with intervals, as CSV, Markdown, JSON and a plot, all of one name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.studies.scores import markdown
from stages.artifacts.atomic import write_bytes, write_json

Figure = Mapping[str, float | None] | float | int | None
"""A number, or one with its 95 % interval: {value, low, high}."""


@dataclass(frozen=True)
class Row:
    """One thing that was compared. A row without figures was not run, and its note says why."""

    labels: Sequence[str]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of one shape: `labels` and `columns` name the cells in their order."""

    labels: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Row]

    def csv(self) -> str:
        """A line a row; a figure that has an interval anywhere takes three columns."""
        spread = [name for name in self.columns if any(_low(row.figures.get(name)) is not None for row in self.rows)]
        header = [*self.labels]
        for name in self.columns:
            header += [name, f"{name}_low", f"{name}_high"] if name in spread else [name]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*header, "note"])
        for row in self.rows:
            cells: list[str] = list(row.labels)
            for name in self.columns:
                found = row.figures.get(name)
                parts = [_value(found), _low(found), _high(found)] if name in spread else [_value(found)]
                cells += ["" if one is None else f"{one:.6f}" if isinstance(one, float) else str(one) for one in parts]
            writer.writerow([*cells, row.note])
        return text.getvalue()

    def markdown(self) -> str:
        """The same for the eye, to three places, intervals in brackets; rows that were not run are told below."""
        run = [row for row in self.rows if row.figures]
        noted = any(row.note for row in run)
        head = [*self.labels, *self.columns, *(["note"] if noted else [])]
        rows = [
            [*row.labels, *(_cell(row.figures.get(one)) for one in self.columns), *([row.note] if noted else [])]
            for row in run
        ]
        lines = [markdown(head, rows)] if rows else []
        rest = [row for row in self.rows if not row.figures]
        lines += [""] if rows and rest else []
        lines += [f"not run: {', '.join(one for one in row.labels if one)}: {row.note}" for row in rest]
        return "\n".join(lines)

    def json(self) -> list[dict[str, Any]]:
        return [
            {
                **dict(zip(self.labels, row.labels, strict=True)),
                **{name: row.figures.get(name) for name in self.columns if row.figures},
                **({"note": row.note} if row.figures and row.note else {}),
                **({} if row.figures else {"not_run": row.note}),
            }
            for row in self.rows
        ]


def save(folder: Path, name: str, table: Table, *, drawn: Sequence[str] = (), title: str = "") -> str:
    """Write `name`.csv, .md and, of the columns `drawn`, .png and .svg into `folder`; the Markdown."""
    text = table.markdown()
    write_bytes(folder / f"{name}.csv", table.csv().encode())
    write_bytes(folder / f"{name}.md", (text + "\n").encode())
    if drawn and any(row.figures for row in table.rows):
        from lab.studies.plots import dots

        dots(table, drawn, title, [folder / f"{name}.{suffix}" for suffix in ("png", "svg")])
    return text


def keep(value: Any, *paths: Path | None) -> None:
    """The figures as JSON in every path that is named."""
    for path in paths:
        if path is not None:
            write_json(path, value)


def score_of(results: Path, dataset: str, experiment: str) -> dict[str, Any]:
    """score.json of an experiment below `results`, checked against its manifest."""
    from stages.artifacts.results import Results
    from stages.artifacts.shard_reader import ShardReader

    folder = ShardReader(Results(results / dataset).score(experiment), "score")
    found: dict[str, Any] = json.loads(folder.file("score.json").read_bytes())
    return found


def numbers(row: Row, columns: Sequence[str]) -> Iterator[tuple[float, float, float] | None]:
    """Value, low and high of each column's figure; the value itself where it has no interval, None where undefined."""
    for name in columns:
        value, low, high = (part(row.figures.get(name)) for part in (_value, _low, _high))
        found = None if value is None else (value, value if low is None else low, value if high is None else high)
        yield found


def _value(figure: Figure) -> float | int | None:
    return figure["value"] if isinstance(figure, Mapping) else figure


def _low(figure: Figure) -> float | None:
    return figure["low"] if isinstance(figure, Mapping) else None


def _high(figure: Figure) -> float | None:
    return figure["high"] if isinstance(figure, Mapping) else None


def _cell(figure: Figure) -> float | int | str | None:
    low, high = _low(figure), _high(figure)
    if low is None or high is None:
        return _value(figure)
    return f"{_value(figure):.3f} ({low:.3f} to {high:.3f})"
