"""`anyword explain`: what a next run would do again, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.results import RESULTS


def explain(
    config: Annotated[Path | None, typer.Argument(help="The configuration, laid over the repository's.")] = None,
    names: Annotated[
        list[str] | None, typer.Option("--experiment", help="Only this one; may be repeated. Default: the targets.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Where the workflow wrote; default: results/ beside the configuration, or here.")
    ] = None,
    samples: Annotated[bool, typer.Option("--samples", help="A line a sample, not only counts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every sample as JSON lines.")] = False,
) -> None:
    """Say what a next run would do again, by stage and reason: a changed recipe, weights replaced under their path,
    a new version, an image changed on disk, an unfinished or failed sample. Reads every image once; runs nothing.
    """
    import contextlib
    import json
    from collections import Counter

    from stages.artifacts.failures import kind
    from stages.artifacts.results import Results
    from stages.config import Workflow, complete_config
    from stages.explain import explain

    workflow = Workflow(complete_config(config))
    place = config.resolve().parent if config else Path.cwd()
    folder = results or place / RESULTS
    for name in names or workflow.config.targets:
        data = Results(folder / workflow.experiment(name).dataset)
        with contextlib.chdir(place):  # paths of the configuration are relative to it, as for `anyword run`
            found = list(explain(workflow, name, data))
        if as_json:
            for one in found:
                typer.echo(json.dumps({"experiment": name, **vars(one)}, ensure_ascii=False))
            continue
        if not data.shards():
            typer.echo(f"experiment {name}: nothing is there yet; a run does all.")
            continue
        typer.echo(f"experiment {name}: {f'{len(found)} samples again' if found else 'nothing to do again'}")
        counts = Counter(
            (one.stage, kind(one.reason) if one.reason.startswith(("failed", "image")) else one.reason) for one in found
        )
        for (stage, reason), count in counts.most_common():
            typer.echo(f"  {count:>6}  {stage}: {reason}")
        for one in found if samples else ():
            typer.echo(f"  {one.sample} ({one.shard}) {one.stage}: {one.reason}")
