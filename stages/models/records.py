"""What a manifest says of a model, from its files alone: nothing is loaded, so a stage can tell beforehand whether it
would only repeat what is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stages.artifacts import ModelRecord
from stages.artifacts.atomic import sha256_file
from stages.models import hub, sam
from stages.models.recipe import BackboneRecipe


def backbone(recipe: BackboneRecipe, adapter: Path | None = None) -> dict[str, ModelRecord]:
    """The record of a diffusion model, with the adapter whose manifest is given merged into its text encoder.

    Raises:
        AnywordError: the model is nowhere, or the adapter's folder is damaged.
    """
    from stages.models import adapter as adapters
    from stages.models import diffusion

    return {"backbone": adapters.record(diffusion.record(recipe), adapter)}


def segment_anything(kind: str, checkpoint: str | None) -> ModelRecord:
    """The record of a SAM. AnywordError where its checkpoint is missing."""
    path = sam.locate(kind, checkpoint)
    if kind == "embedded":
        both = "".join(sha256_file(path / name) for name in ("config.json", "model.safetensors"))
        sha256 = hashlib.sha256(both.encode()).hexdigest()
    else:
        sha256 = sha256_file(path)
    return ModelRecord(id=sam.name_of(kind, checkpoint, path), sha256=sha256)


def transformers_folder(path: str, revision: str | None, *, offline: bool, what: str) -> ModelRecord:
    """The record of a segmenter of transformers. AnywordError where it is nowhere."""
    from stages.models.text_prompted import path_name

    folder = hub.locate(path, revision, offline=offline, what=what)
    return ModelRecord(id=path_name(path), revision=revision, sha256=hub.hash_of(folder))
