"""`anyword status`: how far each stage has come, and who works on what."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS, WHOLE, Results
from stages.artifacts.status import Progress, workers
from stages.artifacts.status import status as progress_of
from stages.artifacts.summary import lifeless, summary


def status(
    folder: Annotated[Path, typer.Argument(help="Where the workflow wrote.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the SLURM jobs of runs in this folder, whose head is lost.")
    ] = False,
) -> None:
    """Say of every stage how many shards are done, at work, stopped or stale, how fast it goes and how long it needs.

    A shard is stale when what it was made from is not there any more, when a model has other weights now, or when its
    stage has another version: the next run makes it again. Stopped: begun, and nobody works on it. Where jobs wait or
    run on a SLURM cluster, the command that cancels them is printed. Failed samples are told by stage and reason;
    status 1 where an experiment has no other.
    """
    from stages import cluster
    from stages.config import ROOMS, stage_of
    from stages.current import Models

    rooms = [room for room in ROOMS.values() if room not in ("models", *WHOLE)]
    versions = {room: stage_of(room).version for room in (*rooms, *WHOLE)}
    found = progress_of(folder, versions=versions, replaced=Models(folder).replaced)
    if not found:
        raise AnywordError(f"{folder}: no results here.", remedy="Run `snakemake -c2` first.")
    fared = []  # of shards in which a sample failed: of ten thousand that went well, nothing more is to be read
    for one in found:
        if one.stage == "segment" and one.done:
            own = summary(Results(folder / one.dataset), one.name, one.failing)
            own.done, own.unfinished = one.samples, []
            fared.append((one.dataset, own))
    at_work = workers(folder)
    runs = cluster.runs_in(folder.resolve().parent)
    if as_json:
        values = {
            "stages": [dataclasses.asdict(one) for one in found],
            "experiments": [{"dataset": dataset, **own.as_dict()} for dataset, own in fared],
            "claims": [{**dataclasses.asdict(one), "folder": str(one.folder)} for one in at_work],
            "slurm": runs,
        }
        typer.echo(json.dumps(values, indent=2))
    else:
        columns = (
            "dataset",
            "stage",
            "name",
            "done",
            "running",
            "stopped",
            "stale",
            "failed samples",
            "s/sample",
            "ETA",
        )
        _table([columns, *(_row(one) for one in found)])
        for dataset, own in fared:
            if own.failed:
                typer.echo("\n".join([f"{dataset}: {own.lines()[0]}", *own.lines()[1:]]))
        for worker in at_work:
            typer.echo(f"{worker.folder}: {worker.who}{'' if worker.alive else ', gone: the next run takes over'}")
        for run, jobs in runs.items():
            typer.echo(f"SLURM run {run} has {len(jobs)} jobs. If its head is lost: scancel --name {run}")
    if cancel:
        cluster.cancel(runs)
    if said := lifeless(own for _, own in fared):
        typer.echo(said, err=True)
        raise typer.Exit(1)


def _row(one: Progress) -> tuple[object, ...]:
    seconds = f"{one.seconds_a_sample:.3g}" if one.seconds_a_sample else ""
    names = (one.dataset, one.stage, one.name, f"{one.done}/{one.shards}")
    return (*names, one.running, one.stopped, one.stale, one.failed, seconds, _time(one.eta))


def _time(seconds: float | None) -> str:
    if not seconds:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(1, minutes)} min"


def _table(rows: list[tuple[object, ...]]) -> None:
    widths = [max(len(str(row[n])) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(str(one).ljust(width) for one, width in zip(row, widths, strict=True)).rstrip())
