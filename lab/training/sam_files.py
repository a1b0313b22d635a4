"""Writing the embedded SAM as the registry reads it: config.json and model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.atomic import write_bytes, write_json

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from stages.models.embedded_sam import EmbeddedSamConfig


def write(sam: Sam, config: EmbeddedSamConfig, folder: Path) -> None:
    """Weights as float16, each file whole or not at all."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in sam.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    write_json(folder / "config.json", config.model_dump(mode="json"))
