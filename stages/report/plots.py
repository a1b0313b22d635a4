"""Plots of an experiment for Snakemake's own report: scores, seconds by stage, failures."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts.atomic import aside
from stages.artifacts.failures import FailureGroup
from stages.artifacts.results import LOGS, log_of, seconds_of
from stages.artifacts.shard_reader import ShardReader
from stages.artifacts.shards import Shard
from stages.report.contents import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR, BAD = "#2e86de", "#c0392b"
LONGEST = 90
"""Characters of a reason."""


def write(
    folder: Path,
    shards: Sequence[Shard],
    scored: Scored,
    score: ShardReader | None,
    figures: Mapping[str, Any] | None,
    failures: Sequence[FailureGroup],
    results: Path,
) -> None:
    """`scores.svg`, `speed.svg` and `failures.svg` in `folder`; seconds are those of the jobs' benchmarks, which lie
    beside `results`."""
    _scores(folder / "scores.svg", figures, scored)
    _speed(folder / "speed.svg", seconds_by_stage(shards, score, results))
    _failures(folder / "failures.svg", failures)


def seconds_by_stage(shards: Sequence[Shard], score: ShardReader | None, results: Path) -> dict[str, float]:
    """Seconds a sample of each stage whose jobs left a benchmark: the median over shards, in the stages' order."""
    found: dict[str, list[float]] = {}
    made = [one for shard in shards for one in shard.inputs.values()]
    for one in [*made, *([score] if score is not None else [])]:
        path = log_of(one.path / "manifest.json", ".tsv", results=results, logs=results.with_name(LOGS.name))
        taken = seconds_of(path)
        if taken is not None:
            found.setdefault(one.stage, []).append(taken / max(1, len(one.ids)))
    return {stage: statistics.median(values) for stage, values in found.items()}


def _scores(path: Path, figures: Mapping[str, Any] | None, scored: Scored) -> None:
    if figures is None:
        _nothing(path, "Scores", "The dataset has no truth to score against.")
        return
    lines = [one for one in figures["lines"] if one["value"] != "undefined"]
    ious = [float(one["iou"]) for own in scored.values() for (kind, _), one in own.items() if kind == "phrase"]
    with _axes(path, 3.2 + 0.28 * len(lines), rows=2) as (top, bottom):
        top.hist(ious, bins=20, range=(0, 1), color=COLOUR)
        top.set(title=f"IoU of {len(ious)} phrases with their truth", xlim=(0, 1), ylabel="phrases")
        for place, one in enumerate(reversed(lines)):
            if one["interval"]:
                bottom.plot([float(end) for end in one["interval"].split(" to ")], [place, place], color=COLOUR)
            bottom.plot(float(one["value"]), place, "o", color=COLOUR)
        bottom.set_title("Scores with their 95 % intervals")
        bottom.set_yticks(range(len(lines)), [one["name"] for one in reversed(lines)], parse_math=False)


def _speed(path: Path, seconds: Mapping[str, float]) -> None:
    if not seconds:
        _nothing(path, "Seconds a sample", "No job left a benchmark here.")
        return
    _bars(path, "Seconds a sample by stage, the median over shards", seconds, COLOUR, "{:.3g}")


def _failures(path: Path, groups: Sequence[FailureGroup]) -> None:
    if not groups:
        _nothing(path, "Failed samples", "No sample failed.")
        return
    named = {f"{one.stage}: {one.kind}"[:LONGEST]: float(len(one.samples)) for one in groups[:20]}
    _bars(path, f"Failed samples, {sum(len(one.samples) for one in groups)}, by stage and reason", named, BAD, "{:.0f}")


def _bars(path: Path, title: str, values: Mapping[str, float], colour: str, form: str) -> None:
    with _axes(path, 1.2 + 0.35 * len(values)) as (axes,):
        bars = axes.barh(range(len(values)), list(values.values()), color=colour)
        axes.bar_label(bars, [form.format(value) for value in values.values()], padding=3)
        axes.set_yticks(range(len(values)), list(values), parse_math=False)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_title(title)


def _nothing(path: Path, title: str, text: str) -> None:
    with _axes(path, 1.2) as (axes,):
        axes.set_axis_off()
        axes.set_title(title)
        axes.text(0.5, 0.5, text, ha="center", va="center")


@contextmanager
def _axes(path: Path, height: float, rows: int = 1) -> Iterator[Sequence[Axes]]:
    """Axes below one another, written to `path` as SVG; words stay words in it."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "anyword", "font.size": 9}):
        figure = Figure(figsize=(8, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield list(figure.subplots(rows, 1, squeeze=False)[:, 0])
        with aside(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
