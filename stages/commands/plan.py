"""`anyword plan`: what experiments will take, before they run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def plan(
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
    names: Annotated[
        list[str] | None, typer.Option("--experiment", help="Only this experiment; may be repeated. Default: targets.")
    ] = None,
    card: Annotated[float, typer.Option(help="GiB of memory of the cards that jobs run on.", min=1)] = 16.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what each experiment will take: models, rows a call, memory on a card, seconds an image where they are
    known, bytes of results and number of jobs.

    Nothing runs and no weights are needed: memory is counted on the models' sizes. Run it where the workflow runs, so
    that finished shards tell seconds and bytes.
    """
    from stages.config import Workflow, complete_config
    from stages.forecast import Forecast, forecast

    workflow = Workflow(complete_config(config))
    found = [forecast(workflow, name, card=card) for name in names or workflow.config.targets]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return

    def told(one: Forecast) -> str:
        lines = [("stage", "jobs", "model", "dtype", "rows a call", "GiB", "s an image", "results")]
        for stage in one.stages:
            need = stage.need
            model = (need.model, need.dtype, str(need.rows), f"{need.peak_gib:.1f}") if need else ("", "", "", "")
            seconds = "" if stage.seconds_an_image is None else f"{stage.seconds_an_image:.3g}"
            too_much = "" if stage.fits else "  does not fit"
            lines.append((stage.name, str(stage.jobs), *model, seconds, size(stage.bytes) + too_much))
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        known = [stage.seconds_an_image for stage in one.stages if stage.seconds_an_image is not None]
        total = f"{sum(stage.jobs for stage in one.stages)} jobs, {size(sum(stage.bytes for stage in one.stages))}"
        if known:
            total += f", {one.images * sum(known) / 3600:.2g} hours of the stages whose seconds are known"
        head = f"experiment {one.experiment}: {one.images} images, cards of {card:g} GiB"
        return "\n".join([head, *(line.rstrip() for line in table), f"together {total}"])

    typer.echo("\n\n".join(told(one) for one in found))


def size(count: int) -> str:
    """Bytes for people.

    >>> size(999), size(1_500_000)
    ('999 B', '1.5 MB')
    """
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
