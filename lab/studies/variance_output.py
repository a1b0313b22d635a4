"""The variance study's tables, and its plot, as files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.studies.scores import markdown
from lab.studies.variance import BASELINE, CLASSES, Bounds, Spread, Text
from lab.studies.variance_figure import NAMES, scatter
from lab.studies.written import interval, save_figure, write_csv
from stages.artifacts import AnywordError
from stages.artifacts.atomic import write_bytes


def pair(value: str, option: str) -> tuple[float, float]:
    """The mean and the deviation of an option such as "0.7,0.1"; AnywordError where they are no such numbers."""
    try:
        mean, std = (float(part) for part in value.split(","))
    except ValueError:
        mean = std = math.nan
    if not (0 <= mean <= 1 and 0 <= std <= 1):
        raise AnywordError(f"{option} '{value}': not a mean and a deviation.", remedy="Write it as 0.7,0.1.")
    return mean, std


def write(
    folder: Path,
    figures: Mapping[str, Any],
    spreads: Mapping[str, Sequence[Spread]],
    found: Mapping[str, Mapping[str, float]],
    texts: Sequence[Text],
    bounds: Bounds,
) -> str:
    """Write every table and the plot into `folder`; returns the Markdown."""
    classes = {one.group: bounds.of(one.mean, one.std) for one in spreads[BASELINE]}
    header, rows = table(figures)
    write_csv(folder / "variance.csv", *numbers(figures))
    write_csv(
        folder / "expressions.csv",
        ["setting", "group", "image", "texts", "mean", "std", "original", "rewrites", "class"],
        [
            [
                setting,
                one.group,
                one.image,
                one.texts,
                one.mean,
                one.std,
                one.original,
                one.rewrites,
                classes[one.group],
            ]
            for setting, every in spreads.items()
            for one in every
        ],
    )
    write_csv(
        folder / "texts.csv",
        ["setting", "group", "sample_id", "text", "iou"],
        [
            [setting, one.group, one.sample_id, one.text, values[one.sample_id]]
            for setting, values in found.items()
            for one in texts
            if one.sample_id in values
        ],
    )
    save_figure(scatter(spreads, bounds), folder / "scatter")
    text = "\n".join([markdown(header, rows), "", *_lines(figures)])
    write_bytes(folder / "variance.md", (text + "\n").encode())
    return text


def table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """A line a class and setting: how many expressions, their IoU mean and deviation with intervals."""
    rows: list[list[object]] = []
    for name in ("all", *CLASSES):
        for setting in figures["settings"]:
            one = figures["settings"][setting] if name == "all" else figures["classes"][name][setting]
            count = figures["expressions"] if name == "all" else figures["classes"][name]["expressions"]
            own = figures["settings"][setting]["classes"].get(name, count)
            rows.append([name, NAMES[setting], count, interval(one["mean"]), interval(one["std"]), own])
    return ["class", "setting", "expressions", "IoU mean", "IoU deviation", "in it by its own figures"], rows


def numbers(figures: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """The same for machines: every bound of every interval in a column of its own."""
    keys = ("mean", "std", "original", "rewrites")
    header = ["class", "setting", "expressions", *(f"{key}{end}" for key in keys for end in ("", "_low", "_high"))]
    rows: list[list[object]] = []
    for name in ("all", *CLASSES):
        for setting in figures["settings"]:
            one = figures["settings"][setting] if name == "all" else figures["classes"][name][setting]
            count = figures["expressions"] if name == "all" else figures["classes"][name]["expressions"]
            rows.append([name, setting, count, *(one[key][end] for key in keys for end in ("value", "low", "high"))])
    return header, rows


def _lines(figures: Mapping[str, Any]) -> list[str]:
    """What the table does not hold: the bounds, originals against rewrites, paired differences, what failed."""
    easy_mean, easy_std, hard_mean, hard_std = figures["bounds"].values()
    lines = [
        f"{figures['expressions']} expressions, {figures['texts']} texts. Classes by the figures without inversion: "
        f"easy from a mean of {easy_mean:g} and up to a deviation of {easy_std:g}, "
        f"hard under a mean of {hard_mean:g} or over a deviation of {hard_std:g}."
    ]
    for setting, one in figures["settings"].items():
        if one["original"]["value"] is not None:
            said = f"{interval(one['original'])} on the originals, {interval(one['rewrites'])} on their rewrites"
            lines.append(f"{NAMES[setting]}: IoU {said}")
    for name, one in figures["differences"].items():
        after, before = name.split("-")
        said = ", ".join(f"{'IoU mean' if key == 'mean' else 'deviation'} {interval(one[key])}" for key in one)
        lines.append(f"{NAMES[after]}, less {NAMES[before]}: {said}")
    for setting, count in figures["failed"].items():
        if count:
            lines.append(f"{NAMES[setting]}: {count} texts failed on the way and count as 0")
    for name, reason in list(figures.get("rewriter", {}).get("not_rewritten", {}).items())[:10]:
        lines.append(f"not rewritten: {name}: {reason}")
    return lines
