"""What a manifest says of a model, from its files alone: nothing is loaded, so a stage can tell beforehand whether it
would only repeat what is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stages.artifacts import ArtifactError, ModelRecord, ShardReader
from stages.models import hub, sam
from stages.models.file_hashes import hash_of_file
from stages.models.recipe import BackboneRecipe

ADAPTER_WEIGHTS = "adapter_model.safetensors"


def backbone(recipe: BackboneRecipe, adapter: Path | None = None) -> dict[str, ModelRecord]:
    """The record of a diffusion model, with the adapter whose manifest is given merged into its text encoder.

    Raises:
        AnywordError: the model is nowhere, or the adapter's folder is damaged.
    """
    from stages.models import diffusion

    return {"backbone": with_adapter(diffusion.record(recipe), adapter)}


def with_adapter(backbone: ModelRecord, adapter: Path | None) -> ModelRecord:
    """What a manifest says of a backbone with the adapter that the manifest at `adapter` describes, from files alone.

    The hash then names both, so that embeddings learned with and without are not mistaken for one another.
    ArtifactError where the adapter was trained on another backbone. None gives the backbone's record.
    """
    if adapter is None:
        return backbone
    folder = ShardReader(adapter, "adapt")
    trained_on = folder.manifest.models.get("backbone")
    if trained_on is None or trained_on.sha256 != backbone.sha256:
        raise ArtifactError(
            f"{folder.path}: this adapter was trained on backbone '{trained_on.id if trained_on else 'none'}', and "
            f"'{backbone.id}' (by its weights and files) is another.",
            remedy="Give the adapter's recipe the inverter's backbone.",
        )
    both = f"{backbone.sha256} {folder.manifest.files[ADAPTER_WEIGHTS].sha256}"
    return backbone.model_copy(update={"sha256": hashlib.sha256(both.encode()).hexdigest()})


def segment_anything(kind: str, checkpoint: str | None) -> ModelRecord:
    """The record of a SAM. AnywordError where its checkpoint is missing."""
    path = sam.locate(kind, checkpoint)
    if kind == "embedded":
        both = "".join(hash_of_file(path / name) for name in ("config.json", "model.safetensors"))
        sha256 = hashlib.sha256(both.encode()).hexdigest()
    else:
        sha256 = hash_of_file(path)
    return ModelRecord(id=sam.name_of(kind, checkpoint, path), sha256=sha256)


def transformers_folder(path: str, revision: str | None, *, offline: bool, what: str) -> ModelRecord:
    """The record of a segmenter of transformers. AnywordError where it is nowhere."""
    from stages.models.text_prompted import path_name

    folder = hub.locate(path, revision, offline=offline, what=what)
    return ModelRecord(id=path_name(path), revision=revision, sha256=hub.hash_of(folder))
