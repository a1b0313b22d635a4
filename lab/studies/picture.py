"""README's picture (docs/demo.png): scenes in rows; image, words' maps, and the masks of three settings in columns.

`make picture` runs the scenes through the workflow and draws what came of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lab.studies import ladder
from lab.studies.options import STUDIES, Config, Cores
from lab.studies.workflow import run_experiments
from stages import REPOSITORY
from stages.artifacts.atomic import aside
from stages.artifacts.errors import AnywordError
from stages.artifacts.images import read_image
from stages.artifacts.language import Parse, Span, words
from stages.artifacts.maps import read_maps
from stages.artifacts.masks import decode
from stages.artifacts.results import RESULTS, Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.tables import parse_of
from stages.report.draw import COLOURS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, UInt8

SCENES = {161: "", 10: "", 52: "A failure: "}
"""Numbers of test scenes, and what is said before their sentence. The first has a word that no model saw, found by
inversion; in the second grammar finds another, the hoop, which inversion had missed; in the third it loses what
inversion found.
"""
RUNGS = ("sam", "inversion", "full")


@dataclass(frozen=True)
class Panel:
    """What one row shows."""

    text: str
    image: UInt8[np.ndarray, "height width 3"]
    maps: list[tuple[str, Float32[np.ndarray, "rows columns"]]]
    """Words and their maps, in the order of the sentence."""
    masks: list[tuple[str, list[tuple[str, Bool[np.ndarray, "height width"]]]]]
    """Of each setting, by its name, the phrases and their masks."""


def read_panel(
    results: Results,
    sample_id: str,
    settings: Sequence[tuple[str, str]],
    *,
    parser: str,
    inverter: str,
    attender: str,
    said: str = "",
) -> Panel:
    """One sample of a dataset's results: maps of `inverter` and `attender`, masks of experiments.

    settings: name and experiment of each column of masks, the last of them made of these maps. said: stands before
    the sentence.

    Raises:
        AnywordError: there is no such sample, or it failed on the way.
    """
    for shard in results.shards():
        samples = ShardReader(results.samples(shard), "samples")
        if sample_id not in samples.ids:
            continue
        inputs = {
            "samples": samples,
            "phrases": ShardReader(results.phrases(parser, shard), "parse"),
            "maps": ShardReader(results.maps(inverter, attender, shard), "attend"),
        }
        masks = {name: ShardReader(results.masks(experiment, shard), "segment") for name, experiment in settings}
        check_lineage(inputs | {"masks": masks[settings[-1][0]]})
        for folder in (*inputs.values(), *masks.values()):
            if sample_id in folder.failures:
                raise AnywordError(f"sample '{sample_id}' failed: {folder.failures[sample_id]}")
        row = _row(samples.table("samples"), sample_id)
        text, parse = row["text"], parse_of(_row(inputs["phrases"].table("phrases"), sample_id))
        maps = read_maps(inputs["maps"].file("maps.zarr")).of_sample(samples.ids.index(sample_id))
        return Panel(
            text=said + text,
            image=read_image(samples.path, row["image"], row["image_sha256"]),
            maps=[
                (word.of(text), maps[at]) for word in _telling(text, parse) if (at := (word.start, word.end)) in maps
            ],
            masks=[(name, _masks(folder, sample_id, text)) for name, folder in masks.items()],
        )
    raise AnywordError(f"{results.folder}: has no sample '{sample_id}'.")


def draw_picture(panels: Sequence[Panel], output: Path, *, width: float = 13.0, dpi: int = 100) -> None:
    """Write the panels as one image file (format by the suffix: PNG, SVG, PDF).

    Every row shows as many words as the row with fewest, so that no cell is empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if not panels:
        raise AnywordError("no sample to draw.")
    count = min(len(panel.maps) for panel in panels)
    columns = 1 + count + max(len(panel.masks) for panel in panels)
    side = width / columns
    figure = Figure(figsize=(width, len(panels) * (side + 0.62)), layout="constrained")
    FigureCanvasAgg(figure)
    for part, panel in zip(figure.subfigures(len(panels), 1, squeeze=False).flat, panels, strict=True):
        part.suptitle(textwrap.shorten(panel.text, 130), fontsize=10, x=0.01, ha="left", parse_math=False)
        axes = part.subplots(1, columns)
        for axis in axes:
            axis.set_axis_off()
        axes[0].imshow(panel.image)
        axes[0].set_title("image", fontsize=9)
        height, width_px = panel.image.shape[:2]
        for axis, (word, one) in zip(axes[1:], panel.maps[:count], strict=False):
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
        for axis, (name, masks) in zip(axes[1 + count :], panel.masks, strict=False):
            axis.imshow(_masked(panel.image, [mask for _, mask in masks]))
            axis.set_title(name, fontsize=9)
        handles = [Patch(color=_unit(i), label=phrase) for i, (phrase, _) in enumerate(panel.masks[-1][1])]
        legend = part.legend(handles=handles, fontsize=8, loc="outside lower right", frameon=False, ncols=len(handles))
        for entry in legend.get_texts():
            entry.set_parse_math(False)
    with aside(output) as partial:
        figure.savefig(partial, dpi=dpi, format=output.suffix.lstrip(".") or "png", facecolor="white")


def picture(
    out: Annotated[Path, typer.Option(help="PNG, SVG or PDF to write.")] = REPOSITORY / "docs" / "demo.png",
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """Draw README's picture: three test scenes, their words' maps, and masks with SAM, inversion and grammar."""
    from stages.config import complete_config, merged

    base = complete_config(config)
    choice = ladder.Choice(parser="spacy")
    added: dict[str, Any] = {}
    for number in SCENES:
        scene: dict[str, Any] = {
            "dataset": f"picture-{number}",
            "split": "test",
            "first": number,
            "samples": 1,
            "shard_size": 1,
        }
        added = merged(added, ladder.configuration(base, choice, **scene))
    wanted = {ladder.experiment(f"picture-{number}", rung) for number in SCENES for rung in RUNGS}
    added["experiments"] = {name: one for name, one in added["experiments"].items() if name in wanted}
    added["targets"] = list(added["experiments"])
    run_experiments(base, added, folder=STUDIES / "picture", cores=cores)
    panels = [
        read_panel(
            Results(RESULTS / f"picture-{number}"),
            f"test-{number:06d}",
            [(ladder.NAMES[rung], ladder.experiment(f"picture-{number}", rung)) for rung in RUNGS],
            parser=choice.parser,
            inverter=choice.inverter,
            attender=choice.attender,
            said=said,
        )
        for number, said in SCENES.items()
    ]
    draw_picture(panels, out)
    typer.echo(f"wrote {out}")


def _masks(folder: ShardReader, sample_id: str, text: str) -> list[tuple[str, Bool[np.ndarray, "height width"]]]:
    rows = (one for one in folder.table("masks") if one["sample_id"] == sample_id and one["kind"] == "phrase")
    return [(text[one["start"] : one["end"]], decode(one)) for one in rows]


def _telling(text: str, parse: Parse) -> list[Span]:
    """The words that phrases are made of: adjectives and roots."""
    spans = [span for phrase in parse.phrases for span in (*phrase.adjectives, phrase.root)]
    return [word for word in words(text) if any(span.covers(word) for span in spans)]


def _row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["sample_id"] == name)


def _masked(
    image: UInt8[np.ndarray, "height width 3"], masks: Sequence[Bool[np.ndarray, "height width"]]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image in grey with each mask in its colour; the smaller masks lie on top."""
    shown = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2) * 0.55 + 70
    for i in sorted(range(len(masks)), key=lambda i: -int(masks[i].sum())):
        shown[masks[i]] = 0.25 * shown[masks[i]] + 0.75 * np.asarray(COLOURS[i % len(COLOURS)])
    return shown.clip(0, 255).astype(np.uint8)


def _unit(number: int) -> tuple[float, float, float]:
    red, green, blue = COLOURS[number % len(COLOURS)]
    return red / 255, green / 255, blue / 255
