"""Text-only prompting (Segment Anyword, F.3, Table 9): the same phrases, given as words to models that find what words
name (GroundingDINO and SAM as in LangSAM; SAM 3), beside points from attention maps.

All experiments share samples and phrases; those of words alone need no inversion and no map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.ladder import choice_of
from lab.studies.options import (
    STUDIES,
    Config,
    Cores,
    Dataset,
    First,
    Json,
    Like,
    Samples,
    ShardSize,
    Split,
    chosen_dataset,
)
from lab.studies.scores import read_scores, score_of
from lab.studies.table import interval, keep, markdown, write_csv
from lab.studies.workflow import run_experiments
from stages.artifacts import AnywordError
from stages.artifacts.atomic import write_bytes
from stages.artifacts.recipes import validated
from stages.artifacts.results import RESULTS
from stages.config import Workflow, merged
from stages.models import hub
from stages.score.bootstrap import paired_difference
from stages.segment.recipe import SegmenterRecipe

OURS = "ours"
NAMES = {OURS: "Segment Anyword", "grounding-dino": "GroundingDINO + SAM", "sam3": "SAM 3"}
FIGURES = ("AP50", "AP50_real_scores", "mIoU", "recall")
"""Of GLaMM's own evaluation; `miou` beside them is ours, phrase by phrase."""
_MODEL_TYPES = {"grounding-dino": ("grounding-dino", "mm-grounding-dino"), "sam3": ("sam3", "sam3_video")}


def recipes(base: Mapping[str, Any], like: str, paths: Mapping[str, Path | None]) -> dict[str, dict[str, Any]]:
    """A segmenter recipe of each text-only kind: the configuration's own, else the kind's defaults.

    paths: where its weights lie, if not where the recipe says, by kind. GroundingDINO's boxes go to the SAM that the
    experiment `like` uses, if it uses one, so that the two differ in their prompts alone.
    """
    segmenters = base["segmenters"]
    own = segmenters[base["experiments"][like]["segmenter"]]
    found: dict[str, dict[str, Any]] = {}
    for kind in (name for name in NAMES if name != OURS):
        recipe = next((dict(one) for one in segmenters.values() if one.get("kind") == kind), {"kind": kind})
        if paths.get(kind) is not None:
            recipe["path"] = str(paths[kind])
        if kind == "grounding-dino" and own.get("kind") == "segment-anything":
            sam = validated("segment", own, SegmenterRecipe).model_dump()
            recipe |= {key: sam[key] for key in ("model", "checkpoint")}
        found[kind] = recipe
    return found


def lacking(recipe: Mapping[str, Any]) -> str | None:
    """Why a text-only recipe cannot run here, in words: its weights are absent, or are none of its kind."""
    complete = validated("segment", recipe, SegmenterRecipe).model_dump()
    name = NAMES[recipe["kind"]]
    try:
        folder = hub.locate(complete["path"], complete["revision"], offline=complete["offline"], what=name)
        hub.check(folder, _MODEL_TYPES[recipe["kind"]], name)
    except AnywordError as error:
        return f"weights absent: {error}"
    return None


def configuration(
    base: Mapping[str, Any], like: str, *, dataset: str, data: Mapping[str, Any], chosen: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the study adds to the configuration, and the experiment of each row.

    data: the dataset's recipe. chosen: segmenter recipes by kind.
    """
    ours = {**base["experiments"][like], "dataset": dataset, "scorer": "text-only"}
    experiments = {f"{dataset}-{OURS}": ours}
    experiments |= {f"{dataset}-{kind}": {**ours, "segmenter": f"text-only-{kind}"} for kind in chosen}
    added = {
        "datasets": {dataset: dict(data)},
        "segmenters": {f"text-only-{kind}": dict(recipe) for kind, recipe in chosen.items()},
        "scorers": {"text-only": {"kind": "grandf"}},
        "experiments": experiments,
        "targets": list(experiments),
    }
    Workflow(merged(base, added))  # a wrong recipe is said before anything runs
    return added, {kind: f"{dataset}-{kind}" for kind in (OURS, *chosen)}


def figures(results: Path, dataset: str, experiments: Mapping[str, str], not_run: Mapping[str, str]) -> dict[str, Any]:
    """By row: mIoU over phrases, the official figures, and the paired difference of mIoU to ours."""
    found: dict[str, Any] = {"dataset": dataset, "rows": {}, "not_run": dict(not_run)}
    scores = {kind: read_scores(results, dataset, name) for kind, name in experiments.items()}
    for kind, name in experiments.items():
        score = score_of(results, dataset, name)
        row: dict[str, Any] = {"miou": score["phrases"]["miou"], "failed": score["failed"]}
        row |= {key: score["official"][key] for key in FIGURES}
        if kind != OURS:
            row["less_ours"] = paired_difference(scores[OURS].ious, scores[kind].ious, replicates=1000).json()
        found["rows"][kind] = row
        found["samples"], found["phrases"] = score["samples"], score["phrases"]["count"]
    return found


def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """A line a method, those that were not run among them."""
    header = ["method", "mIoU by span", *FIGURES, "mIoU less ours", "failed"]
    rows: list[list[object]] = []
    for kind, name in NAMES.items():
        row = found["rows"].get(kind)
        if row is None:
            rows.append([name, "not run: weights absent", *[""] * (len(header) - 2)])
            continue
        cells = [interval(row["miou"]), *(interval(row[key]) for key in FIGURES)]
        rows.append([name, *cells, interval(row.get("less_ours")), row["failed"]])
    return header, rows


def numbers(found: Mapping[str, Any]) -> tuple[list[str], list[Sequence[object]]]:
    """The same for machines: bounds in columns of their own, the reason where a method was not run."""
    keys = ("miou", *FIGURES, "less_ours")
    header = ["method", *(f"{key}{end}" for key in keys for end in ("", "_low", "_high")), "failed", "not_run"]
    rows: list[Sequence[object]] = []
    nothing = {"value": None, "low": None, "high": None}
    for kind, name in NAMES.items():
        row = found["rows"].get(kind, {})
        values = [row.get(key, nothing)[end] for key in keys for end in ("value", "low", "high")]
        rows.append([name, *values, row.get("failed"), found["not_run"].get(kind)])
    return header, rows


def text_only(
    samples: Samples = 200,
    dataset: Dataset = "",
    grounding_dino: Annotated[
        Path | None, typer.Option(help="Folder of a GroundingDINO; default: the configuration's, or the hub's cache.")
    ] = None,
    sam3: Annotated[Path | None, typer.Option(help="Folder of a SAM 3; default: likewise.")] = None,
    split: Split = "test",
    first: First = 0,
    like: Like = "truth",
    shard_size: ShardSize = 50,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """Points from attention against words alone: GroundingDINO's boxes into SAM, and SAM 3, on the same phrases.

    A method whose weights are not here is a row "not run", and its reason is printed. Weights are folders in
    transformers' layout with safetensors; GroundingDINO's boxes go to the SAM of --like. Tables go to
    results/studies/text-only-…/: text-only.md and .csv.
    """
    from stages.config import complete_config

    base = complete_config(config)
    choice_of(base, like)
    name, data = chosen_dataset(base, dataset, split, first, samples, shard_size)
    every = recipes(base, like, {"grounding-dino": grounding_dino, "sam3": sam3})
    not_run = {kind: reason for kind, recipe in every.items() if (reason := lacking(recipe)) is not None}
    chosen = {kind: recipe for kind, recipe in every.items() if kind not in not_run}
    added, experiments = configuration(base, like, dataset=name, data=data, chosen=chosen)
    folder = STUDIES / f"text-only-{name}"
    run_experiments(base, added, folder=folder, cores=cores)
    found = figures(RESULTS, name, experiments, not_run) | {"like": like}
    keep(found, folder / "text-only.json", json)
    write_csv(folder / "text-only.csv", *numbers(found))
    lines = [markdown(*table(found)), "", f"{found['samples']} samples, {found['phrases']} phrases."]
    lines += [f"not run: {NAMES[kind]}: {reason}" for kind, reason in not_run.items()]
    text = "\n".join(lines)
    write_bytes(folder / "text-only.md", (text + "\n").encode())
    typer.echo(text)
