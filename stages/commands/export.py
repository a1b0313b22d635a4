"""`anyword export`: an experiment's masks for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.results import RESULTS


def export(
    experiment: Annotated[str, typer.Argument(help="Name of the experiment.")],
    out: Annotated[Path, typer.Option(help="New folder to write to.")],
    form: Annotated[
        str, typer.Option("--format", help="coco, glamm, saco, index-png, mask-png, csv or parquet.")
    ] = "coco",
    dataset: Annotated[str | None, typer.Option(help="Its dataset; needed where several have that experiment.")] = None,
    no_target: Annotated[
        Path | None,
        typer.Option(help="A no-target decision (no_target.json): phrases that it gives too little mean nothing."),
    ] = None,
    marks: Annotated[
        Path | None, typer.Option(help="Marks saved on the page (CSV, JSON): samples marked bad go without masks.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the workflow wrote.")] = RESULTS,
) -> None:
    """Write an experiment's masks in a format that other tools read.

    coco: a data set with the masks as its annotations, and results for COCO.loadRes. glamm: a file an image for
    GLaMM's own evaluation. saco: SA-Co's dialect, an entry a phrase, for its evaluator. index-png: label maps.
    mask-png: a picture a phrase. csv, parquet: a line a mask, and a line a sample.
    """
    from stages.export.command import run

    count = run(
        results=results, experiment=experiment, form=form, out=out, dataset=dataset, no_target=no_target, marks=marks
    )
    typer.echo(f"wrote {count} masks to {out}")
