"""Tables and plots of a study as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.atomic import aside, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in UTF-8; fractions to six places, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{one:.6f}" if isinstance(one, float) else one for one in row])
    write_bytes(path, text.getvalue().encode())


def save_figure(figure: Figure, path: Path) -> None:
    """A figure as PNG and SVG, by the path without its ending; equal figures give equal bytes."""
    import matplotlib

    for suffix, metadata in (("png", None), ("svg", {"Date": None})):
        with matplotlib.rc_context({"svg.hashsalt": path.name}), aside(path.with_suffix(f".{suffix}")) as partial:
            figure.savefig(partial, format=suffix, dpi=160, metadata=metadata)


def interval(figure: dict[str, float | None] | None) -> str:
    """A figure with its 95 % interval as a table's cell; nothing where it is undefined."""
    if figure is None or figure["value"] is None:
        return ""
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
