"""What a next run would do again, and why, sample by sample: the configuration held against what lies there.

Snakemake decides by the shard (`snakemake -n` lists its jobs); this says of each sample which stage would see it
again and what changed. A stage after one that runs again follows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import sha256_file, sha256_of
from stages.artifacts.errors import ArtifactError, SampleError
from stages.artifacts.images import read_file
from stages.artifacts.manifest import Manifest, read_manifest
from stages.artifacts.results import Results, belongs
from stages.artifacts.tables import read_table
from stages.config import Workflow, stage_of
from stages.current import Models
from stages.plan import READS, needs, places

STAGES = {
    "samples": "samples",
    "phrases": "parse",
    "embeddings": "invert",
    "maps": "attend",
    "points": "prompt",
    "masks": "segment",
}
"""Stage by what it makes, in order."""


@dataclass(frozen=True)
class Again:
    """Why a stage would see a sample again."""

    sample: str
    shard: str
    stage: str
    reason: str


def explain(workflow: Workflow, experiment: str, results: Results) -> Iterator[Again]:
    """Every sample that a next run of the experiment would work on, each by the first stage that it has to go through
    again. Failed samples are among them: they are tried again whenever their shard is.

    results: of the experiment's dataset. Reads and hashes every image.
    """
    models = Models(results.folder.parent, workflow)
    images = workflow.data_location(workflow.experiment(experiment).dataset).get("root")
    for shard in results.shards():
        paths = places(workflow, experiment, results, shard)
        needed = needs(workflow, experiment) | {"samples", "masks"}
        told: set[str] = set()
        ids: list[str] = []
        for made, stage in STAGES.items():
            if made not in needed:
                continue
            try:
                manifest = read_manifest(paths[made], stage)
            except ArtifactError:
                reason = "not done yet"
                rest = ids or ["(all of the shard)"]
                yield from (Again(one, shard, stage, reason) for one in rest if one not in told)
                break
            ids = [one.id for one in manifest.samples]
            changed = [*_changes(workflow, experiment, made, manifest), *_inputs(made, manifest, paths)]
            made_with = {role: record.sha256 for role, record in manifest.models.items()}
            place = belongs(paths[made].parent, results.folder.parent)
            changed += [f"other weights of its {role} now" for role in models.replaced(*place, made_with)]
            found = {one: "; ".join(changed) for one in ids} if changed else {}
            if made == "samples":
                found |= _images(paths["samples"].parent, Path(images) if images else None)
            for one in manifest.samples:
                if one.state == "failed" and one.id not in found and not (one.reason or "").startswith("in "):
                    found[one.id] = f"failed: {one.reason}"
            yield from (Again(one, shard, stage, why) for one, why in found.items() if one not in told)
            told |= found.keys()


def _changes(workflow: Workflow, experiment: str, made: str, manifest: Manifest) -> Iterator[str]:
    """Version and recipe that differ from the configuration's."""
    version = stage_of(STAGES[made]).version
    if manifest.stage.version != version:
        yield f"version {manifest.stage.version} → {version}"
    wanted = _recipe(workflow, experiment, made)
    backbone = wanted.get("backbone")
    if isinstance(backbone, dict) and backbone.get("dtype") == "auto":  # made on a device, which said what it is
        backbone["dtype"] = manifest.recipe.get("backbone", {}).get("dtype", "auto")
    for key, value in manifest.recipe.items():
        if key in wanted and wanted[key] != value:
            yield f"{key}: {_short(value)} → {_short(wanted[key])}"


def _recipe(workflow: Workflow, experiment: str, made: str) -> dict[str, Any]:
    chosen = workflow.experiment(experiment)
    found = {
        "samples": lambda: workflow.reader(chosen.dataset),
        "phrases": lambda: workflow.recipe("parsers", chosen.parser),
        "embeddings": lambda: workflow.recipe("inverters", chosen.inverter),
        "maps": lambda: workflow.attend_recipe(chosen.inverter, chosen.attender),
        "points": lambda: workflow.recipe("prompters", chosen.prompter),
        "masks": lambda: workflow.recipe("segmenters", chosen.segmenter),
    }[made]()
    recipe: dict[str, Any] = json.loads(found)
    return recipe


def _inputs(made: str, manifest: Manifest, paths: Mapping[str, Path]) -> Iterator[str]:
    """What it was made from, where that is another now."""
    for name in READS.get(made, tuple(manifest.inputs)):
        recorded = manifest.inputs.get(name)
        if name in paths and recorded and paths[name].is_file() and sha256_file(paths[name]) != recorded:
            yield f"{STAGES[name]} has run again since"


def _images(samples: Path, root: Path | None) -> dict[str, str]:
    """Samples whose image is not the one that was listed."""
    found = {}
    for row in read_table(samples / "samples.parquet", "samples"):
        try:
            if sha256_of(read_file(root or samples, row["image"])) != row["image_sha256"]:
                found[row["sample_id"]] = f"image '{row['image']}' changed on disk: --forcerun samples looks again"
        except (OSError, SampleError):
            found[row["sample_id"]] = f"image '{row['image']}' is gone"
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
