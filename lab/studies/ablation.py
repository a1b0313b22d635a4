"""The paper's Table 6: what SAM, prompt learning (PL), the two binding rules (R1, R2) and a text encoder fitted to the
data bring. Eight settings, from thresholded attention to few steps of learning on an adapted encoder.

R1 joins adjectives to their noun, R2 takes other nouns as negatives, and background points where a text has one noun
only (section 2.4 counts them to the same rule).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.options import (
    STUDIES,
    Config,
    Cores,
    Dataset,
    First,
    Json,
    Samples,
    ShardSize,
    Similarity,
    Split,
    chosen_dataset,
)
from lab.studies.scores import score_of
from lab.studies.table import Figure, Row, Table, keep, save
from lab.studies.workflow import run_present, shipped
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS


@dataclass(frozen=True)
class Setting:
    """One row of the table. `learning` says how long: none, half of the steps, all, or few on an adapted encoder."""

    name: str
    sam: bool
    learning: str
    r1: bool
    r2: bool


SETTINGS = (
    Setting("attention", sam=False, learning="none", r1=False, r2=False),
    Setting("sam", sam=True, learning="none", r1=False, r2=False),
    Setting("pl-half", sam=True, learning="half", r1=False, r2=False),
    Setting("pl", sam=True, learning="all", r1=False, r2=False),
    Setting("pl-r1", sam=True, learning="all", r1=True, r2=False),
    Setting("pl-r2", sam=True, learning="all", r1=False, r2=True),
    Setting("pl-r1-r2", sam=True, learning="all", r1=True, r2=True),
    Setting("lora-r1-r2", sam=True, learning="few", r1=True, r2=True),
)
"""In the paper's order: its steps are none, 550 (half), 1100 (all) and, with LoRA, 50 (few)."""

LABELS = ("setting", "SAM", "PL", "R1", "R2")
COLUMNS = ("AP50", "AP50_real_scores", "mAP", "mIoU", "recall", "mIoU_by_span", "mIoU_by_iou")
DRAWN = ("mAP", "mIoU", "recall", "mIoU_by_span")
_PAPERS = {"few": 50, "half": 550, "all": 1100}


@dataclass(frozen=True)
class Steps:
    """Optimisation steps of the three lengths of learning."""

    few: int
    half: int
    all: int

    def of(self, learning: str) -> int:
        return {"none": 0, "few": self.few, "half": self.half, "all": self.all}[learning]


def steps_of(given: str, own: int) -> Steps:
    """Steps as the command line gives them: nothing (the inverter's own), ALL, or FEW,HALF,ALL.

    From one number the others follow by the paper's ratios, 50 and 550 of 1100, at least one step each.

    >>> steps_of("", 1100), steps_of("16", 40).few
    (Steps(few=50, half=550, all=1100), 1)
    """
    try:
        numbers = [int(part) for part in given.split(",")] if given.strip() else [own]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or any(number < 1 for number in numbers):
        raise AnywordError(f"--steps '{given}' is neither one number nor three.", remedy="Write 1100 or 50,550,1100.")
    if len(numbers) == 3:
        return Steps(*numbers)
    few, half = (max(1, round(numbers[0] * _PAPERS[part] / _PAPERS["all"])) for part in ("few", "half"))
    return Steps(few, half, numbers[0])


@dataclass(frozen=True)
class Choice:
    """What the settings are made of, by name in the configuration."""

    like: str
    """The experiment whose recipes are the full setting's."""
    attention: str
    """The segmenter that cuts maps without SAM."""
    adapter: str
    """The adapter of the last setting."""
    parser: str | None = None
    """Instead of the experiment's."""


def configuration(
    base: Mapping[str, Any],
    choice: Choice,
    *,
    dataset: str,
    steps: Steps,
    settings: Sequence[Setting] = SETTINGS,
    similarity: str = "",
) -> dict[str, Any]:
    """What the study adds to the configuration: recipes and an experiment a setting, on a dataset that `base` or the
    caller names. Inverters are named by their steps, so settings that learn alike share the inversion.
    """
    if choice.like not in base["experiments"]:
        raise AnywordError(f"--like '{choice.like}' is none of {', '.join(base['experiments'])}.")
    full = base["experiments"][choice.like]
    inverter = base["inverters"][full["inverter"]]
    prompter = base["prompters"][full["prompter"]]
    inverters: dict[str, Any] = {}
    prompters: dict[str, Any] = {}
    experiments: dict[str, Any] = {}
    for one in settings:
        count = steps.of(one.learning)
        name = f"{full['inverter']}-{count}" if count else "none"  # the ladder's name for it: shared where both ran
        inverters[name] = {key: value for key, value in inverter.items() if key != "adapter"} | {"steps": count}
        if one.learning == "few":
            name += f"-{choice.adapter}"
            inverters[name] = {**inverter, "steps": count, "adapter": choice.adapter}
        elif count == inverter.get("steps", _PAPERS["all"]) and "adapter" not in inverter:
            inverters.pop(name)
            name = full["inverter"]  # the recipe as it stands: its inversions may be there already
        rules = {(True, True): full["prompter"], (True, False): "r1", (False, True): "r2", (False, False): "unbound"}
        bound = rules[one.r1, one.r2]
        if bound != full["prompter"]:
            prompters[bound] = prompter | {"adjectives": one.r1, "exclusion": one.r2}
            if not one.r2:
                prompters[bound] |= {"background_points": [0, 0]}
        experiments[experiment(dataset, one)] = {
            **full,
            "dataset": dataset,
            "parser": choice.parser or full["parser"],
            "inverter": name,
            "prompter": bound,
            "segmenter": full["segmenter"] if one.sam else choice.attention,
            "scorer": "grandf-figures",
        }
    return {
        "inverters": inverters,
        "prompters": prompters,
        "scorers": {"grandf-figures": {"kind": "grandf", **({"similarity": similarity} if similarity else {})}},
        "experiments": experiments,
        "targets": list(experiments),
    }


def experiment(dataset: str, setting: Setting) -> str:
    return f"{dataset}-{setting.name}"


def fitted(
    base: Mapping[str, Any], inverter: Mapping[str, Any], dataset: str, pairs: int | None, steps: int | None
) -> tuple[str, dict[str, Any]]:
    """The adapter of the last setting by name, and what the configuration lacks for it: its own `lora`, on the
    inverter's backbone, with other pairs or steps where given."""
    from lab.studies.inversion import adapter_recipe
    from lab.studies.variants import ADAPTER

    recipe, data = adapter_recipe(base, {"backbone": "embedded", **inverter}, dataset, pairs)
    recipe = recipe if steps is None else {**recipe, "steps": steps}
    if recipe == base["adapters"]["lora"]:
        return "lora", {}
    return ADAPTER, {"datasets": data, "adapters": {ADAPTER: recipe}}


def figures_of(results: Path, dataset: str, name: str) -> dict[str, Figure]:
    """The columns of one experiment, from its score."""
    score = score_of(results, dataset, name)
    official = score["official"]
    found: dict[str, Figure] = {key: official[key] for key in ("AP50", "AP50_real_scores", "mAP", "mIoU", "recall")}
    return found | {
        "mIoU_by_span": score["phrases"]["miou"],
        "mIoU_by_iou": score["phrases"]["miou_matched_by_iou"],
    }


def labels(setting: Setting, steps: Steps) -> list[str]:
    """The row's cells before its figures."""
    count = steps.of(setting.learning)
    said = "1 step" if count == 1 else f"{count} steps"
    learning = {"none": "", "few": f"LoRA + {said}"}.get(setting.learning, said)
    marks = ["yes" if one else "" for one in (setting.r1, setting.r2)]
    return [setting.name, "yes" if setting.sam else "", learning, *marks]


def ablation(
    samples: Samples = 200,
    json: Json = None,
    split: Split = "test",
    first: First = 0,
    dataset: Dataset = "",
    like: Annotated[str, typer.Option(help="The experiment whose recipes are those of the full setting.")] = "truth",
    parser: Annotated[str, typer.Option(help="Another parser than that experiment's.")] = "",
    steps: Annotated[
        str,
        typer.Option(help="Steps of learning: ALL, or FEW,HALF,ALL; '': the inverter's, in the paper's ratios."),
    ] = "",
    settings: Annotated[str, typer.Option(help="Only these settings, comma-separated.")] = "",
    attention: Annotated[str, typer.Option(help="The segmenter of the setting without SAM.")] = "attention",
    adapter: Annotated[str, typer.Option(help="One of the configuration's adapters; '': its lora.")] = "",
    pairs: Annotated[int | None, typer.Option(help="Training pairs of lora, if other than its own.", min=1)] = None,
    adapter_steps: Annotated[int | None, typer.Option(help="Its steps, if other than its own.", min=1)] = None,
    similarity: Similarity = "",
    shard_size: ShardSize = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """What SAM, prompt learning, the two binding rules and a fitted text encoder bring (the paper's Table 6)."""
    from stages.config import complete_config, merged

    base = complete_config(config)
    name, recipe = chosen_dataset(base, dataset, split, first, samples, shard_size)
    names = [one.strip() for one in settings.split(",") if one.strip()]
    unknown = set(names) - {one.name for one in SETTINGS}
    if unknown:
        raise AnywordError(f"--settings '{sorted(unknown)[0]}' is none of {', '.join(one.name for one in SETTINGS)}.")
    chosen = [one for one in SETTINGS if one.name in names or not names]
    base = merged(base, {"datasets": {name: recipe}})
    if like not in base["experiments"]:
        raise AnywordError(f"--like '{like}' is none of {', '.join(base['experiments'])}.")
    inverter = base["inverters"][base["experiments"][like]["inverter"]]
    if any(one.learning == "few" for one in chosen) and not adapter:
        adapter, lacking = fitted(base, inverter, name, pairs, adapter_steps)
        base = merged(base, lacking)
    counts = steps_of(steps, inverter.get("steps", 1100))
    choice = Choice(like=like, attention=attention, adapter=adapter, parser=parser or None)
    added = configuration(base, choice, dataset=name, steps=counts, settings=chosen, similarity=similarity)
    folder = STUDIES / f"ablation-{name}"
    missing = run_present(base, added, folder=folder, cores=cores)
    rows = []
    for one in chosen:
        key = experiment(name, one)
        figures = {} if key in missing else figures_of(RESULTS, name, key)
        rows.append(Row(labels(one, counts), figures, missing.get(key, "")))
    if not dataset:
        rows.append(Row(["the paper's settings on GranDf", "", "", "", ""], {}, shipped("grandf", "grandf")))
    found = Table(LABELS, COLUMNS, rows)
    text = save(folder, "ablation", found, drawn=DRAWN, title=f"Ablation on {name}")
    keep({"dataset": name, "like": like, "rows": found.json()}, folder / "ablation.json", json)
    typer.echo(text)
