"""Where models run."""

from __future__ import annotations

import torch

from stages.artifacts.errors import AnywordError


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
