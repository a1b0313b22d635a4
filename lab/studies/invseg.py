"""InvSeg against what it starts from: class lists of embedded scenes by plain, refined and inverted prompts, and by an
oracle; and the rows of the paper's Tables 2 to 7 that this world allows.

Every way looks at the same noised image, so differences are paired by image. Batches that are done are kept below
results/studies/invseg and not run again.
"""

from __future__ import annotations

import json as encoding
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lab.studies.options import STUDIES, First, Json, Samples, Split
from lab.studies.table import Row, Table, interval, keep, markdown, save
from lab.studies.workflow import made_by
from stages.artifacts.atomic import sha256_of, write_json
from stages.artifacts.errors import AnywordError
from stages.artifacts.progress import track

if TYPE_CHECKING:
    from lab.studies.invseg_runs import Item, Way
    from stages.models.face import DiffusionModel

OUT = STUDIES / "invseg"
BATCH = 8
REPLICATES = 2000
WEAK = ("up_blocks.1.attentions.0",)
"""The embedded backbone's layer that knows least of colours."""

Counts = Sequence[Mapping[str, Sequence[int]]]
"""Of each image and class: pixels in both, in the prediction, in the truth."""


@dataclass(frozen=True)
class Condition:
    """A class list, and which layers are read."""

    by: str
    synonyms: bool = False
    layers: tuple[str, ...] | None = None


CONDITIONS = {
    "phrases": Condition("phrases"),
    "colours": Condition("colours"),
    "nouns": Condition("nouns"),
    "synonyms": Condition("phrases", synonyms=True),
    "weak": Condition("colours", layers=WEAK),
}
GENTLE = {"lr": 0.003, "entropy": 0.0}
"""Clustering alone, at a third of the paper's rate."""
VARIANT = {"normalise": "classes", "refine": 0}
"""The deviation that was named before the study: shares of the classes, learned on maps that are not refined."""


def ways(condition: Condition) -> dict[str, Way]:
    from lab.studies.invseg_runs import Way

    plain = Way(refine=0, layers=condition.layers)
    refined = replace(plain, refine=1)
    return {
        "plain": plain,
        "refined": refined,
        "invseg": replace(refined, invert={}),
        "gentle": replace(refined, invert=GENTLE),
        "variant": replace(plain if condition.layers else refined, invert=VARIANT),
        "oracle": replace(refined, oracle=True),
    }


def run(model: DiffusionModel, chosen: Sequence[Item], way: Way, name: str, folder: Path) -> Counts:
    """A way's counts over the items; each batch is kept, and read again where model, items and way are the same."""
    from lab.studies.invseg_runs import histograms

    found: list[Mapping[str, Sequence[int]]] = []
    for begin in track(range(0, len(chosen), BATCH), name):
        part = chosen[begin : begin + BATCH]
        identity = {"model": model.record.sha256, "way": asdict(way), "items": [(one.id, one.text) for one in part]}
        path = folder / f"{sha256_of(encoding.dumps(identity, sort_keys=True))[:16]}.json"
        if not path.is_file():
            counted = histograms(model, part, way)
            write_json(path, [{key: value.tolist() for key, value in one.items()} for one in counted])
        found += encoding.loads(path.read_text(encoding="utf-8"))
    return found


def stacked(counts: Counts, names: Sequence[str]) -> np.ndarray:
    """[images, 3 * classes]"""
    at = {name: n for n, name in enumerate(names)}
    values = np.zeros((len(counts), 3, len(names)))
    for image, own in enumerate(counts):
        for name, three in own.items():
            if name in at:
                values[image, :, at[name]] = three
    return values.reshape(len(counts), -1)


def names_of(counts: Counts, *, grounds: bool | None = None) -> list[str]:
    """Classes of a set in alphabetical order; of grounds or of objects alone, where asked for."""
    from stages.world.render import GROUNDS

    every = sorted({name for own in counts for name in own})
    return [name for name in every if grounds is None or (name in GROUNDS) == grounds]


def miou(counts: Counts, names: Sequence[str]) -> dict[str, float | None]:
    from stages.score.bootstrap import interval
    from stages.score.semantic import mean_iou

    rows = stacked(counts, names)

    def statistic(sums: np.ndarray) -> np.ndarray:
        return mean_iou(sums.reshape(*sums.shape[:-1], 3, len(names)))

    return interval(statistic, rows, range(len(rows)), replicates=REPLICATES, seed=0).json()


def gain(first: Counts, second: Counts, names: Sequence[str]) -> dict[str, float | None]:
    """Second less first, on the same resampled images."""
    from stages.score.bootstrap import interval
    from stages.score.semantic import mean_iou

    rows = np.concatenate([stacked(first, names), stacked(second, names)], axis=1)

    def statistic(sums: np.ndarray) -> np.ndarray:
        both = mean_iou(sums.reshape(*sums.shape[:-1], 2, 3, len(names)))
        return both[..., 1] - both[..., 0]

    return interval(statistic, rows, range(len(rows)), replicates=REPLICATES, seed=0).json()


def figures(found: Mapping[str, Counts]) -> dict[str, Any]:
    """A condition's figures: mIoU of each way, and gains against the better of the two baselines."""
    names = names_of(found["plain"])
    values = {way: miou(counts, names) for way, counts in found.items()}
    better = max(("plain", "refined"), key=lambda way: values[way]["value"] or 0.0)
    result: dict[str, Any] = {way: one["value"] for way, one in values.items()}
    result |= {"intervals": values, "better": better, "images": len(found["plain"]), "classes": len(names)}
    differences = {"refined_gain": gain(found["plain"], found["refined"], names)}
    for way in ("invseg", "gentle", "variant"):
        differences[f"{way}_gain"] = gain(found[better], found[way], names)
    for name, one in differences.items():
        result |= {name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}
    result["groups"] = {
        group: {way: miou(counts, names_of(counts, grounds=grounds))["value"] for way, counts in found.items()}
        for group, grounds in (("objects", False), ("grounds", True))
    }
    return result


def ablations() -> dict[str, dict[str, Way]]:
    """Rows of the paper's tables, each against the defaults."""
    from lab.studies.invseg_runs import Way

    def inverted(**options: Any) -> Way:
        return Way(invert=options)

    weights = [(1.0, 0.0), (1.0, 0.1), (1.0, 1.0), (1.0, 10.0), (0.0, 1.0)]
    return {
        "nothing learns": {"refined": Way()},
        "2: CSC, alpha": {f"{c:g}, {a:g}": inverted(clustering=c, entropy=a) for c, a in weights},
        "3: scale": {f"{scale:g}": inverted(scale=scale) for scale in (2.0, 4.0, 8.0, 16.0)},
        "5: layers": {
            "down 16": replace(inverted(), layers=("down_blocks.0",)),
            "up 16": replace(inverted(), layers=WEAK),
            "both": inverted(),
        },
        "6: training steps up to": {str(most): inverted(timesteps=(5, most)) for most in (100, 200, 300, 500)},
        "7: step of inference": {str(at): replace(inverted(), at=at) for at in (25, 50, 75, 100, 200, 300)},
    }


WAYS = ("plain", "refined", "invseg", "gentle", "variant", "oracle")


def table(conditions: Mapping[str, Any]) -> Table:
    """A line a condition."""
    rows = []
    for name, one in conditions.items():
        own: dict[str, Any] = {way: one["intervals"][way]["value"] for way in WAYS}
        for gained in ("refined_gain", "invseg_gain", "gentle_gain", "variant_gain"):
            own[gained] = {"value": one[gained], "low": one[f"{gained}_low"], "high": one[f"{gained}_high"]}
        rows.append(Row([name, str(one["images"]), one["better"]], own))
    gains = ("refined_gain", "invseg_gain", "gentle_gain", "variant_gain")
    return Table(["classes", "images", "better baseline"], [*WAYS, *gains], rows)


def shown(found: Mapping[str, Any]) -> str:
    """The study's figures as docs/results.md has them."""
    lines = []
    if own := {name: found[name] for name in CONDITIONS if name in found}:
        lines.append(table(own).markdown())
    if kept := found.get("tables"):
        rows = [[title, row, interval(kept[title][row])] for title, one in ablations().items() for row in one]
        lines += [markdown(["table", "row", "mIoU"], rows), f"{found['tables_images']} {found['split']} scenes."]
    return "\n\n".join(lines)


def invseg(
    samples: Samples = 200,
    split: Split = "test",
    first: First = 0,
    conditions: Annotated[str, typer.Option(help=f"Any of {', '.join(CONDITIONS)}, by commas; '': none.")] = ",".join(
        CONDITIONS
    ),
    tables: Annotated[
        int, typer.Option(help="Scenes for the rows of the paper's tables, of unseen synonyms; 0: none.", min=0)
    ] = 48,
    backbone: Annotated[str, typer.Option(help="Folder of the embedded backbone.")] = "",
    json: Json = None,
) -> None:
    """InvSeg on class lists of embedded scenes: plain and refined baselines, the paper's loss, a gentler rate, the
    variant normalised over classes, and an oracle that learns from the truth; by phrases, colours, nouns, phrases of
    unseen synonyms, and colours read from the weakest layer.
    """
    from lab.studies.invseg_runs import items
    from stages.config import complete_config
    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe

    asked = [one.strip() for one in conditions.split(",") if one.strip()]
    for name in asked:
        if name not in CONDITIONS:
            raise AnywordError(f"--conditions '{name}' is unknown.", remedy=f"Use any of {', '.join(CONDITIONS)}.")
    recipe = {"kind": "embedded", "dtype": "bfloat16", **({"path": backbone} if backbone else {})}
    model = load(BackboneRecipe.model_validate(recipe))
    folder = OUT / "runs"
    numbers = range(first, first + samples)
    found: dict[str, Any] = {}
    for name in asked:
        condition = CONDITIONS[name]
        chosen = items(model, split, numbers, condition.by, synonyms=condition.synonyms)  # type: ignore[arg-type]
        counts = {way: run(model, chosen, how, f"{name}, {way}", folder) for way, how in ways(condition).items()}
        found[name] = figures(counts)
    result: dict[str, Any] = {"samples": samples, "split": split, "first": first, "backbone": model.record.sha256}
    result |= found | {"made": made_by(complete_config(None))}
    if tables:
        chosen = items(model, split, numbers, "phrases", synonyms=True)[:tables]
        result["tables"] = {
            title: {
                row: miou(own := run(model, chosen, how, f"{title} {row}", folder), names_of(own))
                for row, how in rows.items()
            }
            for title, rows in ablations().items()
        }
        result["tables_images"] = len(chosen)
    keep(result, OUT / "invseg.json", json)
    if found:
        save(OUT, "invseg", table(found))
    typer.echo(shown(result))
