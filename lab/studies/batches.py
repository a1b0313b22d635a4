"""Batch invariance: do masks depend on the company that their sample had in a batch? The same scenes and recipes, batch
by batch.
"""

from __future__ import annotations

import json as encoding
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.options import STUDIES, Config, Cores, numbers
from lab.studies.scores import Key
from lab.studies.workflow import made_by, run_experiments
from stages.artifacts.atomic import write_json
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS, Results
from stages.artifacts.shard_reader import ShardReader

Rle = Mapping[str, Any]


def dataset(size: int, samples: int) -> str:
    """Where a run lies. Batch sizes are no part of a recipe, so each run has scenes under a name of its own."""
    return f"batches-{samples}-by-{size}"


def configuration(base: Mapping[str, Any], like: str, *, size: int, samples: int, first: int) -> dict[str, Any]:
    """What one run adds: the scenes in one shard, an experiment with the recipes of `like`, and the batch size."""
    name = dataset(size, samples)
    scenes = {"kind": "world", "split": "val", "first": first, "count": samples, "shard_size": samples}
    return {
        "datasets": {name: scenes},
        "experiments": {name: {**base["experiments"][like], "dataset": name}},
        "targets": [name],
        "execution": {"batch_size": dict.fromkeys(("invert", "attend", "segment"), size)},
    }


def masks(results: Path, name: str) -> dict[Key, Rle]:
    """Every mask of a run."""
    found: dict[Key, Rle] = {}
    made = Results(results / name)
    for shard in made.shards():
        for row in ShardReader(made.masks(name, shard), "segment").table("masks"):
            key = (row["sample_id"], row["kind"], row["index"])
            found[key] = {"size": [row["height"], row["width"]], "counts": row["counts"].encode()}
    return found


def agreement(one: Mapping[Key, Rle], two: Mapping[Key, Rle]) -> dict[str, float | int]:
    """IoU of each mask with its counterpart (two empty masks agree); AnywordError where one run lacks a mask."""
    import numpy as np
    from pycocotools import mask as coco

    if one.keys() != two.keys():
        odd = sorted(one.keys() ^ two.keys())[0]
        raise AnywordError(f"sample '{odd[0]}': {odd[1]} {odd[2]} has a mask in one run only.")
    ious: Sequence[float] = [
        float(coco.iou([one[key]], [two[key]], [0]).item()) if coco.area(one[key]) or coco.area(two[key]) else 1.0
        for key in sorted(one)
    ]
    return {
        "batch_iou_min": float(np.min(ious)),
        "batch_iou_mean": float(np.mean(ious)),
        "batch_masks": len(ious),
        "batch_samples": len({key[0] for key in one}),
    }


def batches(
    samples: Annotated[int, typer.Option(help="Validation scenes of the embedded world.", min=1)] = 50,
    sizes: Annotated[str, typer.Option(help="The two batch sizes.")] = "1,8",
    like: Annotated[str, typer.Option(help="The experiment whose recipes are used.")] = "truth",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Add the figures to this file, keeping what else it holds.")
    ] = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """IoU of the masks of the same scenes, made with batches of one size and of another (to be 0.99 or more)."""
    from stages.config import complete_config

    wanted = numbers(sizes, "--sizes")
    if len(wanted) != 2 or wanted[0] < 1:
        raise AnywordError(f"--sizes '{sizes}' is not two sizes.", remedy="Give such as 1,8.")
    base = complete_config(config)
    if like not in base["experiments"]:
        raise AnywordError(
            f"--like: no experiment '{like}'.", remedy=f"Use one of {', '.join(sorted(base['experiments']))}."
        )
    made = []
    for size in wanted:
        added = configuration(base, like, size=size, samples=samples, first=first)
        name = dataset(size, samples)
        run_experiments(base, added, folder=STUDIES / name, cores=cores)
        made.append(masks(RESULTS, name))
    found = agreement(*made)
    if json is not None:
        known = encoding.loads(json.read_text(encoding="utf-8")) if json.exists() else {}
        write_json(json, known | found | {"made": made_by(base)})
    for key, value in found.items():
        typer.echo(f"{key:16} {value:.4f}" if isinstance(value, float) else f"{key:16} {value}")
