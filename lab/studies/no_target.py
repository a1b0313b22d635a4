"""When is "nothing" the answer? A decision fitted on validation scenes and held against test scenes.

Half of the expressions name an object that is not in the scene (`kind: expression-world`). Without a decision an
experiment always answers with a mask; with one it may say that nothing is meant, as gRefCOCO asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.studies import calibration
from stages.artifacts.compose import referred
from stages.artifacts.errors import AnywordError
from stages.artifacts.no_target import NoTarget
from stages.artifacts.results import Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.score.bootstrap import mean
from stages.score.collector import Case
from stages.score.recipe import Grefcoco
from stages.score.referring import Expressions, Referring, grefcoco_ious

FEATURES = ("score", "contrast", "attention", "agreement")
DECISIONS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in FEATURES}, "all": FEATURES}
"""The columns that each decision weighs."""
NONE = "no decision"
SCORER = "no-target"


@dataclass(frozen=True)
class Said:
    """One expression, and the mask that answers it."""

    case: Case
    row: Mapping[str, Any] | None
    """The row of the masks table; None where the sample failed or its text has no phrase."""

    @property
    def has_target(self) -> bool:
        return bool(self.case.truth)


def configuration(
    base: Mapping[str, Any], *, like: str, samples: Mapping[str, int], first: int, absent: float, shard_size: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the study adds to the configuration, and its datasets by split (experiments are called the same)."""
    if like not in base["experiments"]:
        raise AnywordError(f"--like '{like}' is no experiment of the configuration.")
    names = {split: f"no-target-{like}-{split}-{first}-{count}-{absent:g}" for split, count in samples.items()}
    world = {"kind": "expression-world", "absent": absent, "first": first, "shard_size": shard_size}
    added = {
        "datasets": {names[split]: {**world, "split": split, "count": count} for split, count in samples.items()},
        "scorers": {SCORER: {"kind": "grefcoco"}},
        "experiments": {
            name: {**base["experiments"][like], "dataset": name, "scorer": SCORER} for name in names.values()
        },
        "targets": list(names.values()),
    }
    return added, names


def read(results: Path, dataset: str, experiment: str, parser: str) -> list[Said]:
    """The expressions of a finished experiment, failed ones among them, in order."""
    found = []
    made = Results(results / dataset)
    for shard in made.shards():
        inputs = {
            "samples": ShardReader(made.samples(shard), "samples"),
            "phrases": ShardReader(made.phrases(parser, shard), "parse"),
            "masks": ShardReader(made.masks(experiment, shard), "segment"),
        }
        check_lineage(inputs)
        truth, masks = inputs["samples"].table("truth"), inputs["masks"].table("masks")
        about = {row["sample_id"]: row["referred"] for row in inputs["phrases"].table("phrases")}
        for sample in inputs["samples"].table("samples"):
            name = sample["sample_id"]
            case = Case(
                sample,
                [row for row in truth if row["sample_id"] == name],
                [row for row in masks if row["sample_id"] == name],
                about.get(name),
            )
            found.append(Said(case, referred(case.predictions, case.referred)))
    return found


def answered(said: Sequence[Said], decision: NoTarget | None) -> Expressions:
    """Truth against answers as the gRefCOCO scorer takes them, with or without a decision."""
    recipe = {"no_target": None if decision is None else decision.model_dump()}
    collector = Referring(Grefcoco.model_validate(recipe))
    for one in said:
        collector.add(one.case)
    return collector.expressions


def fit(said: Sequence[Said], fitted_on: str) -> dict[str, NoTarget]:
    """The decisions of DECISIONS, fitted on validation expressions that have a mask."""
    seen = [one for one in said if one.row is not None]
    targets = np.array([one.has_target for one in said], dtype=bool)
    ious = grefcoco_ious(answered(said, None))[targets]
    if not len(ious) or not seen:
        raise AnywordError("no validation expression has a target and a mask.", remedy="Use more scenes.")
    options: dict[str, Any] = {"mean_iou": float(ious.mean()), "fitted_on": fitted_on}
    answers = [one.has_target for one in seen]
    return {
        name: calibration.decision({key: [one.row[key] for one in seen] for key in keys}, answers, **options)  # type: ignore[index]
        for name, keys in DECISIONS.items()
    }


def probabilities(said: Sequence[Said], decision: NoTarget) -> np.ndarray:
    """The probability of each expression's mask; 0 where there is none."""
    found = np.zeros(len(said))
    seen = [i for i, one in enumerate(said) if one.row is not None]
    found[seen] = decision.probabilities([said[i].row for i in seen])  # type: ignore[misc]
    return found


def figures(
    said: Sequence[Said], decisions: Mapping[str, NoTarget], *, bins: int, replicates: int, seed: int = 0
) -> dict[str, Any]:
    """Test figures without a decision and with each: ReLA's, the gain in gIoU, and how honest the probabilities are."""
    from stages.score.referring import grefcoco

    options = {"replicates": replicates, "seed": seed}
    images = [one.case.sample["image_sha256"] for one in said]
    answers = np.array([one.has_target for one in said], dtype=bool)
    plain = answered(said, None)
    base = grefcoco_ious(plain)
    kinds = sorted({tag for one in said for tag in one.case.sample["tags"] if tag.startswith("exchanged_")})
    found: dict[str, Any] = {
        "expressions": len(said),
        "no_target": int((~answers).sum()),
        "without_mask": sum(one.row is None for one in said),
        "decisions": {NONE: grefcoco(plain, **options)},
        "calibration": {},
    }
    for name, decision in decisions.items():
        given = answered(said, decision)
        gain = mean(list(100 * (grefcoco_ious(given) - base)), images, **options)
        by_kind = {
            kind.removeprefix("exchanged_"): float(given.predicted_none[here].mean())
            for kind in kinds
            if (here := np.array([kind in one.case.sample["tags"] for one in said])).any()
        }
        found["decisions"][name] = {**grefcoco(given, **options), "gIoU_gain": gain.json(), "N_acc_by_kind": by_kind}
        p = probabilities(said, decision)
        found["calibration"][name] = _honesty(p, answers, images, bins, options)
    return found


def _honesty(
    p: np.ndarray, answers: np.ndarray, images: Sequence[str], bins: int, options: Mapping[str, int]
) -> dict[str, Any]:
    measures = {
        "ECE": lambda p, y: calibration.calibration_error(p, y, bins),
        "Brier": calibration.brier,
        "AUC": calibration.auc,
    }
    result: dict[str, Any] = {"reliability": calibration.reliability(p, answers, bins)}
    for name, measure in measures.items():
        low, high = calibration.resampled(lambda at, m=measure: m(p[at], answers[at]), images, **options)
        result[name] = {"value": measure(p, answers), "low": low, "high": high}
    return result


def table(found: Mapping[str, Any]) -> str:
    """The figures as Markdown: a line a decision, each figure with its interval, then the reliability of `all`."""
    from lab.studies.scores import markdown

    head = ["decision", "N-acc", "T-acc", "gIoU", "gain", "ECE", "Brier", "AUC"]
    rows = []
    for name, one in found["decisions"].items():
        honest = found["calibration"].get(name, {})
        cells = [one["N_acc"], one["T_acc"], one["gIoU"], one.get("gIoU_gain")]
        cells += [honest.get(key) for key in ("ECE", "Brier", "AUC")]
        rows.append([name, *(_cell(cell) for cell in cells)])
    reliability = found["calibration"]["all"]["reliability"]
    lines = [markdown(head, rows), "", "Reliability of `all` (probability that the object is there):", ""]
    keys = ("from", "to", "count", "predicted", "observed")
    lines.append(
        markdown(keys, [[f"{row['from']:.1f}", f"{row['to']:.1f}", *(row[k] for k in keys[2:])] for row in reliability])
    )
    kinds = found["decisions"]["all"]["N_acc_by_kind"]
    if kinds:
        lines += ["", "N-acc of `all` by the exchanged word: " + ", ".join(f"{k} {v:.3f}" for k, v in kinds.items())]
    return "\n".join(lines)


def _cell(figure: Mapping[str, float | None] | None) -> str | None:
    """A figure with its interval; percentages with one place."""
    if figure is None or figure["value"] is None:
        return None
    places = 1 if max(abs(v) for v in figure.values() if v is not None) > 1 else 3
    value, low, high = (None if v is None else f"{v:.{places}f}" for v in (figure[k] for k in ("value", "low", "high")))
    return f"{value} ({low} to {high})" if low is not None else value
