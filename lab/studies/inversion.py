"""What each option of inversion and attention brings and costs: one experiment a variant, all against one base.

The base is the configuration's own recipes; variants come from `variants`. By default the prompter is the noun-only
one of the ladder: grammar rescues phrases whose maps are poor, and so hides what inversion does.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.studies.inversion_tables import as_csv, part_lines, plot
from lab.studies.ladder import Choice
from lab.studies.options import STUDIES, Config, Cores, First, Json, Samples, ShardSize, numbers
from lab.studies.scores import Key, Scores, read_scores
from lab.studies.table import keep
from lab.studies.variants import ADAPTER, BASE, PARTS, Facts, Variant
from lab.studies.variants import parts as variants_of
from lab.studies.workflow import made_by, run_experiments
from stages.artifacts.atomic import write_json
from stages.artifacts.errors import AnywordError
from stages.artifacts.recipes import model_of
from stages.artifacts.results import LOGS, RESULTS, Results, log_of, shard_name
from stages.artifacts.shard_reader import ShardReader

if TYPE_CHECKING:
    from stages.score.bootstrap import Interval


UNBOUND = "unbound"
REPLICATES = 2000
SUBSETS: dict[str, Callable[[Sequence[str]], bool]] = {
    "synonyms": lambda tags: "synonym" in tags,
    "small": lambda tags: "small" in tags,
}
"""Parts of the phrases, by their tags: said in words that the models never saw; objects under 2 % of the image."""


def configuration(
    base: Mapping[str, Any],
    choice: Choice,
    variants: Sequence[Variant],
    *,
    dataset: Mapping[str, Any],
    name: str,
    pairs: int | None = None,
) -> dict[str, Any]:
    """What the study adds to the configuration.

    dataset, name: the scenes and what they are called. choice: the base's recipes by name; prompter "unbound" is the
    base experiment's without grammar. pairs: training pairs of the adapter, if other than the configuration's.
    """
    inverter, attender = base["inverters"][choice.inverter], base["attenders"][choice.attender]
    prompters = {UNBOUND: unbound(base)} if choice.prompter == UNBOUND else {}
    added: dict[str, Any] = {
        "datasets": {name: dict(dataset)},
        "inverters": {},
        "attenders": {},
        "prompters": prompters,
        "experiments": {},
    }
    for one in variants:
        if one.inverter:
            added["inverters"][one.name] = {**inverter, **one.inverter}
        if one.attender:
            kind = one.attender.get("kind", attender["kind"])
            known = model_of("attend", kind).model_fields
            kept = {key: value for key, value in attender.items() if key in known}
            added["attenders"][one.name] = {**kept, **one.attender}
        added["experiments"][experiment(name, choice, one)] = {
            "dataset": name,
            "parser": choice.parser,
            "inverter": one.name if one.inverter else choice.inverter,
            "attender": one.name if one.attender else choice.attender,
            "prompter": choice.prompter,
            "segmenter": choice.segmenter,
        }
    if any("adapter" in one.inverter for one in variants):
        adapter, data = adapter_recipe(base, inverter, name, pairs)
        added["adapters"] = {ADAPTER: adapter}
        added["datasets"] |= data
    added["targets"] = list(added["experiments"])
    return added


def unbound(base: Mapping[str, Any]) -> dict[str, Any]:
    """The noun's map alone decides: the ladder's prompter without grammar."""
    return {**base["prompters"]["binding"], "adjectives": False, "exclusion": False, "background_points": [0, 0]}


def adapter_recipe(
    base: Mapping[str, Any], inverter: Mapping[str, Any], name: str, pairs: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration's adapter `lora` on the inverter's backbone; with `pairs`, on so many of its dataset's, and
    that dataset."""
    recipe = {**base["adapters"]["lora"], "backbone": inverter["backbone"]}
    if pairs is None:
        return recipe, {}
    data = f"{name}-pairs-{pairs}"
    fewer = {**base["datasets"][recipe["dataset"]], "count": pairs, "shard_size": pairs}
    return {**recipe, "dataset": data, "pairs": pairs}, {data: fewer}


def experiment(name: str, choice: Choice, one: Variant) -> str:
    own = "" if choice.prompter == UNBOUND else f"-{choice.prompter}"
    return f"{name}{own}-{one.name}"


def facts_of(recipe: Mapping[str, Any]) -> Facts:
    """What decides which variants there are; loads the backbone of an inverter's complete recipe."""
    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe

    model = load(BackboneRecipe.model_validate(recipe["backbone"]))
    return Facts(
        layers=tuple((layer.name, layer.side) for layer in model.layers),
        read=tuple(layer.name for layer in model.read_by_default),
        side=model.read_by_default[0].side,
    )


def figures(scores: Mapping[str, Scores], costs: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """By variant: mIoU over noun phrases and over parts of them, each with its interval and its difference from the
    base (second minus first on the same resampled images), and what it cost.

    scores: by variant's name, "base" among them.
    """
    first = scores[BASE.name].ious
    found: dict[str, Any] = {}
    for name, one in scores.items():
        found[name] = {"all": _compared(first, one.ious, base=name == BASE.name)}
        for part, belongs in SUBSETS.items():
            keys = [key for key in one.ious if belongs(one.tags[key])]
            found[name][part] = _compared(_of(first, keys), _of(one.ious, keys), base=name == BASE.name)
        found[name]["cost"] = dict(costs[name])
    return found


def _compared(first: Mapping[Key, float], second: Mapping[Key, float], *, base: bool) -> dict[str, Any]:
    from stages.score.bootstrap import mean, paired_difference

    keys = sorted(second)
    value = mean([second[key] for key in keys], [key[0] for key in keys], replicates=REPLICATES, seed=0)
    difference = None if base else paired_difference(first, second, replicates=REPLICATES).json()
    return {"miou": value.json(), "difference": difference, "phrases": len(keys)}


def gap_closed(
    none: Mapping[Key, float], full: Mapping[Key, float], few: Mapping[Key, float], keys: Sequence[Key]
) -> dict[str, Any]:
    """Share of the gap between no inversion and the full recipe that another recipe closes, over some phrases.

    `told`: whether the gap itself can be told from nothing; where not, the share says nothing.
    """
    import numpy as np

    from stages.score.bootstrap import interval, paired_difference, ratio

    rows = np.asarray([[few[key] - none[key], full[key] - none[key]] for key in keys], dtype=np.float64).reshape(-1, 2)
    share: Interval = interval(ratio, rows, [key[0] for key in keys], replicates=REPLICATES, seed=0)
    gap = paired_difference(_of(none, keys), _of(full, keys), replicates=REPLICATES)
    return {"share": share.json(), "gap": gap.json(), "told": gap.low is not None and gap.low > 0}


def gaps(scores: Mapping[str, Scores], variants: Sequence[Variant]) -> dict[str, Any]:
    """`gap_closed` of every variant with an adapter or fewer steps: on phrases of unseen synonyms, and on all phrases
    of the scenes that have one."""
    base = scores[BASE.name]
    unseen = [key for key in base.ious if SUBSETS["synonyms"](base.tags[key])]
    scenes = {key[0] for key in unseen}
    parts = {"phrases": unseen, "scenes": [key for key in base.ious if key[0] in scenes]}
    named = [one.name for one in variants if not one.is_base and one.name != "steps-0"]
    return {
        name: {
            part: gap_closed(scores["steps-0"].ious, base.ious, scores[name].ious, keys) for part, keys in parts.items()
        }
        for name in named
    }


def costs(results: Path, dataset: str, inverter: str, attender: str) -> dict[str, float | None]:
    """Seconds an image of invert and attend (whole jobs: start and loading too), from the jobs' benchmark files, and
    the steps an image took; None where the files are not there."""
    made = Results(results / dataset)
    index = ShardReader(made.index, "index").manifest.summary
    images = max(1, index["samples"])
    shards = [shard_name(number) for number in range(index["shards"])]
    inverted = [made.embeddings(inverter, one) for one in shards]
    attended = [made.maps(inverter, attender, one) for one in shards]
    taken = sum(ShardReader(one, "invert").manifest.summary["steps_taken"] for one in inverted)

    def benchmarks(manifests: Sequence[Path]) -> list[Path]:
        return [log_of(one, ".tsv", results=results, logs=results.parent / LOGS) for one in manifests]

    return {
        "invert": _seconds(benchmarks(inverted), images),
        "attend": _seconds(benchmarks(attended), images),
        "steps": taken / images,
    }


def _seconds(benchmarks: Sequence[Path], images: int) -> float | None:
    total = 0.0
    for path in benchmarks:
        if not path.is_file():
            return None
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), delimiter="\t"))
        total += float(rows[-1]["s"])
    return total / images


def _of(ious: Mapping[Key, float], keys: Sequence[Key]) -> dict[Key, float]:
    return {key: ious[key] for key in keys}


def inversion(
    part: Annotated[str, typer.Option(help=f"{', '.join(PARTS)} (several with commas), or all.")] = "all",
    samples: Samples = 64,
    split: Annotated[str, typer.Option(help="val to choose by, test for figures.")] = "val",
    first: First = 0,
    synonyms: Annotated[
        float | None,
        typer.Option(
            help="Chance of a phrase of unseen synonyms in a caption that can have one; default: 0.46.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    inverter: Annotated[str, typer.Option(help="The base: one of the configuration's inverters.")] = "embedded",
    attender: Annotated[str, typer.Option(help="The base: one of the configuration's attenders.")] = "direct",
    prompter: Annotated[
        str, typer.Option(help="unbound (the noun alone: shows inversion most), or one of the configuration's.")
    ] = "unbound",
    segmenter: Annotated[str, typer.Option(help="One of the configuration's segmenters.")] = "embedded",
    parser: Annotated[str, typer.Option(help="Whose phrases: one of the configuration's parsers.")] = "truth",
    counts: Annotated[str, typer.Option("--steps", help="Part steps: how many, comma-separated.")] = "0,8,16,32,64,100",
    few: Annotated[
        int | None, typer.Option(help="Part lora: the few steps; default: a tenth of the base's.", min=0)
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(help="Part lora: training pairs; default: as the configuration's `lora` says.", min=1),
    ] = None,
    shard_size: ShardSize = 64,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """mIoU and seconds of inversion and attention, one option changed at a time.

    Each variant's mIoU over noun phrases, over phrases of unseen synonyms and over small objects, with 95 % intervals
    and the difference from the base on the same phrases. Tables, CSV and a plot of the steps go below results/studies/.
    """
    from stages.config import Workflow, complete_config

    names = list(PARTS) if part == "all" else [one.strip() for one in part.split(",") if one.strip()]
    for one in names:
        if one not in PARTS:
            raise AnywordError(f"--part '{one}' is unknown.", remedy=f"Use {', '.join(PARTS)} or all.")
    base = complete_config(config)
    recipes = Workflow(base).recipes
    for section, name in (("inverters", inverter), ("attenders", attender)):
        if name not in recipes[section]:
            raise AnywordError(
                f"--{section[:-1]}: '{name}' is not in `{section}` of the configuration.",
                remedy=f"Use one of {', '.join(sorted(recipes[section]))}.",
            )
    chosen = recipes["inverters"][inverter]
    if not chosen["steps"]:
        raise AnywordError(f"--inverter: '{inverter}' takes no steps.", remedy="Give one that learns as the base.")
    fewer = max(1, chosen["steps"] // 10) if few is None else few
    wanted = numbers(counts, "--steps")
    by_part = variants_of(names, chosen, recipes["attenders"][attender], facts_of(chosen), counts=wanted, few=fewer)
    choice = Choice(inverter=inverter, attender=attender, prompter=prompter, segmenter=segmenter, parser=parser)
    dataset = f"inversion-{split}-{first}-{samples}"
    scenes = {"kind": "world", "split": split, "first": first, "count": samples, "shard_size": shard_size}
    if synonyms is not None:
        dataset += f"-synonyms-{synonyms:g}"
        scenes["synonyms"] = synonyms
    variants = {one.name: one for ones in by_part.values() for one in ones}
    added = configuration(base, choice, list(variants.values()), dataset=scenes, name=dataset, pairs=pairs)
    folder = STUDIES / (dataset if prompter == UNBOUND else f"{dataset}-{prompter}")
    run_experiments(base, added, folder=folder, cores=cores)

    scores, cost = {}, {}
    for variant in variants.values():
        key = experiment(dataset, choice, variant)
        taken = added["experiments"][key]
        scores[variant.name] = read_scores(RESULTS, dataset, key)
        cost[variant.name] = costs(RESULTS, dataset, taken["inverter"], taken["attender"])
    found: dict[str, Any] = {
        "samples": samples,
        "split": split,
        "first": first,
        "synonyms": synonyms,
        "base": {"inverter": inverter, "attender": attender, "prompter": prompter, "segmenter": segmenter},
        "parts": {},
        "made": made_by(base),
    }
    for name, ones in by_part.items():
        own_names = [one.name for one in ones]
        compared = figures({n: scores[n] for n in own_names}, {n: cost[n] for n in own_names})
        found["parts"][name] = {"variants": compared}
        if name == "lora":
            found["parts"][name]["gaps"] = gaps(scores, ones)
        if name == "steps":
            plot(ones, compared, chosen["steps"], folder / "steps.png")
        text = part_lines(found["parts"][name])
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        (folder / f"{name}.csv").write_text(as_csv(name, compared), encoding="utf-8")
        write_json(folder / f"{name}.json", found | {"parts": {name: found["parts"][name]}})
        typer.echo(f"{name}\n\n{text}\n")
    keep(found, json)
    typer.echo(f"written below {folder}")
