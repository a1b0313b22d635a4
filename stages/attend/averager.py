"""Averages of attention maps, taken while they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from stages.artifacts.errors import AnywordError
from stages.models.noise_path import Level
from stages.models.reading import AttentionMaps, refine

if TYPE_CHECKING:
    from jaxtyping import Float


class Averager:
    """Mean map of every context column of every image over timesteps in a range; and those of its parts, if kept."""

    def __init__(
        self,
        images: int,
        timesteps: tuple[int, int],
        *,
        keep: Literal["steps", "layers", "heads"] | None = None,
        power: int = 0,
        sharpen: float | None = None,
    ) -> None:
        """keep: which parts; layers and heads must be read apart. power: how often the mean maps are spread along the
        mean self-attention, which must then be read. sharpen: the strength with which that is sharpened first."""
        self.images = images
        self.low, self.high = timesteps
        self.keep = keep
        self.power = power
        self.sharpen = sharpen
        self._sum: torch.Tensor | None = None
        self._own: torch.Tensor | None = None
        self._count = [0] * images
        self._parts: list[dict[Level | str, tuple[torch.Tensor, int]]] = [{} for _ in range(images)]

    def wants(self, timestep: Level) -> bool:
        return self.low <= timestep < self.high

    def add(self, maps: AttentionMaps, images: Sequence[int], timesteps: Sequence[Level]) -> None:
        """Maps of some (image, timestep) pairs, in any order and any batches."""
        cross, own = maps.cross, maps.own
        if self._sum is None:
            self._sum = torch.zeros(self.images, *cross.shape[1:], dtype=torch.float64, device=cross.device)
        if self._own is None and own is not None:
            self._own = torch.zeros(self.images, *own.shape[1:], dtype=torch.float32, device=own.device)
        # Float64 and one row after the other: the sum does not depend on how the rows were batched.
        for row, (n, timestep) in enumerate(zip(images, timesteps, strict=True)):
            self._sum[n] += cross[row]
            self._count[n] += 1
            if self._own is not None and own is not None:
                self._own[n] += own[row]
            if self.keep == "steps":
                self._keep(n, timestep, cross[row])
            elif self.keep:
                for name, values in maps.parts.items():
                    self._keep(n, name, values[row])

    def _keep(self, image: int, part: Level | str, values: torch.Tensor) -> None:
        total, count = self._parts[image].get(part, (torch.zeros((), dtype=torch.float64), 0))
        self._parts[image][part] = (total + values.double().cpu(), count + 1)

    def mean(self, image: int, *, refined: bool = True) -> Float[torch.Tensor, "columns height width"]:
        """The mean map of each context column of one image, in float32 on the CPU; AnywordError if none was added."""
        if self._sum is None or not self._count[image]:
            raise AnywordError(
                f"attend: no timestep of the chain lies in {self.low}..{self.high}.",
                remedy="Widen the attender's timesteps, or give it more steps.",
            )
        maps = (self._sum[image] / self._count[image]).float()
        return self.refined(maps, [image]) if refined else maps.cpu()

    def refined(
        self, maps: Float[torch.Tensor, "columns height width"], images: Sequence[int]
    ) -> Float[torch.Tensor, "columns height width"]:
        """Maps spread `power` times along the mean self-attention of some passes (those of one text's windows)."""
        if not self.power:
            return maps.cpu()
        if self._own is None:
            raise ValueError("refinement needs self-attention, and none was read")
        own = sum((self._own[n] / self._count[n] for n in images[1:]), self._own[images[0]] / self._count[images[0]])
        return refine(maps.to(own), own / len(images), self.power, self.sharpen).cpu()

    def parts(self, image: int) -> Float[torch.Tensor, "parts columns height width"]:
        """The mean map of each part that is kept: of timesteps, rising, over noises; of layers, or of heads layer by
        layer, over timesteps. Not refined."""
        kept = self._parts[image]
        order = sorted(kept) if self.keep == "steps" else kept
        return torch.stack([(total / count).float() for total, count in (kept[part] for part in order)])
