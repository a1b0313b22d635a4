"""The paper's Table 10: seconds an image by stage, from the benchmark files that Snakemake keeps beside its logs.

Which jobs made an experiment is read from its manifests: each names the manifests that it was made from by hash, so
the parse, inversion and maps that count are those that the masks came from, whatever a configuration says by now.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from lab.studies.options import Json
from lab.studies.table import Figure, Row, Table, keep, save, stacks
from stages.artifacts.errors import AnywordError
from stages.artifacts.manifest import Manifest, read_manifest
from stages.artifacts.results import LOGS, RESULTS, Results, datasets, log_of

STAGES = ("parse", "invert", "attend", "prompt", "segment")
"""What an image goes through from its text to its masks. Samples, score and report are no part of inference."""
LABELS = ("experiment", "measured", "steps")
COLUMNS = (*STAGES, "all", "adapter (once)", "images")
PAPER = (
    ("Peekaboo", "300", 150.0),
    ("CLIPasRNN", "", 180.0),
    ("Segment Anyword", "1100", 470.0),
    ("Segment Anyword (LoRA)", "50", 28.0),
)
"""Method, denoising steps and seconds an image, as Table 10 prints them: on one NVIDIA A100 with 40 GB."""
A100 = "the paper's, on an A100 (40 GB)"
HERE = "as run, from its benchmark files"


@dataclass
class Times:
    """What an experiment took. `seconds` and `images` by stage, over the shards whose benchmark file is there."""

    dataset: str
    experiment: str
    seconds: dict[str, float] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    adapter: float | None = None
    steps: int | None = None
    missing: int = 0
    """Jobs without a benchmark file."""

    def each(self, stage: str) -> float | None:
        """Seconds an image of one stage; None where no job of it was measured."""
        return self.seconds[stage] / self.images[stage] if self.images.get(stage) else None


def finished(results: Path) -> list[tuple[str, str]]:
    """(dataset, experiment) of every experiment below `results` that has a score or a page, in their order."""
    return [
        (made.folder.name, name)
        for made in datasets(results)
        for name in made.experiments()
        if made.score(name).is_file() or made.report(name).is_file()
    ]


def times(results: Path, logs: Path, dataset: str, experiment: str) -> Times:
    """What an experiment took by stage.

    A job that was killed and went on has the seconds of its last run only. Process start and the loading of models are
    in the figures, as a user meets them.

    Raises:
        AnywordError: the experiment has no masks.
    """
    root = Results(results / dataset)
    shards = [shard for shard in root.shards() if root.masks(experiment, shard).is_file()]
    if not shards:
        raise AnywordError(f"{root.folder}: no masks of {experiment} here.", remedy="Run the experiment first.")
    found = Times(dataset, experiment)
    for shard in shards:
        masks = root.masks(experiment, shard)
        made = {"segment": masks}
        inputs = read_manifest(masks, "segment").inputs
        if "points" in inputs:
            made["prompt"] = root.points(experiment, shard)
            inputs = read_manifest(made["prompt"], "prompt").inputs
        made["parse"] = root.made(root.phrases("*", shard), inputs.get("phrases"))
        made["attend"] = root.made(root.maps("*", "*", shard), inputs.get("maps"))
        embeddings = read_manifest(made["attend"], "attend").inputs.get("embeddings")
        made["invert"] = root.made(root.embeddings("*", shard), embeddings)
        inverted = read_manifest(made["invert"], "invert")
        found.steps = inverted.recipe.get("steps")
        for stage, path in made.items():
            _add(found, stage, read_manifest(path, stage), log_of(path, ".tsv", results=results, logs=logs))
        if "adapter" in inverted.inputs and found.adapter is None:
            every = Results(results / "*")
            adapter = Results(results).made(every.adapter("*"), inverted.inputs["adapter"])
            found.adapter = _seconds(log_of(adapter, ".tsv", results=results, logs=logs))
    return found


def _add(found: Times, stage: str, manifest: Manifest, benchmark: Path) -> None:
    seconds = _seconds(benchmark)
    if seconds is None:
        found.missing += 1
        return
    found.seconds[stage] = found.seconds.get(stage, 0.0) + seconds
    found.images[stage] = found.images.get(stage, 0) + len(manifest.samples)


def _seconds(path: Path) -> float | None:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        return float(row["s"])
    except (OSError, StopIteration, KeyError, ValueError):
        return None


def row(one: Times) -> Row:
    """A row of the table. `all` is left out where a stage has no benchmark file."""
    stages = [stage for stage in STAGES if stage in one.seconds]
    each = {stage: one.each(stage) for stage in stages}
    figures: dict[str, Figure] = {**each, "images": max(one.images.values(), default=0)}
    if not one.missing:
        figures["all"] = sum(value for value in each.values() if value is not None)
    if one.adapter is not None:
        figures["adapter (once)"] = one.adapter
    jobs = "1 job" if one.missing == 1 else f"{one.missing} jobs"
    note = f"{jobs} without a benchmark file" if one.missing else ""
    labels = [one.experiment, HERE, "" if one.steps is None else str(one.steps)]
    return Row(labels, figures, note)


def table(found: Sequence[Times]) -> Table:
    """What was measured, then the paper's own figures, which are of other models on another machine."""
    paper = [Row([name, A100, steps], {"all": seconds}) for name, steps, seconds in PAPER]
    return Table(LABELS, COLUMNS, [*map(row, found), *paper])


def parts(found: Sequence[Times]) -> dict[str, list[float]]:
    """Seconds an image by stage, one value an experiment: what the plot stacks."""
    return {stage: [one.each(stage) or 0.0 for one in found] for stage in STAGES}


def chosen(results: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """The finished experiments of these names, or all; AnywordError names one that is not there."""
    there = finished(results)
    lost = [name for name in names if name not in {experiment for _, experiment in there}]
    if lost or not there:
        which = f"no experiment '{lost[0]}'" if lost else "no experiment"
        remedy = f"There are {', '.join(name for _, name in there)}." if there else "Run `snakemake -c2` first."
        raise AnywordError(f"{results}: {which} is finished here.", remedy=remedy)
    return [one for one in there if not names or one[1] in names]


def speed(
    experiments: Annotated[list[str] | None, typer.Argument(help="Finished experiments; default: all.")] = None,
    json: Json = None,
    results: Annotated[Path, typer.Option(help="Where the workflow wrote.")] = RESULTS,
    logs: Annotated[Path, typer.Option(help="Where it keeps logs and benchmark files.")] = LOGS,
) -> None:
    """Seconds an image by stage of finished experiments, beside the figures that the paper prints (its Table 10)."""
    found = [times(results, logs, *one) for one in chosen(results, experiments or [])]
    folder = results / "studies" / "speed"
    shown = table(found)
    text = save(folder, "speed", shown)
    stacks(
        [one.experiment for one in found],
        parts(found),
        "Seconds an image, as run",
        "seconds an image",
        folder / "speed",
    )
    keep({"rows": shown.json()}, folder / "speed.json", json)
    typer.echo(text)
