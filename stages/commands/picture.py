"""`anyword picture`: one sample as a strip for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

    from anyword.sample import Sample

FORMATS = (".png", ".svg", ".pdf")


def picture(
    sample: Annotated[str, typer.Argument(help="The sample's id.")],
    out: Annotated[Path, typer.Argument(help="PNG, SVG or PDF to write.")],
    experiment: Annotated[str | None, typer.Option(help="Needed where there are several.")] = None,
    words: Annotated[
        list[str] | None,
        typer.Option("--word", help="A word whose map is shown; may be repeated. Default: phrases."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that image paths are relative to; drawn worlds keep their own.")
    ] = None,
    results: Annotated[Path, typer.Option(help="results/DATASET, or results/ where it holds one dataset.")] = RESULTS,
) -> None:
    """Draw a sample as a strip: image, maps of words, the mask of each phrase.

    Example: anyword picture test-000004 strip.svg --experiment spacy
    """
    import anyword

    if out.suffix.lower() not in FORMATS:
        raise AnywordError(f"{out}: its ending is none of {', '.join(FORMATS)}.")
    data = anyword.open(results, images=images)
    names = [experiment] if experiment else data.experiments
    if len(names) != 1:
        raise AnywordError("which experiment?", remedy=f"Name one by --experiment: {', '.join(names)}.")
    found = data[names[0]][sample]
    if found.failed:
        raise AnywordError(f"sample '{sample}' failed: {found.failed}")
    draw(found, out, words)
    typer.echo(f"wrote {out}")


def draw(sample: Sample, out: Path, words: list[str] | None = None) -> None:
    """Write the strip; `words` are those whose maps are shown, by default each phrase as a whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from stages.artifacts.atomic import aside
    from stages.report.draw import COLOURS

    image = sample.image()
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    shown = [(one, one) for one in words] if words else [((one.start, one.end), one.text) for one in sample.phrases]
    shown = shown if sample.maps else []  # text-prompted masks come of none
    columns = 1 + len(shown) + len(sample.phrases)
    figure = Figure(figsize=(1.9 * columns, 1.9 * image.shape[0] / image.shape[1] + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(sample.text, fontsize=10, parse_math=False, wrap=True)
    axes = iter(figure.subplots(1, columns, squeeze=False)[0])
    for title, pixels, heat in [
        ("image", image, None),
        *((text, grey, sample.map(word, full=True)) for word, text in shown),
        *(
            (one.text, _tinted(image, one.mask, COLOURS[i % len(COLOURS)]), None)
            for i, one in enumerate(sample.phrases)
        ),
    ]:
        axis = next(axes)
        axis.set_axis_off()
        axis.imshow(pixels)
        if heat is not None:
            level = (heat - heat.min()) / max(float(np.ptp(heat)), 1e-12)
            axis.imshow(level, cmap="inferno", alpha=0.2 + 0.65 * level)
        axis.set_title(title, fontsize=8, fontstyle="italic" if heat is not None else "normal", parse_math=False)
    with aside(out) as partial:
        figure.savefig(partial, dpi=150, format=out.suffix.lstrip(".").lower(), facecolor="white")


def _tinted(
    image: UInt8[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"], colour: tuple[int, int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image in grey with the mask in its colour."""
    shown = image.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.55 + 70
    shown[mask] = 0.35 * image[mask] + 0.65 * np.asarray(colour)
    return shown.clip(0, 255).astype(np.uint8)
