"""Plots of studies. matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.studies.comparison import Table, numbers
from stages.artifacts.atomic import write_bytes

COLOURS = ("#2e86de", "#ee5253", "#10ac84", "#ff9f43", "#9b59d4", "#00bcd4", "#f062ad", "#8ba81e")


def dots(table: Table, columns: Sequence[str], title: str, paths: Sequence[Path]) -> None:
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
    _write(figure, paths)


def stacks(names: Sequence[str], parts: Mapping[str, Sequence[float]], title: str, unit: str, paths: Sequence[Path]):
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
    _write(figure, paths)


def _matplotlib() -> tuple[Any, Any]:
    """Figure and canvas without pyplot: no display is looked for, no figure is kept."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "anyword"  # the same figure is the same bytes
    return Figure, FigureCanvasAgg


def _write(figure: Any, paths: Sequence[Path]) -> None:
    for path in paths:
        data = io.BytesIO()
        suffix = path.suffix.removeprefix(".")
        figure.savefig(data, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
        write_bytes(path, data.getvalue())
