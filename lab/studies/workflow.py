"""Running the workflow from a study, and reading what it scored."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages import REPOSITORY
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS, Results

log = logging.getLogger("anyword")


def run_experiments(
    base: Mapping[str, Any],
    added: Mapping[str, Any],
    *,
    folder: Path,
    cores: int,
    targets: Sequence[str] | None = None,
) -> None:
    """Let Snakemake score every experiment of `added`, which is laid over `base`; or make the files of `targets`.

    The configuration is kept in `folder`, so that the study can be repeated by hand. Results go below `results/` of
    the current folder.

    Raises:
        AnywordError: the configuration does not hold together, or a job failed; Snakemake's own lines say which.
    """
    targets = targets or [
        str(Results(RESULTS / one["dataset"]).score(name)) for name, one in added["experiments"].items()
    ]
    run_targets(base, added, targets, folder=folder, cores=cores)


def run_targets(
    base: Mapping[str, Any], added: Mapping[str, Any], targets: Sequence[str], *, folder: Path, cores: int
) -> None:
    """The same for manifests by their path below the current folder."""
    import yaml

    from stages.config import Workflow, merged

    workflow = Workflow(merged(base, added))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    kept = workflow.config.model_dump(mode="json", exclude_unset=True)
    path.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--cores", str(cores), "--rerun-incomplete", "--quiet", "rules", "--configfile", str(path), "--"]
    log.info("%d results; by hand: snakemake -c%d --configfile %s", len(targets), cores, path)
    done = subprocess.run([*command, *targets], check=False)
    if done.returncode:
        raise AnywordError(
            f"{path}: the workflow stopped with status {done.returncode}.",
            remedy="The job's log is named above; mend the cause and start the study again: it goes on from there.",
        )
