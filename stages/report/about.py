"""What the page says of the whole run: scores, failures, recipes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stages.artifacts.failures import FailureGroup
from stages.artifacts.shard_reader import ShardReader

NAMES = {"miou": "mIoU", "miou_matched_by_iou": "mIoU, matched by IoU", "iou_over_half": "IoU over .5"}
IDS_SHOWN = 1000


def failures(groups: Sequence[FailureGroup]) -> list[dict[str, Any]]:
    """Failed samples by stage and reason, with the command that runs them again."""
    return [
        {
            "stage": one.stage,
            "kind": one.kind,
            "count": len(one.samples),
            "command": one.command,
            "samples": [{"id": sample.id, "reason": sample.reason} for sample in one.samples[:IDS_SHOWN]],
        }
        for one in groups
    ]


def provenance(shards: Sequence[Mapping[str, ShardReader]], score: ShardReader | None) -> list[dict[str, Any]]:
    """Recipe, version and models of each stage in the order of the data, with the fingerprints of its shards."""
    stages = {name: [one[name] for one in shards] for name in (shards[0] if shards else ())}
    if score is not None:
        stages["score"] = [score]
    found = []
    for folders in stages.values():
        manifest = folders[0].manifest
        found.append(
            {
                "stage": manifest.stage.name,
                "version": manifest.stage.version,
                "recipe": json.dumps(manifest.recipe, indent=2, sort_keys=True, ensure_ascii=False),
                "models": [{"name": name, **model.model_dump()} for name, model in manifest.models.items()],
                "shards": len(folders),
                "fingerprint": manifest.fingerprint,
            }
        )
    return found


def figures(score: ShardReader | None) -> dict[str, Any] | None:
    """Every figure of score.json that has an interval, by group and tag; None without truth."""
    if score is None:
        return None
    found = json.loads(score.file("score.json").read_bytes())
    lines = []
    for group in ("phrases", "predicates"):
        own = found[group]
        if not own["count"]:
            continue
        lines += [_figure(f"{group}: {name}", own["count"], own[key]) for key, name in NAMES.items()]
        if own["pointed"]:
            lines.append(_figure(f"{group}: pointing", own["pointed"], own["pointing"]))
        tags = own["tags"].items()
        lines += [_figure(f"{group} tagged {tag}: mIoU", one["count"], one["miou"]) for tag, one in tags]
    official = found.get("official", {})
    named = [(name, one) for name, one in official.items() if isinstance(one, dict) and "low" in one]
    lines += [_figure(f"{official['kind']}: {name}", "", one) for name, one in named]
    return {"lines": lines, "predictions": found["predictions"], "extra": found["extra"]}


def _figure(name: str, count: int | str, figure: Mapping[str, float | None]) -> dict[str, Any]:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    return {
        "name": name,
        "count": count,
        "value": "undefined" if value is None else f"{value:.3f}",
        "interval": "" if low is None or high is None else f"{low:.3f} to {high:.3f}",
    }
