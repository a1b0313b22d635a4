"""What an experiment will take, before a week of GPU time is spent on it: `anyword plan`.

Jobs and images are counted from the dataset's own listing. Memory is reckoned from the stages' calls. Seconds are those
of jobs that ran here before, by the same recipe, or of `benchmarks/gpu.py`; where there are none, none are given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from stages import REPOSITORY
from stages.artifacts.manifest import Manifest, read_manifest
from stages.artifacts.recipes import validated
from stages.artifacts.results import LOGS, RESULTS, Results, log_of, seconds_of, shard_name
from stages.attend.recipe import AttenderRecipe
from stages.config import Workflow, stage_of
from stages.models.published import SHAPES, like
from stages.plan import needs
from stages.reckoning import BATCH, CARD, Need, of_segment_anything, of_stage

WORDS, LEARNING, TARGETS = 12, 6, 4
"""Of a text, where results do not say it yet: words, those that learn, phrases and predicates."""
_ROW = 500
"""Bytes of a table's row, likewise."""


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment."""

    name: str
    jobs: int
    need: Need | None
    """None where it has no model, or one that looks at one image at a time."""
    fits: bool
    seconds_an_image: float | None
    bytes: int


@dataclass(frozen=True)
class Forecast:
    """One experiment; stages that experiments share are in each."""

    experiment: str
    images: int
    stages: tuple[Stage, ...]


def forecast(workflow: Workflow, experiment: str, *, card: float, folder: Path = Path()) -> Forecast:
    """Of the experiment on cards of so many GiB; folder: where the workflow runs, and finished results lie.

    Raises:
        AnywordError: no such experiment, or its dataset cannot be listed.
    """
    chosen = workflow.experiment(experiment)
    results = Results(folder / RESULTS / chosen.dataset)
    images, shards, truth = _size(workflow, chosen.dataset, results)
    needed = needs(workflow, experiment)
    made: dict[str, tuple[int, Path]] = {
        "index": (1, results.index),
        "samples": (shards, results.samples("{shard}")),
        "parse": (shards, results.phrases(chosen.parser, "{shard}")),
    }
    adapter = workflow.adapter_of(chosen.inverter)
    if "embeddings" in needed and adapter:
        made["adapt"] = 1, Results(folder / RESULTS / adapter[1]).adapter(adapter[0])
    if "embeddings" in needed:
        made["invert"] = shards, results.embeddings(chosen.inverter, "{shard}")
    if "maps" in needed:
        made["attend"] = shards, results.maps(chosen.inverter, chosen.attender, "{shard}")
    if "points" in needed:
        made["prompt"] = shards, results.points(experiment, "{shard}")
    made["segment"] = shards, results.masks(experiment, "{shard}")
    if truth:
        made["score"] = 1, results.score(experiment)
    made["report"] = 1, results.report(experiment)
    stages = []
    for name, (jobs, pattern) in made.items():
        recipe = _recipe(workflow, experiment, name)
        need = _need(workflow, name, recipe, card)
        before = _finished(pattern, shards, folder)
        seconds, size = _measured(before)
        stages.append(
            Stage(
                name,
                jobs,
                need,
                need is None or need.peak_gib <= _usable(workflow, card),
                seconds if seconds is not None or need is None else _benchmarked(name, recipe),
                round((size if size is not None else _size_of(name, recipe)) * images),
            )
        )
    return Forecast(experiment, images, tuple(stages))


def _size(workflow: Workflow, dataset: str, results: Results) -> tuple[int, int, bool]:
    """Images, shards, and whether there is truth."""
    if results.index.is_file():
        summary = read_manifest(results.index, stage_of("samples", "INDEX").name).summary
        return int(summary["samples"]), int(summary["shards"]), bool(summary["truth"])
    from stages.samples.reader import DataLocation, reader_of

    recipe = json.loads(workflow.recipe("datasets", dataset))
    reader = reader_of(recipe["kind"])
    where = {name: Path(path) for name, path in workflow.data_location(dataset).items()}
    place = DataLocation(where.get("root"), where.get("texts"))
    images, truth = 0, False
    for entry in reader.entries(recipe, place):
        images += 1
        truth = truth or reader.has_truth([entry])
    return images, -(-images // int(recipe["shard_size"])), truth


def _recipe(workflow: Workflow, experiment: str, stage: str) -> Any:
    chosen = workflow.experiment(experiment)
    if stage == "attend":
        values = json.loads(workflow.attend_recipe(chosen.inverter, chosen.attender))
        return validated("attend", values, AttenderRecipe)
    adapter = workflow.adapter_of(chosen.inverter)
    named = {
        "invert": ("inverters", chosen.inverter),
        "segment": ("segmenters", chosen.segmenter),
        "adapt": ("adapters", adapter[0] if adapter else ""),
    }
    return workflow.models[named[stage][0]][named[stage][1]] if stage in named else None


def _learns(recipe: Any) -> bool:
    """False for an inverter that leaves every word as it is."""
    return bool(getattr(recipe, "steps", None) != 0)


def _usable(workflow: Workflow, card: float) -> float:
    return workflow.config.execution.memory or CARD * card


def _need(workflow: Workflow, stage: str, recipe: Any, card: float) -> Need | None:
    options = {
        "card": _usable(workflow, card) / CARD,
        "batch": workflow.config.execution.batch_size.get(stage, BATCH),  # type: ignore[call-overload]
    }
    backbone = getattr(recipe, "backbone", None)
    if backbone is not None and _learns(recipe):
        return of_stage(stage, recipe, **options)
    sam = getattr(recipe, "model", None) if stage == "segment" else None
    return of_segment_anything(sam, **options) if sam and sam != "embedded" else None


def _finished(pattern: Path, shards: int, folder: Path) -> list[tuple[Manifest, Path]]:
    """Manifests that are there of a result, with the benchmark that its job left; the first unbroken run of shards."""
    found = []
    paths = (Path(str(pattern).replace("{shard}", shard_name(n))) for n in range(max(shards, 1)))
    for path in takewhile(Path.is_file, dict.fromkeys(paths)):
        benchmark = log_of(path, ".tsv", results=folder / RESULTS, logs=folder / LOGS)
        found.append((Manifest.model_validate_json(path.read_bytes()), benchmark))
    return found


def _measured(before: list[tuple[Manifest, Path]]) -> tuple[float | None, float | None]:
    """Seconds and bytes an image of what is finished."""
    images = sum(len(manifest.samples) for manifest, _ in before)
    if not images:
        return None, None
    size = sum(file.size for manifest, _ in before for file in manifest.files.values())
    timed = [(len(manifest.samples), taken) for manifest, path in before if (taken := seconds_of(path)) is not None]
    count = sum(samples for samples, _ in timed)
    return (sum(taken for _, taken in timed) / count if count else None), size / images


def _benchmarked(stage: str, recipe: Any) -> float | None:
    """Seconds an image by `benchmarks/gpu.py`, the fastest card of those that were measured."""
    path = REPOSITORY / "benchmarks" / "results.json"
    backbone = getattr(recipe, "backbone", None)
    if backbone is None or not path.is_file():
        return None
    shape = "embedded" if backbone.kind == "embedded" else like(backbone.kind, backbone.id)
    speed = json.loads(path.read_text()).get("speed", {})
    ways = [found for key, every in speed.items() if key.startswith(f"{shape} on ") for found in every.values()]
    if stage == "invert":
        seconds = [one["invert_seconds_image_step"] * recipe.steps for one in ways]
    else:
        seconds = [one["attend_seconds_image"] for one in ways] if stage == "attend" else []
    return min(seconds, default=None)


def _size_of(stage: str, recipe: Any) -> int:
    """Bytes an image of a stage that has not run yet, by what its format holds."""
    if stage == "invert":
        width = {"embedded": 256}.get(recipe.backbone.kind) or _width(recipe.backbone)
        return 4 * (width * LEARNING + recipe.steps)
    if stage == "attend":
        usual = 16 if recipe.backbone.kind in ("embedded", "stable-diffusion", "ldm") else 64
        side = recipe.backbone.map_resolution or max(recipe.scales or {usual: 1})
        return 4 * WORDS * side**2
    return {"segment": TARGETS, "prompt": TARGETS, "score": TARGETS, "adapt": 0, "report": 100}.get(stage, 1) * _ROW


def _width(backbone: Any) -> int:
    _, _, *encoders = SHAPES[like(backbone.kind, backbone.id)]["parts"].values()
    return sum(int(one.get("hidden_size") or one["d_model"]) for one in encoders)
