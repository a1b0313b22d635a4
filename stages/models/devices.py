"""Where models run."""

from __future__ import annotations

import torch

from stages.artifacts.errors import AnywordError
from stages.models.recipe import BackboneRecipe


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device; AnywordError where it is unknown or not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise AnywordError(f"device '{name}' is unknown.", remedy="Use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise AnywordError(f"device '{name}': torch sees {torch.cuda.device_count()} GPUs.", remedy="Use auto or cpu.")
    return device


def with_dtype(recipe: BackboneRecipe, device: torch.device) -> BackboneRecipe:
    """The recipe with the arithmetic that `auto` means on a device: it decides the result, so manifests are to say it.

    bfloat16 where the device is a GPU that computes with it by itself (NVIDIA's since Ampere) and the model is a real
    one; the embedded model's weights were measured in the arithmetic that its recipe says.
    """
    if recipe.dtype != "auto":
        return recipe
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return recipe.model_copy(update={"dtype": "bfloat16" if has_it and recipe.kind != "embedded" else "float32"})
