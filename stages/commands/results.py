"""`anyword results`: the scores of finished experiments and where their pages are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError


def results(
    folder: Annotated[Path, typer.Argument(help="Where the workflow wrote.")] = Path("results"),
    names: Annotated[
        list[str] | None, typer.Option("--experiment", help="Only this experiment; may be repeated.")
    ] = None,
) -> None:
    """Print the scores of finished experiments, and where their pages are."""
    from stages.artifacts.shard_reader import ShardReader
    from stages.score.table import text_table

    pages = sorted(folder.glob("*/experiments/*/report/index.html"))
    pages = [page for page in pages if not names or page.parts[-3] in names]
    if not pages:
        raise AnywordError(f"{folder}: no finished experiment here.", remedy="Run `snakemake -c2` first.")
    for page in pages:
        manifest = page.parents[1] / "score" / "manifest.json"
        if manifest.exists():
            score = json.loads(ShardReader(manifest, "score").file("score.json").read_bytes())
            typer.echo(text_table(score))
        else:
            typer.echo(f"experiment {page.parts[-3]}: no truth to score against")
        typer.echo(f"page: {page}\n")
