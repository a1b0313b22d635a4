"""A picture for a paper or a README: some samples in rows; image, words' maps, masks in columns.

draw_figure(read_panels(root, "demo", parser="spacy", inverter="…", attender="…", numbers=[1, 4]), Path("demo.png"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.atomic import aside
from stages.artifacts.errors import AnywordError
from stages.artifacts.images import read_image
from stages.artifacts.language import Parse, Span, words
from stages.artifacts.maps import read_maps
from stages.artifacts.masks import decode
from stages.artifacts.results import Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.tables import parse_of
from stages.report.draw import COLOURS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, UInt8


@dataclass(frozen=True)
class Panel:
    """What one row shows."""

    text: str
    image: UInt8[np.ndarray, "height width 3"]
    maps: list[tuple[str, Float32[np.ndarray, "rows columns"]]]
    """Words and their maps, in the order of the sentence."""
    masks: list[tuple[str, Bool[np.ndarray, "height width"]]]
    """Phrases and their masks."""


def read_panels(
    root: Path,
    experiment: str,
    *,
    parser: str,
    inverter: str,
    attender: str,
    numbers: Sequence[int],
    images: Path | None = None,
) -> list[Panel]:
    """The panels of samples by their running number on the report's page (from 1), over all shards.

    Raises:
        AnywordError: a number beyond the samples, or one that failed.
    """
    wanted = dict.fromkeys(numbers)
    panels: dict[int, Panel] = {}
    before = 0
    results = Results(root)
    for shard in results.shards():
        samples = ShardReader(results.samples(shard), "samples")
        here = [number - 1 - before for number in wanted if before < number <= before + len(samples.ids)]
        if here:
            inputs = {
                "samples": samples,
                "phrases": ShardReader(results.phrases(parser, shard), "parse"),
                "maps": ShardReader(results.maps(inverter, attender, shard), "attend"),
                "masks": ShardReader(results.masks(experiment, shard), "segment"),
            }
            check_lineage(inputs)
            panels |= {before + at + 1: _panel(inputs, at, before + at + 1, images or samples.path) for at in here}
        before += len(samples.ids)
    beyond = [number for number in wanted if number not in panels]
    if beyond:
        raise AnywordError(f"sample number {beyond[0]} is not among the {before} samples of {root}.")
    return [panels[number] for number in wanted]


def draw_figure(
    panels: Sequence[Panel], output: Path, *, columns: int = 5, width: float = 12.0, dpi: int = 150
) -> None:
    """Write the panels as one image file (format by the suffix: PNG, SVG, PDF); `columns` maps a row at most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if not panels:
        raise AnywordError("no sample to draw.")
    count = 2 + max(min(columns, len(panel.maps)) for panel in panels)
    side = width / count
    # Inches above a row for the sentence, and below it for a line a mask.
    lines = max(_wrapped(panel.text, 30).count("\n") + 1 for panel in panels)
    row_height = side + 0.15 * lines + 0.17 * max(len(panel.masks) for panel in panels) + 0.3
    figure = Figure(figsize=(width, len(panels) * row_height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), count, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for row, panel in zip(grid, panels, strict=True):
        row[0].imshow(panel.image)
        row[0].set_title(_wrapped(panel.text, 30), fontsize=8, loc="left", parse_math=False)
        for axis, (word, one) in zip(row[1:-1], panel.maps, strict=False):
            height, width_px = panel.image.shape[:2]
            level = (one - one.min()) / max(float(np.ptp(one)), 1e-12)
            axis.imshow(panel.image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            axis.imshow(
                level,
                cmap="inferno",
                alpha=0.2 + 0.65 * level,
                interpolation="bicubic",
                extent=(0, width_px, height, 0),
            )
            axis.set_title(word, fontsize=9, fontstyle="italic", parse_math=False)
        row[-1].imshow(_masked(panel))
        handles = [Patch(color=_unit(i), label=text) for i, (text, _) in enumerate(panel.masks)]
        if handles:
            legend = row[-1].legend(
                handles=handles, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.01), frameon=False, ncols=1
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
        row[-1].set_title("masks", fontsize=9)
    with aside(output) as partial:
        figure.savefig(partial, dpi=dpi, format=output.suffix.lstrip(".") or "png", facecolor="white")


def _panel(inputs: dict[str, ShardReader], position: int, number: int, images: Path) -> Panel:
    name = inputs["samples"].ids[position]
    for folder in inputs.values():
        if name in folder.failures:
            raise AnywordError(f"sample number {number} failed: {folder.failures[name]}", remedy="Choose another.")
    row = _row(inputs["samples"].table("samples"), name)
    parse = parse_of(_row(inputs["phrases"].table("phrases"), name))
    maps = read_maps(inputs["maps"].file("maps.zarr")).of_sample(position)
    masks = [one for one in inputs["masks"].table("masks") if one["sample_id"] == name and one["kind"] == "phrase"]
    text = row["text"]
    return Panel(
        text=text,
        image=read_image(images, row["image"], row["image_sha256"]),
        maps=[(span.of(text), maps[span.start, span.end]) for span in _telling(text, parse) if _at(span) in maps],
        masks=[(text[one["start"] : one["end"]], decode(one)) for one in masks],
    )


def _telling(text: str, parse: Parse) -> list[Span]:
    """The words that phrases are made of: adjectives and roots."""
    spans = [span for phrase in parse.phrases for span in (*phrase.adjectives, phrase.root)]
    return [word for word in words(text) if any(span.covers(word) for span in spans)]


def _at(span: Span) -> tuple[int, int]:
    return span.start, span.end


def _row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["sample_id"] == name)


def _masked(panel: Panel) -> UInt8[np.ndarray, "height width 3"]:
    """The image in grey with each phrase's mask in its colour; the smaller masks lie on top."""
    shown = np.repeat(panel.image.mean(axis=2, keepdims=True), 3, axis=2) * 0.55 + 70
    order = sorted(range(len(panel.masks)), key=lambda i: -int(panel.masks[i][1].sum()))
    for i in order:
        mask = panel.masks[i][1]
        shown[mask] = 0.25 * shown[mask] + 0.75 * np.asarray(COLOURS[i % len(COLOURS)])
    return shown.clip(0, 255).astype(np.uint8)


def _unit(number: int) -> tuple[float, float, float]:
    red, green, blue = COLOURS[number % len(COLOURS)]
    return red / 255, green / 255, blue / 255


def _wrapped(text: str, width: int) -> str:
    import textwrap

    lines = textwrap.wrap(text, width, max_lines=3, placeholder=" …")
    return "\n".join(lines)
