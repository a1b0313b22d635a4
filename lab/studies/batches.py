"""Do masks depend on the company that their sample had in a batch? The same scenes and recipes, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.studies.scores import Key

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
    from stages.artifacts.results import Results
    from stages.artifacts.shard_reader import ShardReader

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

    from stages.artifacts.errors import AnywordError

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
