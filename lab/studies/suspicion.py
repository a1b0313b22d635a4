"""Which figures find wrong masks without truth? Measured on embedded scenes, where truth is at hand.

A mask is wrong where its IoU with its phrase's truth is below a half. Each label-free figure of the page is held
against that, and so is a rule of a few figures, chosen and fitted on validation scenes: the page's "suspicious first".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lab.studies.calibration import auc, fit_logistic, resampled
from lab.studies.options import STUDIES, Config, Cores, First, Json, ShardSize, scenes
from lab.studies.table import Row, Table, keep
from lab.studies.workflow import made_by, run_experiments
from stages.artifacts.atomic import write_bytes, write_json
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS, Results
from stages.artifacts.shard_reader import ShardReader
from stages.artifacts.shards import open_shard
from stages.report.figures import FIGURES
from stages.report.rows import line
from stages.report.suspicion import scaled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

WRONG = 0.5
UNLIKE = {"area", "loss"}
"""Figures that stay out of the rule: they say what the image is like rather than what the mask is."""
GAIN = 0.01
"""Less cross-validated AUC than this brings no figure into the rule."""
MOST = 3
"""Figures in the rule: more could not be told to a reader."""
FOLDS = 5


@dataclass(frozen=True)
class Masks:
    """Phrases' masks that answer a truth: their figures, a column each, and whether they are wrong."""

    values: dict[str, Float64[np.ndarray, " masks"]]
    wrong: Bool[np.ndarray, " masks"]
    scene: list[str]

    def columns(self, names: Sequence[str]) -> Float64[np.ndarray, "masks figures"]:
        """As the rule reads them."""
        return np.column_stack([[scaled(name, value) for value in self.values[name]] for name in names])


def read(results: Results, experiment: str) -> Masks:
    """The masks of a finished, scored experiment. A figure that a mask has not counts as its mean."""
    score: dict[str, dict[tuple[str, int], dict[str, str]]] = {}
    with ShardReader(results.score(experiment), "score").file("scores.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            score.setdefault(row["sample_id"], {})[row["kind"], int(row["index"])] = row
    rows: list[dict[str, float]] = []
    wrong, scene = [], []
    for name in results.shards():
        shard = open_shard(results, experiment, name)
        for position, sample in enumerate(shard.ids):
            found = line(shard, position, score.get(sample, {}))
            for (kind, _), truth in score.get(sample, {}).items():
                if kind == "phrase" and truth["answer"] and int(truth["answer"]) in found.by_phrase:
                    rows.append(found.by_phrase[int(truth["answer"])])
                    wrong.append(float(truth["iou"]) < WRONG)
                    scene.append(sample)
    names = [one.name for one in FIGURES if any(one.name in row for row in rows)]
    values = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    filled = {name: np.where(np.isnan(one), np.nanmean(one), one) for name, one in values.items()}
    return Masks(filled, np.array(wrong, dtype=bool), scene)


def chosen(masks: Masks) -> list[str]:
    """The figures of the rule: one after another the one that brings the most cross-validated AUC, while it brings
    any."""
    usable = [name for name in masks.values if name not in UNLIKE]
    found: list[str] = []
    best = 0.5
    while len(found) < MOST:
        gains = {name: crossed(masks, [*found, name]) for name in usable if name not in found}
        name = max(gains, key=lambda one: gains[one], default="")
        if not name or gains[name] <= best + GAIN:
            break
        found, best = [*found, name], gains[name]
    return found


def crossed(masks: Masks, names: Sequence[str]) -> float:
    """AUC of a logistic rule over these figures, each scene judged by a rule fitted on other scenes."""
    order = {scene: i for i, scene in enumerate(dict.fromkeys(masks.scene))}
    fold = np.array([order[scene] % FOLDS for scene in masks.scene])
    values = masks.columns(names)
    judged = np.zeros(len(values))
    for number in range(FOLDS):
        here = fold == number
        if masks.wrong[~here].all() or not masks.wrong[~here].any():
            return 0.5
        weights, bias = fit_logistic(values[~here], masks.wrong[~here])
        judged[here] = values[here] @ weights + bias
    return auc(judged, masks.wrong) or 0.5


def rule(masks: Masks, names: Sequence[str], fitted_on: str) -> dict[str, Any]:
    """The rule as `stages.report.suspicion` reads it."""
    values = masks.columns(names)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    weights, bias = fit_logistic((values - mean) / spread, masks.wrong)
    terms = zip(names, mean, spread, weights, strict=True)
    return {
        "bias": round(bias, 3),
        "terms": [
            {"figure": name, "mean": round(float(m), 4), "deviation": round(float(s), 4), "weight": round(float(w), 3)}
            for name, m, s, w in terms
        ],
        "fitted_on": fitted_on,
    }


def figures(masks: Masks, found: Mapping[str, Any], replicates: int) -> dict[str, Any]:
    """AUC for a wrong mask of every figure, in the direction that it is suspicious in, and of the rule."""
    judged = {one.name: one.direction * masks.values[one.name] for one in FIGURES if one.name in masks.values}
    total = np.full(len(masks.wrong), found["bias"])
    for term in found["terms"]:
        values = masks.columns([term["figure"]])[:, 0]
        total += term["weight"] * (values - term["mean"]) / term["deviation"]
    judged["rule"] = total
    result: dict[str, Any] = {"masks": len(masks.wrong), "wrong": int(masks.wrong.sum()), "auc": {}}
    for name, values in judged.items():
        low, high = resampled(
            lambda at, values=values: auc(values[at], masks.wrong[at]), masks.scene, replicates=replicates, seed=0
        )
        result["auc"][name] = {"value": auc(values, masks.wrong), "low": low, "high": high}
    worst = np.argsort(-judged["rule"], kind="stable")[: max(1, len(total) // 20)]
    result["wrong_in_first_twentieth"] = int(masks.wrong[worst].sum())
    return result


def table(found: Mapping[str, Any]) -> str:
    """A line a figure, the best first; Markdown."""
    labels = {one.name: one.label for one in FIGURES} | {"rule": "**the rule**"}
    order = sorted(found["auc"], key=lambda name: -(found["auc"][name]["value"] or 0))
    rows = [Row([labels[name]], {"AUC": found["auc"][name]}) for name in order]
    return Table(["figure"], ["AUC"], rows).markdown()


def suspicion(
    samples: Annotated[int, typer.Option(help="Test scenes.", min=2)] = 200,
    validation: Annotated[int, typer.Option(help="Validation scenes that the rule is fitted on.", min=10)] = 200,
    like: Annotated[str, typer.Option(help="The experiment whose recipes are used.")] = "spacy",
    first: First = 0,
    replicates: Annotated[int, typer.Option(help="Bootstrap resamples.", min=0)] = 1000,
    shard_size: ShardSize = 50,
    rule_file: Annotated[Path | None, typer.Option("--rule", help="Also write the rule to this file.")] = None,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """How well label-free figures find masks of IoU under .5 on embedded scenes, and the best rule of a few.

    The rule is fitted on validation scenes, and every AUC is on test scenes. `--rule stages/report/suspicion.json`
    makes it the page's.
    """
    from stages.config import complete_config

    base = complete_config(config)
    if like not in base["experiments"]:
        raise AnywordError(f"--like '{like}' is no experiment of the configuration.")
    data = {split: scenes(split, first, count, shard_size) for split, count in (("val", validation), ("test", samples))}
    names = {split: f"{name}-{like}" for split, (name, _) in data.items()}
    added = {
        "datasets": dict(data.values()),
        "experiments": {
            names[split]: {**base["experiments"][like], "dataset": name} for split, (name, _) in data.items()
        },
        "targets": list(names.values()),
    }
    folder = STUDIES / f"suspicion-{names['test']}"
    run_experiments(base, added, folder=folder, cores=cores)
    masks = {split: read(Results(RESULTS / data[split][0]), names[split]) for split in data}
    if not masks["val"].wrong.any() or masks["val"].wrong.all():
        raise AnywordError("the validation scenes have no wrong mask, or no right one.", remedy="Use more scenes.")
    fitted = rule(masks["val"], chosen(masks["val"]), f"{validation} validation scenes, experiment '{like}'")
    found = {
        "samples": samples,
        "validation": validation,
        "like": like,
        **figures(masks["test"], fitted, replicates),
        "rule": fitted,
        "made_by": made_by(base, like),
    }
    text = table(found)
    write_bytes(folder / "suspicion.md", (text + "\n").encode())
    if rule_file is not None:
        write_json(rule_file, fitted)
    keep(found, folder / "figures.json", json)
    typer.echo(text)
    typer.echo(f"{found['wrong']} of {found['masks']} masks are wrong; wrote {folder}")
