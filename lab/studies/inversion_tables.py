"""What the study of inversion shows: tables, shares of a gap, CSV, and a plot of the steps."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.studies.table import interval, markdown
from lab.studies.variants import BASE, Variant

_COSTS = ("steps", "invert", "attend")
_ENDS = ("value", "low", "high")


def part_lines(part: Mapping[str, Any]) -> str:
    """A part of the study: its table, and what shares of the gap were closed."""
    lines = [f"- {line}" for line in gap_lines(part.get("gaps", {}))]
    return "\n".join([table(part["variants"]), *([""] if lines else []), *lines])


def table(found: Mapping[str, Any]) -> str:
    """A part of the study as Markdown: a line a variant."""
    counts = found[BASE.name]
    columns = _subsets(counts)
    head = ["variant"]
    for part in columns:
        head += ["mIoU" if part == "all" else "unseen synonyms" if part == "synonyms" else part, "− base"]
    head += ["steps", "invert s", "attend s"]
    rows: list[list[Any]] = []
    for name in sorted(found, key=lambda name: name != BASE.name):  # a file has them in alphabetical order
        one = found[name]
        row: list[Any] = [name]
        for part in columns:
            row += [interval(one[part]["miou"]), interval(one[part]["difference"], signed=True)]
        row += [_number(one["cost"][key], "{:.1f}" if key == "steps" else "{:.2f}") for key in _COSTS]
        rows.append(row)
    last = ["phrases"]
    for part in columns:
        last += [str(counts[part]["phrases"]), ""]
    return markdown(head, [*rows, [*last, "", "", ""]])


def gap_lines(found: Mapping[str, Any]) -> list[str]:
    """The shares of the gap as sentences."""
    lines = []
    for name, parts in found.items():
        for part, one in parts.items():
            where = "phrases of unseen synonyms" if part == "phrases" else "all phrases of their scenes"
            gap = f"gap {interval(one['gap'], signed=True)}"
            what = interval(one["share"]) if one["told"] else "no share: the gap cannot be told from nothing"
            lines.append(f"share of the gap closed by {name}, {where}: {what} ({gap})")
    return lines


def shown(found: Mapping[str, Any]) -> str:
    """A study of one part, as it stands in docs/results.md."""
    (part,) = found["parts"].values()
    return f"{part_lines(part)}\n\n{found['samples']} {found['split']} scenes."


def as_csv(part: str, found: Mapping[str, Any]) -> str:
    """The same figures, a column a number."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["part", "variant"]
    columns = _subsets(next(iter(found.values())))
    for name in columns:
        head += [f"{name}_phrases", *(f"{name}_{kind}_{end}" for kind in ("miou", "difference") for end in _ENDS)]
    writer.writerow([*head, "steps_an_image", "invert_seconds_an_image", "attend_seconds_an_image"])
    for variant, one in found.items():
        row: list[Any] = [part, variant]
        for name in columns:
            row.append(one[name]["phrases"])
            row += [(one[name][kind] or {}).get(end) for kind in ("miou", "difference") for end in _ENDS]
        writer.writerow([*row, *(one["cost"][key] for key in _COSTS)])
    return file.getvalue()


def plot(variants: Sequence[Variant], found: Mapping[str, Any], base_steps: int, path: Path) -> None:
    """mIoU over steps, a curve a rate, with its interval: on all phrases and on those of unseen synonyms."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    curves: dict[str, list[tuple[int, str]]] = {"base": [(base_steps, BASE.name)]}
    for one in variants:
        if not one.is_base:
            curves.setdefault(one.series, []).append((one.inverter["steps"], one.name))
    start = [point for point in curves["base"] if point[0] == 0]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharex=True)
    for axis, part in zip(axes, ("all", "synonyms"), strict=True):
        for label, points in curves.items():
            line = sorted(points if label == "base" else [*start, *points])
            values = [found[name][part]["miou"] for _, name in line]
            if any(value["value"] is None for value in values):
                continue
            at = [n for n, _ in line]
            (drawn,) = axis.plot(at, [value["value"] for value in values], marker="o", label=label)
            low, high = ([value[end] for value in values] for end in ("low", "high"))
            axis.fill_between(at, low, high, color=drawn.get_color(), alpha=0.15)
        axis.set_title("all phrases" if part == "all" else "phrases of unseen synonyms")
        axis.set_xlabel("steps of inversion")
    axes[0].set_ylabel("mIoU, 95 % interval")
    axes[0].legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _subsets(one: Mapping[str, Any]) -> list[str]:
    """The sets of phrases that a variant's figures are of."""
    return [key for key in one if key != "cost"]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
