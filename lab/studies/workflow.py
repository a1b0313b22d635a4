"""Running the workflow from a study: what can run here, and why the rest cannot."""

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
from stages.config import Workflow, merged, stage_of
from stages.missing import absent

log = logging.getLogger("anyword")

ROOMS = ("samples", "adapt", "invert", "attend", "prompt", "segment", "score")
"""Not parse: phrases are the dataset's own, but in the study of the parsers, which says its version."""


def made_by(base: Mapping[str, Any], like: str = "truth") -> dict[str, Any]:
    """What figures are of: the versions of the stages, and the recipes of the experiment `like` as the configuration
    gives them, with the adapter `lora`. Tables of one page are of one state (`lab.studies.results`)."""
    chosen = base["experiments"][like]
    sections = {key: f"{key}s" for key in ("inverter", "attender", "prompter", "segmenter")}
    recipes = {key: base[section][chosen[key]] for key, section in sections.items()}
    versions = {room: stage_of(room).version for room in ROOMS}
    return {"versions": versions, "recipes": recipes | {"adapter": base["adapters"]["lora"]}}


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


def run_present(base: Mapping[str, Any], added: Mapping[str, Any], *, folder: Path, cores: int) -> dict[str, str]:
    """Run those experiments of `added` that can run here; why not, by name, of the others."""
    workflow = Workflow(merged(base, added))
    reasons = {name: "; ".join(found) for name in added["experiments"] if (found := absent(workflow, name))}
    rest = {name: one for name, one in added["experiments"].items() if name not in reasons}
    if rest:
        run_experiments(base, {**added, "experiments": rest, "targets": list(rest)}, folder=folder, cores=cores)
    return {name: f"absent: {reason}" for name, reason in reasons.items()}


def shipped(name: str, experiment: str) -> str:
    """Why the shipped configuration of a real dataset is not part of a study of embedded scenes, in one line."""
    from stages.config import complete_config

    path = Path("workflow", "studies", f"{name}.yaml")
    missing = absent(Workflow(complete_config(REPOSITORY / path)), experiment)
    how = f"--config {path} --dataset {name} --like {experiment}"
    return f"weights or data absent: {'; '.join(missing)} ({how})" if missing else f"can run here: {how}"
