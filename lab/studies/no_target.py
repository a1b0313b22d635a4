"""When is "nothing" the answer? A decision fitted on validation scenes and held against test scenes.

Half of the expressions name an object that is not in the scene (`kind: expression-world`). Without a decision an
experiment always answers with a mask; with one it may say that nothing is meant, as gRefCOCO asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lab.studies import calibration
from lab.studies.options import STUDIES, Config, Cores, First, Json, ShardSize
from lab.studies.table import keep, markdown, save_figure, write_csv
from lab.studies.workflow import run_experiments
from stages.artifacts.atomic import write_bytes, write_json
from stages.artifacts.compose import referred
from stages.artifacts.errors import AnywordError
from stages.artifacts.no_target import NoTarget
from stages.artifacts.results import RESULTS, Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.score.bootstrap import mean
from stages.score.collector import Case
from stages.score.recipe import Grefcoco
from stages.score.referring import Expressions, Referring, grefcoco_ious

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FEATURES = ("score", "contrast", "attention", "agreement")
DECISIONS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in FEATURES}, "all": FEATURES}
"""The columns that each decision weighs."""
NONE = "no decision"
SCORER = "no-target"
BINS = ("from", "to", "count", "predicted", "observed")
"""Columns of a reliability table."""


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
    head = ["decision", "N-acc", "T-acc", "gIoU", "gain", "ECE", "Brier", "AUC"]
    rows = []
    for name, one in found["decisions"].items():
        honest = found["calibration"].get(name, {})
        cells = [one["N_acc"], one["T_acc"], one["gIoU"], one.get("gIoU_gain")]
        cells += [honest.get(key) for key in ("ECE", "Brier", "AUC")]
        rows.append([name, *(_cell(cell) for cell in cells)])
    reliability = found["calibration"]["all"]["reliability"]
    lines = [markdown(head, rows), "", "Reliability of `all` (probability that the object is there):", ""]
    shown = [[f"{row['from']:.1f}", f"{row['to']:.1f}", *(row[key] for key in BINS[2:])] for row in reliability]
    lines.append(markdown(BINS, shown))
    kinds = found["decisions"]["all"]["N_acc_by_kind"]
    if kinds:
        lines += ["", "N-acc of `all` by the exchanged word: " + ", ".join(f"{k} {v:.3f}" for k, v in kinds.items())]
    return "\n".join(lines)


def numbers(found: Mapping[str, Any]) -> list[list[object]]:
    """A line a decision and figure: value and interval."""
    every = {name: {**one, **found["calibration"].get(name, {})} for name, one in found["decisions"].items()}
    return [
        [name, figure, value["value"], value["low"], value["high"]]
        for name, one in every.items()
        for figure, value in one.items()
        if isinstance(value, dict) and value.keys() == {"value", "low", "high"}
    ]


def bins_of(found: Mapping[str, Any]) -> list[list[object]]:
    """A line a decision and bin of its reliability table."""
    return [
        [name, *(row[key] for key in BINS)] for name, one in found["calibration"].items() for row in one["reliability"]
    ]


def _cell(figure: Mapping[str, float | None] | None) -> str | None:
    """A figure with its interval; percentages with one place."""
    if figure is None or figure["value"] is None:
        return None
    places = 1 if max(abs(v) for v in figure.values() if v is not None) > 1 else 3
    value, low, high = (None if v is None else f"{v:.{places}f}" for v in (figure[k] for k in ("value", "low", "high")))
    return f"{value} ({low} to {high})" if low is not None else value


def reliability_diagram(found: Mapping[str, Any]) -> Figure:
    """The reliability diagram of a study's `figures`.

    Above, each decision's observed share against its predicted probability, a point a bin, its size the bin's samples;
    on the diagonal a probability is honest. Below, how often `all` gives which probability.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    above.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, one in found["calibration"].items():
        rows = [row for row in one["reliability"] if row["count"]]
        x, y = [row["predicted"] for row in rows], [row["observed"] for row in rows]
        sizes = [10 + 90 * row["count"] / found["expressions"] for row in rows]
        strong = name == "all"
        line = above.plot(x, y, linewidth=1.5 if strong else 0.8, alpha=1 if strong else 0.6)[0]
        label = f"{name} (ECE {one['ECE']['value']:.3f})"
        above.scatter(x, y, s=sizes, color=line.get_color(), alpha=1 if strong else 0.6, label=label)
    above.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="observed share with a target")
    above.legend(fontsize=8, loc="upper left", frameon=False)
    rows = found["calibration"]["all"]["reliability"]
    width = 1 / len(rows)
    below.bar([row["from"] for row in rows], [row["count"] for row in rows], width, align="edge", edgecolor="white")
    below.set(xlabel="predicted probability that the object is there", ylabel="expressions")
    return figure


def no_target(
    samples: Annotated[int, typer.Option(help="Test scenes.", min=2)] = 200,
    validation: Annotated[
        int | None, typer.Option(help="Validation scenes to fit on; default: as many as test scenes.", min=4)
    ] = None,
    absent: Annotated[
        float, typer.Option(help="Share of the expressions that name an object that is not there.", min=0.1, max=0.9)
    ] = 0.5,
    like: Annotated[str, typer.Option(help="The experiment whose recipes are used.")] = "truth",
    first: First = 0,
    bins: Annotated[int, typer.Option(help="Bins of the reliability table.", min=2, max=50)] = 10,
    replicates: Annotated[int, typer.Option(help="Bootstrap resamples.", min=0)] = 1000,
    shard_size: ShardSize = 50,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """N-acc, T-acc and gIoU with and without a calibrated "nothing is meant", on expressions of embedded scenes.

    Fits on validation scenes and writes the decision as no_target.json, for `no_target:` of a gRefCOCO scorer.
    """
    from stages.config import complete_config

    base = complete_config(config)
    counts = {"val": validation or samples, "test": samples}
    added, names = configuration(base, like=like, samples=counts, first=first, absent=absent, shard_size=shard_size)
    folder = STUDIES / names["test"]
    run_experiments(base, added, folder=folder, cores=cores)
    parser = base["experiments"][like]["parser"]
    said = {split: read(RESULTS, name, name, parser) for split, name in names.items()}
    decisions = fit(said["val"], fitted_on=f"{counts['val']} validation scenes, experiment '{like}'")
    found = figures(said["test"], decisions, bins=bins, replicates=replicates)
    found |= {"like": like, "absent": absent, "validation": counts["val"]}
    found["fitted"] = {name: one.model_dump(mode="json") for name, one in decisions.items()}
    write_json(folder / "no_target.json", decisions["all"].model_dump(mode="json"))
    keep(found, folder / "figures.json", json)
    text = table(found)
    write_bytes(folder / "no_target.md", (text + "\n").encode())
    write_csv(folder / "no_target.csv", ["decision", "figure", "value", "low", "high"], numbers(found))
    write_csv(folder / "reliability.csv", ["decision", *BINS], bins_of(found))
    save_figure(reliability_diagram(found), folder / "reliability")
    typer.echo(text)
    typer.echo(f"wrote {folder}: no_target.json is the decision")
