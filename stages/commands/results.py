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
    """Print how samples fared, the scores of finished experiments, and where their pages are.

    Status 1 where an experiment has no sample that went through.
    """
    from stages.artifacts.results import datasets
    from stages.artifacts.shard_reader import ShardReader
    from stages.artifacts.summary import lifeless, summary
    from stages.score.table import text_table

    every = [(results, name) for results in datasets(folder) for name in results.experiments()]
    found = [(one, name) for one, name in every if (not names or name in names) and one.page(name).is_file()]
    if not found:
        raise AnywordError(f"{folder}: no finished experiment here.", remedy="Run `snakemake -c2` first.")
    every_one = [(results, name, summary(results, name)) for results, name in found]
    for results, name, fared in every_one:
        head, *failures = fared.lines()
        if results.score(name).is_file():
            score = json.loads(ShardReader(results.score(name), "score").file("score.json").read_bytes())
            typer.echo("\n".join([text_table(score), *failures]))
        else:
            typer.echo("\n".join([f"{head}; no truth to score against", *failures]))
        typer.echo(f"page: {results.page(name)}\n")
    if said := lifeless(fared for *_, fared in every_one):
        typer.echo(said, err=True)
        raise typer.Exit(1)
