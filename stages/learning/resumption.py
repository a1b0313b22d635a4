"""What an optimiser has learned, as arrays that can be kept and taken up again bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np


def learned(optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """Its parameters and what it knows of each, by their number."""
    found: dict[str, np.ndarray] = {}
    for n, parameter in enumerate(_parameters(optimiser)):
        found[f"parameter.{n}"] = parameter.detach().cpu().numpy()
        for name, value in optimiser.state.get(parameter, {}).items():
            found[f"parameter.{n}.{name}"] = torch.as_tensor(value).cpu().numpy()
    return found


def take_up(optimiser: torch.optim.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Go on where `learned` was asked."""
    for n, parameter in enumerate(_parameters(optimiser)):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(state[f"parameter.{n}"]))
        own = {name.split(".", 2)[2]: value for name, value in state.items() if name.startswith(f"parameter.{n}.")}
        # AdamW counts steps on the CPU, wherever its parameters are.
        optimiser.state[parameter] = {
            name: torch.from_numpy(value) if name == "step" else torch.from_numpy(value).to(parameter)
            for name, value in own.items()
        }


def _parameters(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [one for group in optimiser.param_groups for one in group["params"]]
