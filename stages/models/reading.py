"""Which attention is read of a pass: the text's maps, at one resolution or several, and the image's own.

Gradients flow through what is read unless the caller disables them, so losses of maps and averages of maps read alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from stages.models.diffusion import choose_layers
from stages.models.face import Condition, DiffusionModel, Layer, Read

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class AttentionMaps:
    """What one pass showed."""

    cross: Float[torch.Tensor, "rows columns height width"]
    """Attention of each image cell to each context column, averaged over heads and layers."""
    own: Float[torch.Tensor, "rows cells cells"] | None = None
    """Attention of each image cell (second axis) to every cell (third), likewise, where asked for."""


class AttentionReader:
    """Runs passes of a model and reads maps: `scales` weighs resolutions, `own` adds self-attention."""

    def __init__(
        self,
        model: DiffusionModel,
        *,
        scales: Mapping[int, float] | None = None,
        layers: Sequence[str] | None = None,
        own: bool = False,
    ) -> None:
        """scales: weight by the longer side of the grid; the result has the largest grid, the others interpolated to
        it. Default: the model's own layers alone. layers: beginnings of names of those to read at each side; default:
        at the default's side the model's, elsewhere every one. own: also self-attention at the largest side, that
        beside the default's layers, whatever `layers` says: which layers know words does not say which know structure.
        AnywordError where no layer is left at a side, or a name fits none.
        """
        self.model = model
        default = model.read_by_default
        scales = {default[0].side: 1.0} if scales is None else scales

        def at(side: int, wanted: Sequence[str] | None) -> Sequence[Layer]:
            if wanted is None and side == default[0].side:
                return default
            return choose_layers(model.layers, side, wanted, f"backbone {model.record.id}")

        chosen = {side: at(side, layers) for side in scales}
        total = sum(scales.values())
        self._text = {
            side: (Read(tuple(one.name for one in chosen[side])), weight / total) for side, weight in scales.items()
        }
        self.grid = chosen[max(scales)][0].grid
        """Rows and columns of the maps."""
        beside = at(max(scales), None)
        self._own = Read(tuple(one.name for one in beside), "image-to-image") if own else None
        self.reads = [read for read, _ in self._text.values()] + ([self._own] if self._own else [])

    def __call__(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
        condition: Condition,
    ) -> AttentionMaps:
        """Maps alone; the pass ends at the last layer that is read."""
        return self._read(latents, timesteps, condition, stop=True)[0]

    def with_prediction(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
        condition: Condition,
    ) -> tuple[AttentionMaps, Float[torch.Tensor, "rows channels h w"]]:
        """Maps, and what the model predicts."""
        maps, predicted = self._read(latents, timesteps, condition, stop=False)
        if predicted is None:
            raise RuntimeError("a pass that was to run to its end gave no prediction")
        return maps, predicted

    def _read(
        self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition, *, stop: bool
    ) -> tuple[AttentionMaps, torch.Tensor | None]:
        predicted, found = self.model.run(latents, timesteps, condition, self.reads, stop=stop)
        total = torch.zeros(())
        for read, weight in self._text.values():
            maps = found[read]
            if maps.shape[-2:] != self.grid:
                maps = torch.nn.functional.interpolate(maps, size=self.grid, mode="bilinear", align_corners=False)
            total = total.to(maps) + weight * maps
        return AttentionMaps(total, found[self._own] if self._own else None), predicted


def refine(
    maps: Float[torch.Tensor, "columns height width"],
    own: Float[torch.Tensor, "cells cells"],
    power: int,
) -> Float[torch.Tensor, "columns height width"]:
    """Spread maps along self-attention, `power` times: a cell takes the mean of the cells that it attends to.

    As DiffSegmenter and InvSeg refine (A_self A_cross); cells of one object attend to one another, so a map grows to
    the object's rim and noise outside is averaged away.
    """
    flat = maps.flatten(1)  # [columns, cells]
    for _ in range(power):
        flat = flat @ own.T
    return flat.view_as(maps)
