"""`anyword verify`: whether results are what was written, and still belong together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS, root_of


def verify(
    folder: Annotated[Path, typer.Argument(help="All results, a dataset's, a stage's or one shard's.")] = RESULTS,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is bad, so that the next run makes it again, and no more.")
    ] = False,
) -> None:
    """Check every file of every result: altered, cut, missing, of nobody, made from something else, or with weights
    that were replaced since.

    A line names each, with its stage. Ends with status 1 where anything was found. Nothing may run on these results
    meanwhile.
    """
    from stages.artifacts import verify as check
    from stages.artifacts.progress import track
    from stages.current import Models

    if not folder.is_dir():
        raise AnywordError(f"{folder}: no such folder.", remedy="Name a folder of results.")
    folders = check.results_below(folder)
    found = list(track(check.checked(folders), "verify", total=len(folders)))
    root = root_of(folder)
    findings = {one.folder: one.findings for one in found}
    outdated: defaultdict[Path, list[check.Finding]] = defaultdict(list)
    if root is not None:
        whole = root == folder.resolve()
        every = found if whole else [check.sealed(one) for one in check.results_below(root)]
        for finding in [*check.lineage(found, every), *check.outlived(found, root, Models(root).replaced)]:
            outdated[finding.path.parent].append(finding)
    gone = 0
    for one in found:
        for finding in [*findings[one.folder], *outdated[one.folder]]:
            typer.echo(str(finding))
        gone += len(check.repair(one, bool(outdated[one.folder]))) if repair else 0
    bad = sum(bool(findings[one.folder] or outdated[one.folder]) for one in found)
    files = sum(one.files for one in found)
    typer.echo(f"{len(found)} results with {files} files checked: {bad or 'nothing'} bad.")
    if bad and repair:
        typer.echo(f"{gone} files removed. Run the workflow again: it makes what is missing, and nothing else.")
    elif bad:
        typer.echo(f"`anyword verify {folder} --repair` removes what is bad; the next run makes it again.")
    if bad and not repair:
        raise typer.Exit(1)
