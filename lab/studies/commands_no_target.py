"""`anyword study no-target`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def no_target(
    samples: Annotated[int, typer.Option(help="Test scenes.", min=2)] = 200,
    validation: Annotated[
        int | None, typer.Option(help="Validation scenes to fit on; default: as many as test scenes.", min=4)
    ] = None,
    absent: Annotated[
        float, typer.Option(help="Share of the expressions that name an object that is not there.", min=0.1, max=0.9)
    ] = 0.5,
    like: Annotated[str, typer.Option(help="The experiment whose recipes are used.")] = "truth",
    first: Annotated[int, typer.Option(help="Number of the first scene of either split.", min=0)] = 0,
    bins: Annotated[int, typer.Option(help="Bins of the reliability table.", min=2, max=50)] = 10,
    replicates: Annotated[int, typer.Option(help="Bootstrap resamples.", min=0)] = 1000,
    shard_size: Annotated[int, typer.Option(help="Scenes a job.", min=1)] = 50,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    cores: Annotated[int, typer.Option(help="Cores for Snakemake.", min=1)] = 2,
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
) -> None:
    """N-acc, T-acc and gIoU with and without a calibrated "nothing is meant", on expressions of embedded scenes.

    Fits on validation scenes and writes the decision as no_target.json, for `no_target:` of a gRefCOCO scorer.
    """
    from lab.studies import no_target as study
    from lab.studies.reliability_plot import draw
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_bytes, write_json
    from stages.config import complete_config

    base = complete_config(config)
    counts = {"val": validation or samples, "test": samples}
    added, names = study.configuration(
        base, like=like, samples=counts, first=first, absent=absent, shard_size=shard_size
    )
    folder = Path("results") / "studies" / names["test"]
    run_experiments(base, added, folder=folder, cores=cores)
    parser = base["experiments"][like]["parser"]
    said = {split: study.read(Path("results"), name, name, parser) for split, name in names.items()}
    decisions = study.fit(said["val"], fitted_on=f"{counts['val']} validation scenes, experiment '{like}'")
    found = study.figures(said["test"], decisions, bins=bins, replicates=replicates)
    found |= {"like": like, "absent": absent, "validation": counts["val"]}
    found["fitted"] = {name: one.model_dump(mode="json") for name, one in decisions.items()}
    write_json(folder / "no_target.json", decisions["all"].model_dump(mode="json"))
    for path in (folder / "figures.json", json):
        if path is not None:
            write_json(path, found)
    table = study.table(found)
    write_bytes(folder / "no_target.md", (table + "\n").encode())
    write_bytes(folder / "no_target.csv", _csv(found))
    write_bytes(folder / "reliability.csv", _reliability_csv(found))
    for form in ("png", "svg"):
        write_bytes(folder / f"reliability.{form}", draw(found, form))
    typer.echo(table)
    typer.echo(f"wrote {folder}: no_target.json is the decision")


def _csv(found: Mapping[str, Any]) -> bytes:
    """A line a decision and figure: value and interval."""
    rows = []
    for name, one in found["decisions"].items():
        every = {**one, **found["calibration"].get(name, {})}
        rows += [
            {"decision": name, "figure": figure, **value}
            for figure, value in every.items()
            if isinstance(value, dict) and value.keys() == {"value", "low", "high"}
        ]
    return _lines(["decision", "figure", "value", "low", "high"], rows)


def _reliability_csv(found: Mapping[str, Any]) -> bytes:
    rows = [{"decision": name, **row} for name, one in found["calibration"].items() for row in one["reliability"]]
    return _lines(["decision", "from", "to", "count", "predicted", "observed"], rows)


def _lines(columns: list[str], rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{one:.6f}" if isinstance(one, float) else one for key, one in row.items()})
    return text.getvalue().encode()
