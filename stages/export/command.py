"""Writes an experiment's masks in one format."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.errors import AnywordError
from stages.artifacts.progress import track
from stages.artifacts.results import datasets

if TYPE_CHECKING:
    from stages.export.results import Exported

log = logging.getLogger("anyword")


def run(
    *,
    results: Path,
    experiment: str,
    form: str,
    out: Path,
    dataset: str | None = None,
    no_target: Path | None = None,
    marks: Path | None = None,
) -> int:
    """Export `experiment` below `results` to the new folder `out`; gives the number of masks written.

    With `marks`, a file that the page saved, samples marked bad are exported without masks. With `no_target`, the file
    of a calibrated decision, phrases that mean nothing are exported as such.

    Raises:
        AnywordError: no such experiment (or several, and `dataset` does not say which), no such format, `out` holds
            something already, or `no_target` is no decision or weighs what the masks do not have.
    """
    from stages.artifacts.no_target import read_no_target
    from stages.export.formats import FORMATS, TABLES
    from stages.export.marks import read_marks
    from stages.export.results import read

    if form not in FORMATS:
        raise AnywordError(f"format '{form}' is none of {', '.join(FORMATS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AnywordError(f"{out}: is not empty.", remedy="Name a new folder.")
    decision = read_no_target(no_target) if no_target is not None else None
    marked = read_marks(marks) if marks is not None else None
    every = datasets(results)
    found = [one for one in every if experiment in one.experiments() and dataset in (None, one.folder.name)]
    if len(found) != 1:
        there = sorted({name for one in every for name in one.experiments()})
        several = ", ".join(one.folder.name for one in found)
        raise AnywordError(
            f"{results}: {'several datasets have' if found else 'no'} experiment '{experiment}'.",
            remedy=f"Name one by --dataset: {several}." if found else f"It has {', '.join(there) or 'none'}.",
        )
    out.mkdir(parents=True, exist_ok=True)
    samples = track(read(found[0].folder, experiment, decision, marked), f"export {form}")
    return FORMATS[form](samples if form in TABLES else _listed(samples), out)


def _listed(samples: Iterable[Exported]) -> Iterator[Exported]:
    """Those whose image could be read, which pictures need; the others are named."""
    for one in samples:
        if one.listed:
            yield one
        else:
            log.warning("sample '%s' is left out: %s", one.id, one.failed)
