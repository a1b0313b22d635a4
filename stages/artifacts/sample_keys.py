"""What one sample's result was made from, so that a shard which is made again keeps the samples that did not change.

A shard's fingerprint covers its inputs whole: one row more, and all of the shard is another result. A sample's key
covers its stage, recipe, models, and that sample's part of each input. What a stage *observes*, and which no input
decides (a dataset's files, a language model's answers), has its content for a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.artifacts.atomic import canonical, sha256_of
from stages.artifacts.manifest import ModelRecord, Stage
from stages.artifacts.shard_reader import ShardReader

_LENGTH = 24  # characters of a hash: keys are compared between results of one sample only


def made_keys(
    stage: Stage,
    recipe: Mapping[str, Any],
    models: Mapping[str, ModelRecord],
    inputs: Mapping[str, ShardReader],
    ids: Sequence[str],
) -> list[str | None]:
    """A key for each sample whose result its inputs decide; None where an input has no result for it.

    An input without keys of its own (an adapter, or a shard older than keys) counts as a whole.
    """
    common = {
        "stage": stage.model_dump(),
        "recipe": dict(recipe),
        "models": {name: model.model_dump() for name, model in models.items()},
    }
    own = {name: one.keys for name, one in inputs.items()}
    found: list[str | None] = []
    for sample_id in ids:
        parts = {name: keys.get(sample_id) if keys else inputs[name].sha256 for name, keys in own.items()}
        known = all(part is not None for part in parts.values())
        found.append(sha256_of(canonical({**common, "inputs": parts}))[:_LENGTH] if known else None)
    return found


def content_key(rows: Sequence[Mapping[str, Any]]) -> str:
    """The key of a sample that was observed: of its first row, which is all that later stages are given of it. (Truth,
    which the samples stage keeps in further rows, is for the score alone.)"""
    return sha256_of(canonical(dict(rows[0])))[:_LENGTH]
