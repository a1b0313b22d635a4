"""`anyword compare`: two experiments of one dataset on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS


def compare(
    first: Annotated[str, typer.Argument(help="An experiment.")],
    second: Annotated[str, typer.Argument(help="Another of the same dataset.")],
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("compare"),
    dataset: Annotated[str | None, typer.Option(help="Needed where several datasets have both.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that image paths are relative to; drawn worlds keep their own.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the workflow wrote.")] = RESULTS,
) -> None:
    """Write the page of two experiments side by side: where their masks disagree most stands first.

    Parsers, inverters, segmenters, anything in which two finished experiments differ.
    """
    from stages.artifacts.manifest import NAME
    from stages.artifacts.results import datasets
    from stages.report.command import run

    found = [
        one
        for one in datasets(results)
        if {first, second} <= set(one.experiments()) and dataset in (None, one.folder.name)
    ]
    if len(found) != 1:
        several = ", ".join(one.folder.name for one in found)
        raise AnywordError(
            f"{results}: {'several datasets have' if found else 'no dataset has'} both '{first}' and '{second}'.",
            remedy=f"Name one by --dataset: {several}." if found else "`anyword results` lists experiments.",
        )
    (own,) = found
    page = run(
        root=own.folder,
        experiment=first,
        beside=second,
        shards=len(own.shards()),
        recipe={"kind": "page"},
        output=out / NAME,
        images=images,
    )
    typer.echo(f"page: {page}")
