"""Terminology variance (Segment Anyword, Section 2.2, Figures 3 and 10): how an expression's mask holds when the same
thing is said in other words.

An expression and its 2 to 5 paraphrases are one group. Over the texts of a group the mean of the IoU says how accurate,
its standard deviation (of the population: divided by the number of texts) how stable a setting is; the paper plots the
one against the other, a dot an image and expression.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.studies import ladder
from lab.studies import paraphraser as paraphrasing
from lab.studies.options import STUDIES, Config, Cores, First, Json, Like, ShardSize, Split
from lab.studies.scores import Key, Scores, read_scores, samples_of, score_of
from lab.studies.table import interval, keep, markdown, save_figure, write_csv
from lab.studies.workflow import run_experiments
from stages.artifacts import AnywordError
from stages.artifacts.atomic import write_bytes
from stages.artifacts.results import RESULTS
from stages.samples.paraphrased import TAG
from stages.score import bootstrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SETTINGS = {"without": "sam", "with": "inversion", "full": "full"}
"""The ladder's rungs by the name that the study gives them: without inversion, with it, and with grammar on top."""
BASELINE = "without"
"""Whose figures put an expression into its class."""
CLASSES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Bounds:
    """What is easy and what is hard. Figure 3 puts expressions into three classes by the mean and the standard
    deviation of their IoU, "to achieve accurate and stable segmentation", and gives no numbers: these are ours."""

    easy_mean: float = 0.7
    easy_std: float = 0.1
    hard_mean: float = 0.5
    hard_std: float = 0.2

    def of(self, mean: float, std: float) -> str:
        """easy: accurate and stable. hard: inaccurate, or unstable. medium: the rest."""
        if mean >= self.easy_mean and std <= self.easy_std:
            return "easy"
        return "hard" if mean < self.hard_mean or std > self.hard_std else "medium"


@dataclass(frozen=True)
class Text:
    """One text of a group."""

    group: str
    """Id of the original, or whatever else its texts share."""
    sample_id: str
    image: str
    """What its image is known by: images, not expressions, are what the bootstrap draws."""
    text: str


@dataclass(frozen=True)
class Spread:
    """One expression under one setting."""

    group: str
    image: str
    texts: int
    mean: float
    std: float
    original: float | None
    """IoU of the text whose id is the group's; None where there is none."""
    paraphrases: float | None
    """Mean IoU of the others."""


def ious(scores: Scores, texts: Sequence[Text]) -> dict[str, float]:
    """IoU of every text that has truth: the mean over its paraphrased phrases, or over all where none is marked."""
    keys: defaultdict[str, list[Key]] = defaultdict(list)
    for key in scores.ious:
        keys[key[0]].append(key)
    found = {}
    for group in _grouped(texts).values():
        marked = any(TAG in scores.tags[key] for one in group for key in keys[one.sample_id])
        for one in group:
            own = [key for key in keys[one.sample_id] if not marked or TAG in scores.tags[key]]
            if own:
                found[one.sample_id] = math.fsum(scores.ious[key] for key in own) / len(own)
    return found


def spreads(found: Mapping[str, float], texts: Sequence[Text]) -> list[Spread]:
    """Mean and standard deviation of every group of at least two texts with an IoU, in the order of the texts."""
    result = []
    for group, members in _grouped(texts).items():
        given = [(one, found[one.sample_id]) for one in members if one.sample_id in found]
        if len(given) < 2:
            continue
        values = [value for _, value in given]
        mean = math.fsum(values) / len(values)
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        original = next((value for one, value in given if one.sample_id == group), None)
        others = [value for one, value in given if one.sample_id != group]
        rest = math.fsum(others) / len(others) if others and original is not None else None
        result.append(Spread(group, members[0].image, len(values), mean, std, original, rest))
    return result


def figures(by_setting: Mapping[str, Sequence[Spread]], bounds: Bounds, *, replicates: int = 1000) -> dict[str, Any]:
    """The study's figures. by_setting: the same expressions in the same order under every setting.

    `settings`: of each, the means over expressions of IoU mean and standard deviation with their 95 % intervals, the
    IoU of originals and of paraphrases, and how many expressions are in which class by that setting's own figures.
    `classes`: the same expressions, classed once by the baseline. `differences`: paired, to the setting before.
    """
    baseline = by_setting[BASELINE]
    classes = [bounds.of(one.mean, one.std) for one in baseline]
    everything = range(len(baseline))
    result: dict[str, Any] = {
        "expressions": len(baseline),
        "texts": sum(one.texts for one in baseline),
        "bounds": vars(bounds),
        "settings": {},
        "classes": {name: {"expressions": classes.count(name)} for name in CLASSES},
        "differences": {},
    }
    for setting, every in by_setting.items():
        own = [bounds.of(one.mean, one.std) for one in every]
        result["settings"][setting] = {
            **_means(every, everything, replicates),
            "classes": {name: own.count(name) for name in CLASSES},
        }
        for name in CLASSES:
            members = [i for i in everything if classes[i] == name]
            result["classes"][name][setting] = _means(every, members, replicates)
    names = list(by_setting)
    for before, after in itertools.pairwise(names):
        pairs = list(zip(by_setting[before], by_setting[after], strict=True))
        columns = {
            "mean": [b.mean - a.mean for a, b in pairs],
            "std": [b.std - a.std for a, b in pairs],
        }
        found = bootstrap.means(columns, [one.image for one in baseline], replicates=replicates, seed=0)
        result["differences"][f"{after}-{before}"] = {name: one.json() for name, one in found.items()}
    return result


def _means(every: Sequence[Spread], members: Sequence[int], replicates: int) -> dict[str, Any]:
    chosen = [every[i] for i in members]
    options = {"replicates": replicates, "seed": 0}
    columns = {"mean": [one.mean for one in chosen], "std": [one.std for one in chosen]}
    found = bootstrap.means(columns, [one.image for one in chosen], **options)
    both = [one for one in chosen if one.original is not None and one.paraphrases is not None]
    said = bootstrap.means(
        {"original": [one.original or 0.0 for one in both], "paraphrases": [one.paraphrases or 0.0 for one in both]},
        [one.image for one in both],
        **options,
    )
    return {name: one.json() for name, one in (found | said).items()}


def _grouped(texts: Sequence[Text]) -> dict[str, list[Text]]:
    groups: dict[str, list[Text]] = {}
    for one in texts:
        groups.setdefault(one.group, []).append(one)
    return groups


def configuration(
    base: Mapping[str, Any], choice: ladder.Choice, *, dataset: str, recipe: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the study adds to the configuration, and the experiment of each setting: the ladder's rungs, on `recipe`."""
    added = ladder.configuration(base, choice, dataset=dataset, split="test", first=0, samples=1, shard_size=1)
    experiments = {setting: ladder.experiment(dataset, rung) for setting, rung in SETTINGS.items()}
    chosen = {name: added["experiments"][name] for name in experiments.values()}
    added |= {"datasets": {dataset: dict(recipe)}, "experiments": chosen, "targets": list(chosen)}
    return added, experiments


def texts_of(results: Path, dataset: str) -> list[Text]:
    """Every sample that has a group; AnywordError where none has."""
    found = []
    for _, folder in samples_of(results, dataset):
        if "groups.parquet" not in folder.manifest.files:
            continue
        rows = {row["sample_id"]: row for row in folder.table("samples")}
        for one in folder.table("groups"):
            row = rows[one["sample_id"]]
            found.append(Text(one["group"], one["sample_id"], row["image_sha256"], row["text"]))
    if not found:
        raise AnywordError(
            f"dataset '{dataset}': no sample says which expression it paraphrases.",
            remedy="Add the column `group` to its table, or let a model paraphrase it (--paraphraser).",
        )
    return found


def pair(value: str, option: str) -> tuple[float, float]:
    """The mean and the deviation of an option such as "0.7,0.1"; AnywordError where they are no such numbers."""
    try:
        mean, std = (float(part) for part in value.split(","))
    except ValueError:
        mean = std = math.nan
    if not (0 <= mean <= 1 and 0 <= std <= 1):
        raise AnywordError(f"{option} '{value}': not a mean and a deviation.", remedy="Write it as 0.7,0.1.")
    return mean, std


def write(
    folder: Path,
    figures: Mapping[str, Any],
    spreads: Mapping[str, Sequence[Spread]],
    found: Mapping[str, Mapping[str, float]],
    texts: Sequence[Text],
    bounds: Bounds,
) -> str:
    """Write every table and the plot into `folder`; returns the Markdown."""
    classes = {one.group: bounds.of(one.mean, one.std) for one in spreads[BASELINE]}
    header, rows = table(figures)
    write_csv(folder / "variance.csv", *numbers(figures))
    write_csv(
        folder / "expressions.csv",
        ["setting", "group", "image", "texts", "mean", "std", "original", "paraphrases", "class"],
        [
            [
                setting,
                one.group,
                one.image,
                one.texts,
                one.mean,
                one.std,
                one.original,
                one.paraphrases,
                classes[one.group],
            ]
            for setting, every in spreads.items()
            for one in every
        ],
    )
    write_csv(
        folder / "texts.csv",
        ["setting", "group", "sample_id", "text", "iou"],
        [
            [setting, one.group, one.sample_id, one.text, values[one.sample_id]]
            for setting, values in found.items()
            for one in texts
            if one.sample_id in values
        ],
    )
    save_figure(scatter(spreads, bounds), folder / "scatter")
    text = "\n".join([markdown(header, rows), "", *_lines(figures)])
    write_bytes(folder / "variance.md", (text + "\n").encode())
    return text


def table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """A line a class and setting: how many expressions, their IoU mean and deviation with intervals."""
    rows: list[list[object]] = []
    for name in ("all", *CLASSES):
        for setting in figures["settings"]:
            one = figures["settings"][setting] if name == "all" else figures["classes"][name][setting]
            count = figures["expressions"] if name == "all" else figures["classes"][name]["expressions"]
            own = figures["settings"][setting]["classes"].get(name, count)
            rows.append([name, NAMES[setting], count, interval(one["mean"]), interval(one["std"]), own])
    return ["class", "setting", "expressions", "IoU mean", "IoU deviation", "in it by its own figures"], rows


def numbers(figures: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """The same for machines: every bound of every interval in a column of its own."""
    keys = ("mean", "std", "original", "paraphrases")
    header = ["class", "setting", "expressions", *(f"{key}{end}" for key in keys for end in ("", "_low", "_high"))]
    rows: list[list[object]] = []
    for name in ("all", *CLASSES):
        for setting in figures["settings"]:
            one = figures["settings"][setting] if name == "all" else figures["classes"][name][setting]
            count = figures["expressions"] if name == "all" else figures["classes"][name]["expressions"]
            rows.append([name, setting, count, *(one[key][end] for key in keys for end in ("value", "low", "high"))])
    return header, rows


def _lines(figures: Mapping[str, Any]) -> list[str]:
    """What the table does not hold: the bounds, originals against paraphrases, paired differences, what failed."""
    easy_mean, easy_std, hard_mean, hard_std = figures["bounds"].values()
    lines = [
        f"{figures['expressions']} expressions, {figures['texts']} texts. Classes by the figures without inversion: "
        f"easy from a mean of {easy_mean:g} and up to a deviation of {easy_std:g}, "
        f"hard under a mean of {hard_mean:g} or over a deviation of {hard_std:g}."
    ]
    for setting, one in figures["settings"].items():
        if one["original"]["value"] is not None:
            said = f"{interval(one['original'])} on the originals, {interval(one['paraphrases'])} on their paraphrases"
            lines.append(f"{NAMES[setting]}: IoU {said}")
    for name, one in figures["differences"].items():
        after, before = name.split("-")
        said = ", ".join(f"{'IoU mean' if key == 'mean' else 'deviation'} {interval(one[key])}" for key in one)
        lines.append(f"{NAMES[after]}, less {NAMES[before]}: {said}")
    for setting, count in figures["failed"].items():
        if count:
            lines.append(f"{NAMES[setting]}: {count} texts failed on the way and count as 0")
    for name, reason in list(figures.get("paraphraser", {}).get("not_paraphrased", {}).items())[:10]:
        lines.append(f"not paraphrased: {name}: {reason}")
    return lines


NAMES = {"without": "without inversion", "with": "with inversion", "full": "full"}
_COLOURS = {"without": "#0072b2", "with": "#e69f00", "full": "#009e73"}
# Blue, orange and green of Okabe and Ito's palette, told apart by the colour-blind; shapes say it once more.
_SHAPES = {"without": "o", "with": "^", "full": "s"}


def scatter(by_setting: Mapping[str, Sequence[Spread]], bounds: Bounds) -> Figure:
    """One colour a setting, its mean as a large mark, the bounds of easy and hard as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for setting, every in by_setting.items():
        style: dict[str, Any] = {"color": _COLOURS[setting], "marker": _SHAPES[setting]}
        means, stds = [one.mean for one in every], [one.std for one in every]
        axes.scatter(stds, means, s=16, alpha=0.45, linewidths=0, label=NAMES[setting], **style)
        if every:
            centre = (sum(stds) / len(stds), sum(means) / len(means))
            axes.scatter(*centre, s=110, edgecolors="black", linewidths=1.2, zorder=3, **style)
    line: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": ":"}
    box: dict[str, Any] = {"fontsize": 8, "color": "#555555", "va": "top"}
    for mean, std in ((bounds.easy_mean, bounds.easy_std), (bounds.hard_mean, bounds.hard_std)):
        axes.plot([0.0, std, std], [mean, mean, 1.0], **line)
    axes.text(bounds.easy_std - 0.004, 0.995, "easy", ha="right", **box)
    axes.text(bounds.hard_std - 0.004, 0.995, "medium", ha="right", **box)
    axes.text(bounds.hard_std + 0.004, 0.995, "hard", ha="left", **box)
    axes.set(xlabel="standard deviation of an expression's IoU over its texts", ylabel="mean of it")
    axes.set(xlim=(-0.01, 0.51), ylim=(-0.02, 1.02))
    axes.legend(loc="lower right", frameon=False)
    return figure


def variance(
    samples: Annotated[
        int | None, typer.Option(help="Scenes (default 200), or at most so many expressions for a model.", min=1)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="One of the configuration's datasets, instead of embedded scenes: a folder whose table has the "
            "column `group`, or any dataset together with --paraphraser."
        ),
    ] = None,
    paraphraser: Annotated[
        str | None,
        typer.Option(help="Of the configuration's parsers one of kind openai: that model paraphrases."),
    ] = None,
    rewrite: Annotated[str, typer.Option(help="In scenes: the words of the subject, or of all phrases.")] = "subject",
    split: Split = "test",
    first: First = 0,
    easy: Annotated[
        str, typer.Option(help="MEAN,DEVIATION. Easy is at least this IoU mean and at most this deviation.")
    ] = "0.7,0.1",
    hard: Annotated[
        str, typer.Option(help="MEAN,DEVIATION. Hard is less than this mean, or more than this deviation.")
    ] = "0.5,0.2",
    like: Like = "truth",
    seed: Annotated[int, typer.Option(help="Of the words, and of how many paraphrases a text gets.", min=0)] = 0,
    shard_size: ShardSize = 64,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """How masks hold when the same thing is said in other words: IoU mean and deviation over 2 to 5 paraphrases.

    Each expression is said anew in synonyms (of the embedded thesaurus, of a language model, or the dataset's own),
    and every text is segmented without inversion, with it, and with grammar on top. Tables and the scatter plot go to
    results/studies/variance-…/: variance.md and .csv, expressions.csv, texts.csv, scatter.png and .svg.
    """
    from stages.config import complete_config

    base = complete_config(config)
    bounds = Bounds(*pair(easy, "--easy"), *pair(hard, "--hard"))
    choice = ladder.choice_of(base, like)
    about: dict[str, Any] = {"like": like}
    if rewrite not in ("subject", "all"):
        raise AnywordError(f"--rewrite '{rewrite}' is none of subject, all.")
    if dataset is None:
        if paraphraser is not None:
            raise AnywordError("--paraphraser needs --dataset.", remedy="Scenes are paraphrased by the thesaurus.")
        count = samples or 200
        name = (
            f"variance-{split}-{first}-{count}" + ("" if rewrite == "subject" else "-all") + (f"-s{seed}" * bool(seed))
        )
        recipe: dict[str, Any] = {"kind": "rewritten-world", "split": split, "first": first, "count": count}
        recipe |= {"rewrite": rewrite, "seed": seed, "shard_size": shard_size}
    elif paraphraser is not None:
        name = f"variance-{dataset}-{paraphraser}" + (f"-s{seed}" * bool(seed))
        recipe, about["paraphraser"] = paraphrasing.paraphrased_dataset(
            base,
            dataset,
            paraphraser,
            STUDIES / name,
            most=samples,
            seed=seed,
            shard_size=shard_size,
            config=config,
            cores=cores,
        )
    elif dataset in base["datasets"]:
        name, recipe = dataset, base["datasets"][dataset]
    else:
        raise AnywordError(f"--dataset '{dataset}' is none of {', '.join(sorted(base['datasets']))}.")
    added, experiments = configuration(base, choice, dataset=name, recipe=recipe)
    folder = STUDIES / (name if name.startswith("variance") else f"variance-{name}")
    run_experiments(base, added, folder=folder, cores=cores)
    texts = texts_of(RESULTS, name)
    found = {key: ious(read_scores(RESULTS, name, one), texts) for key, one in experiments.items()}
    spread = {key: spreads(one, texts) for key, one in found.items()}
    if not spread[BASELINE]:
        raise AnywordError(f"dataset '{name}': no expression has two texts with truth.", remedy="Check `group`.")
    measured = figures(spread, bounds) | about | {"dataset": name}
    measured["failed"] = {key: int(score_of(RESULTS, name, one)["failed"]) for key, one in experiments.items()}
    keep(measured, folder / "variance.json", json)
    typer.echo(write(folder, measured, spread, found, texts, bounds))
