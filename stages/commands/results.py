"""`anyword results`: the scores of finished experiments and where their pages are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS


def results(
    folder: Annotated[Path, typer.Argument(help="Where the workflow wrote.")] = RESULTS,
    names: Annotated[
        list[str] | None, typer.Option("--experiment", help="Only this experiment; may be repeated.")
    ] = None,
) -> None:
    """Print the scores of finished experiments, and where their pages are."""
    from stages.artifacts.results import datasets
    from stages.artifacts.shard_reader import ShardReader
    from stages.score.table import text_table

    every = [(results, name) for results in datasets(folder) for name in results.experiments()]
    found = [(one, name) for one, name in every if (not names or name in names) and one.page(name).is_file()]
    if not found:
        raise AnywordError(f"{folder}: no finished experiment here.", remedy="Run `snakemake -c2` first.")
    for results, name in found:
        if results.score(name).is_file():
            score = json.loads(ShardReader(results.score(name), "score").file("score.json").read_bytes())
            typer.echo(text_table(score))
        else:
            typer.echo(f"experiment {name}: no truth to score against")
        typer.echo(f"page: {results.page(name)}\n")
