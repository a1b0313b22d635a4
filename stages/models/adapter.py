"""A text encoder with an adapter merged in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from stages.artifacts import ArtifactError, ShardReader
from stages.models.diffusion import DiffusionBackbone


def adapted(backbone: DiffusionBackbone, adapter: Path | None) -> DiffusionBackbone:
    """The backbone with the adapter that the manifest at `adapter` describes merged into its text encoder.

    Its hash then names both, so that embeddings learned with and without are not mistaken for one another.
    ArtifactError where the adapter was trained on another backbone. None gives the backbone as it is.
    """
    if adapter is None:
        return backbone
    from peft import PeftModel

    folder = ShardReader(adapter, "adapt")
    trained_on = folder.manifest.models.get("backbone")
    if trained_on is None or trained_on.sha256 != backbone.weights_sha256:
        raise ArtifactError(
            f"{folder.path}: this adapter was trained on backbone '{trained_on.id if trained_on else 'none'}', and "
            f"'{backbone.id}' (by its weights and files) is another.",
            remedy="Give the adapter's recipe the inverter's backbone.",
        )
    weights = folder.file("adapter_model.safetensors")
    folder.file("adapter_config.json")
    model = PeftModel.from_pretrained(backbone.encoder, str(weights.parent))
    encoder = model.merge_and_unload().eval().requires_grad_(False)
    both = f"{backbone.weights_sha256} {folder.manifest.files[weights.name].sha256}"
    return replace(backbone, encoder=encoder, weights_sha256=hashlib.sha256(both.encode()).hexdigest())
