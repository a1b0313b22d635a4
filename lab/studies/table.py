"""What a study shows: rows of figures with intervals, as CSV, Markdown, JSON and a plot, all of one name.

matplotlib is imported when a plot is drawn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts.atomic import aside, write_bytes, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


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
        dots(table, drawn, title, folder / name)
    return text


def keep(value: Any, *paths: Path | None) -> None:
    """The figures as JSON in every path that is named."""
    for path in paths:
        if path is not None:
            write_json(path, value)


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


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; fractions to three places."""

    def cell(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)

    lines = [list(header), ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in UTF-8; fractions to six places, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{one:.6f}" if isinstance(one, float) else one for one in row])
    write_bytes(path, text.getvalue().encode())


def save_figure(figure: Drawing, path: Path) -> None:
    """A figure as PNG and SVG, by the path without its ending; equal figures give equal bytes."""
    import matplotlib as mpl

    for suffix, metadata in (("png", None), ("svg", {"Date": None})):
        with mpl.rc_context({"svg.hashsalt": path.name}), aside(path.with_suffix(f".{suffix}")) as partial:
            figure.savefig(partial, format=suffix, dpi=150, metadata=metadata)


def interval(figure: Mapping[str, float | None] | None, *, signed: bool = False) -> str:
    """A figure with its 95 % interval as a table's cell; nothing where it is undefined."""
    if figure is None or figure["value"] is None:
        return ""
    form = "{:+.3f}" if signed else "{:.3f}"
    value = form.format(figure["value"])
    if figure["low"] is None:
        return value
    return f"{value} ({form.format(figure['low'])} to {form.format(figure['high'])})"


COLOURS = ("#2e86de", "#ee5253", "#10ac84", "#ff9f43", "#9b59d4", "#00bcd4", "#f062ad", "#8ba81e")


def dots(table: Table, columns: Sequence[str], title: str, path: Path) -> None:
    """A panel a column, a line a row of the table, named by its first label: figures as dots, intervals as bars."""
    figure_of, canvas_of = _matplotlib()
    rows = [row for row in table.rows if row.figures]
    names = [row.labels[0] for row in rows]
    figure = figure_of(figsize=(1.8 + 2.4 * len(columns), 1.4 + 0.3 * len(rows)), layout="constrained")
    canvas_of(figure)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for number, (axes, column) in enumerate(zip(panels, columns, strict=True)):
        for height, row in enumerate(rows):
            (found,) = numbers(row, [column])
            if found is not None:
                value, low, high = found
                axes.plot([low, high], [height, height], color=COLOURS[number % len(COLOURS)], linewidth=2)
                axes.plot([value], [height], "o", color=COLOURS[number % len(COLOURS)], markersize=5)
        axes.set_title(column, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), names, fontsize=9)
    panels[0].invert_yaxis()
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def stacks(names: Sequence[str], parts: Mapping[str, Sequence[float]], title: str, unit: str, path: Path) -> None:
    """A bar a name, made of `parts` one after the other, in `unit`."""
    figure_of, canvas_of = _matplotlib()
    figure = figure_of(figsize=(8, 1.4 + 0.36 * len(names)), layout="constrained")
    canvas_of(figure)
    axes = figure.subplots()
    left = [0.0] * len(names)
    for number, (part, values) in enumerate(parts.items()):
        axes.barh(range(len(names)), values, left=left, label=part, color=COLOURS[number % len(COLOURS)])
        left = [one + value for one, value in zip(left, values, strict=True)]
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axes.set_title(title, fontsize=11)
    save_figure(figure, path)


def _matplotlib() -> tuple[Any, Any]:
    """Figure and canvas without pyplot: no display is looked for, no figure is kept."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return Figure, FigureCanvasAgg
