"""The ladder: what each part of Segment Anyword adds, on the embedded world (after the paper's Table 6).

Four settings, each one step above the last. All take as many positive points a phrase, and their thresholds were
chosen on validation scenes (`anyword study thresholds`, below).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lab.studies.options import STUDIES, Config, Cores, Json, scenes
from lab.studies.scores import Key, read_scores
from lab.studies.table import keep, markdown
from lab.studies.workflow import made_by, run_experiments
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS

RUNGS = ("attention_only", "sam", "inversion", "full")
"""attention_only: the noun's map, thresholded. sam: points from it. inversion: from the map of fitted embeddings.
full: with adjectives, exclusion and background points."""
NAMES = {
    "attention_only": "attention alone",
    "sam": "with SAM",
    "inversion": "with inversion",
    "full": "with grammar",
}
PARTS = {
    "all": "all",
    "synonyms": "unseen synonyms",
    "known": "scenes of known words",
    "same_noun": "scenes with one noun twice",
    "object": "objects",
    "small": "objects under 2 %",
    "ground": "grounds",
}
"""What the parts of the phrases are called."""

IoUs = Mapping[Key, float]


@dataclass(frozen=True)
class Choice:
    """The recipes that the rungs are made of, by name in the configuration."""

    inverter: str = "embedded"
    attender: str = "direct"
    prompter: str = "binding"
    segmenter: str = "embedded"
    attention: str = "attention"
    parser: str = "truth"


def choice_of(base: Mapping[str, Any], like: str) -> Choice:
    """The recipes of an experiment; AnywordError where there is none of that name."""
    chosen = base["experiments"].get(like)
    if chosen is None:
        raise AnywordError(f"--like '{like}' is none of {', '.join(sorted(base['experiments']))}.")
    return Choice(**{key: chosen[key] for key in ("inverter", "attender", "prompter", "segmenter", "parser")})


def configuration(
    base: Mapping[str, Any], choice: Choice, *, dataset: str, split: str, first: int, samples: int, shard_size: int
) -> dict[str, Any]:
    """What a ladder adds to the repository's configuration: a dataset, the rungs' recipes, five experiments."""
    prompter = base["prompters"][choice.prompter]
    plain = {**prompter, "adjectives": False, "exclusion": False, "background_points": [0, 0]}
    inverter = {**base["inverters"][choice.inverter], "steps": 0}
    attention = base["segmenters"][choice.attention]
    common = {"dataset": dataset, "parser": choice.parser, "attender": choice.attender}
    bare = {**common, "inverter": "none", "prompter": "unbound"}
    rungs = {
        "attention_only": {**bare, "segmenter": choice.attention},
        "attention_only_half": {**bare, "segmenter": "attention-half"},
        "sam": {**bare, "segmenter": choice.segmenter},
        "inversion": {**bare, "inverter": choice.inverter, "segmenter": choice.segmenter},
        "full": {**common, "inverter": choice.inverter, "prompter": choice.prompter, "segmenter": choice.segmenter},
    }
    return {
        "datasets": {
            dataset: {"kind": "world", "split": split, "first": first, "count": samples, "shard_size": shard_size}
        },
        "inverters": {"none": inverter},
        "prompters": {"unbound": plain},
        "segmenters": {"attention-half": {**attention, "threshold": 0.5}},
        "experiments": {experiment(dataset, rung): chosen for rung, chosen in rungs.items()},
        "targets": [experiment(dataset, rung) for rung in rungs],
    }


def experiment(dataset: str, rung: str) -> str:
    return f"{dataset}-{rung.replace('_', '-')}"


def figures(
    ious: Mapping[str, IoUs],
    tags: Mapping[Key, Sequence[str]],
    difference: Callable[[IoUs, IoUs], Mapping[str, float | None]],
) -> dict[str, Any]:
    """The ladder's figures: mIoU over noun phrases of each rung, on all captions and on parts of them.

    ious: by rung, the IoU of every phrase. tags: of every phrase. difference: second minus first, with interval.
    """
    keys = list(ious["full"])
    unseen = {key[0] for key in keys if "synonym" in tags[key]}
    twins = {key[0] for key in keys if "same_noun" in tags[key]}
    parts: dict[str, Callable[[Key], bool]] = {
        "synonyms": lambda key: "synonym" in tags[key],
        "known": lambda key: key[0] not in unseen,
        "same_noun": lambda key: key[0] in twins,
        "object": lambda key: "ground" not in tags[key],
        "small": lambda key: "small" in tags[key],
        "ground": lambda key: "ground" in tags[key],
    }
    pairs = list(itertools.pairwise(RUNGS))

    def differences(belongs: Callable[[Key], bool]) -> dict[str, Mapping[str, float | None]]:
        return {f"{b}-{a}": dict(difference(_of(ious[a], belongs), _of(ious[b], belongs))) for a, b in pairs}

    result: dict[str, Any] = {rung: _mean(ious[rung]) for rung in (*RUNGS, "attention_only_half")}
    for part, belongs in parts.items():
        result[part] = {rung: _mean(_of(ious[rung], belongs)) for rung in RUNGS}
        result[part]["phrases"] = sum(map(belongs, keys))
    result["samples"] = len({key[0] for key in keys})
    result["phrases"] = len(keys)
    result["differences"] = {part: differences(belongs) for part, belongs in {"all": lambda _: True, **parts}.items()}
    return result


def _of(ious: IoUs, belongs: Callable[[Key], bool]) -> dict[Key, float]:
    return {key: value for key, value in ious.items() if belongs(key)}


def _mean(ious: IoUs) -> float | None:
    return sum(ious.values()) / len(ious) if ious else None


def table(figures: Mapping[str, Any]) -> str:
    """The ladder as Markdown: a line a rung, a column a part, then what each rung adds, with 95 % intervals."""
    parts = [part for part in PARTS if part != "all" and figures[part]["phrases"]]
    head = ["setting", "all", *(PARTS[part] for part in parts)]
    rows = [[NAMES[rung], figures[rung], *(figures[part][rung] for part in parts)] for rung in RUNGS]
    rows.append(["phrases", figures["phrases"], *(figures[part]["phrases"] for part in parts)])
    added = [
        [PARTS[part], *(_signed(figures["differences"][part][f"{b}-{a}"]) for a, b in itertools.pairwise(RUNGS))]
        for part in ("all", *parts)
    ]
    lines = [markdown(head, rows), "", "What each setting adds to the one above it (95 % interval over scenes):", ""]
    lines += [markdown(["phrases", *(f"+ {NAMES[rung].split(' ', 1)[1]}" for rung in RUNGS[1:])], added), ""]
    lines.append(
        f"{figures['samples']} {figures['split']} scenes. "
        f"Attention alone at the paper's threshold of 0.5 has {figures['attention_only_half']:.3f}."
    )
    return "\n".join(lines)


def _signed(one: Mapping[str, float | None]) -> str:
    if one["value"] is None:
        return ""
    return f"{one['value']:+.3f}" + ("" if one["low"] is None else f" ({one['low']:+.3f} to {one['high']:+.3f})")


def ladder(
    samples: Annotated[int, typer.Option(help="Scenes of the embedded world.", min=1)] = 200,
    json: Json = None,
    split: Annotated[str, typer.Option(help="val to tune on, test for figures.")] = "test",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    parser: Annotated[str, typer.Option(help="Whose phrases: one of the configuration's parsers.")] = "truth",
    shard_size: Annotated[int, typer.Option(help="Scenes a job.", min=1)] = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """mIoU over noun phrases of four settings: attention alone, SAM, inversion, and grammar on top."""
    from stages.config import complete_config
    from stages.score.bootstrap import paired_difference

    base = complete_config(config)
    dataset, _ = scenes(split, first, samples, shard_size)
    choice = Choice(parser=parser)
    dataset += "" if parser == "truth" else f"-{parser}"
    added = configuration(
        base, choice, dataset=dataset, split=split, first=first, samples=samples, shard_size=shard_size
    )
    folder = STUDIES / f"ladder-{dataset}"
    run_experiments(base, added, folder=folder, cores=cores)
    scores = {
        rung: read_scores(RESULTS, dataset, experiment(dataset, rung)) for rung in (*RUNGS, "attention_only_half")
    }
    found = figures(
        {rung: one.ious for rung, one in scores.items()},
        scores["full"].tags,
        lambda a, b: paired_difference(a, b, replicates=2000).json(),
    )
    found |= {"split": split, "first": first, "parser": parser, "made": made_by(base)}
    keep(found, folder / "ladder.json", json)
    text = table(found)
    (folder / "ladder.md").write_text(text + "\n", encoding="utf-8")
    typer.echo(text)


def threshold_configuration(
    base: Mapping[str, Any], *, dataset: str, samples: int, values: Sequence[float]
) -> tuple[dict[str, Any], dict[str, dict[float, str]]]:
    """What to add to the configuration, and the experiments by rung and threshold."""
    choice = Choice()
    added = configuration(base, choice, dataset=dataset, split="val", first=0, samples=samples, shard_size=samples)
    template = added["experiments"]
    recipes = {
        "attention_only": ("segmenters", "segmenter", base["segmenters"][choice.attention]),
        "sam": ("prompters", "prompter", added["prompters"]["unbound"]),
        "inversion": ("prompters", "prompter", added["prompters"]["unbound"]),
        "full": ("prompters", "prompter", base["prompters"][choice.prompter]),
    }
    experiments: dict[str, dict[float, str]] = {rung: {} for rung in recipes}
    chosen: dict[str, Any] = {}
    for rung, (section, key, recipe) in recipes.items():
        for value in values:
            name = f"{_recipe_name(section, rung)}-{value:g}"
            added[section][name] = {**recipe, "threshold": value}
            full = f"{experiment(dataset, rung)}-{value:g}"
            chosen[full] = {**template[experiment(dataset, rung)], key: name}
            experiments[rung][value] = full
    return {**added, "experiments": chosen, "targets": list(chosen)}, experiments


def _recipe_name(section: str, rung: str) -> str:
    """Rungs that prompt alike share a recipe's name, and so its results."""
    if section == "segmenters":
        return "attention"
    return "bound" if rung == "full" else "unbound"


def thresholds(
    samples: Annotated[int, typer.Option(help="Validation scenes.", min=1)] = 64,
    values: Annotated[str, typer.Option(help="Thresholds to try, comma-separated.")] = "0.3,0.4,0.5,0.6,0.7,0.8,0.9",
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """Which thresholds serve best on validation scenes: of attention alone, and of the regions points come from."""
    from stages.config import complete_config

    base = complete_config(config)
    dataset = f"thresholds-val-{samples}"
    tried = [float(value) for value in values.split(",")]
    added, experiments = threshold_configuration(base, dataset=dataset, samples=samples, values=tried)
    run_experiments(base, added, folder=STUDIES / dataset, cores=cores)
    found: dict[str, Any] = {
        setting: {str(value): read_scores(RESULTS, dataset, name).miou for value, name in by_value.items()}
        for setting, by_value in experiments.items()
    }
    keep(found, json)
    rows = [[value, *(found[setting][str(value)] for setting in found)] for value in tried]
    typer.echo(markdown(["threshold", *found], [[str(row[0]), *row[1:]] for row in rows]))
