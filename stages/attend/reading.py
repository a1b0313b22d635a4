"""Which attention is read of a UNet pass: the words' maps, at one resolution or several, and the image's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from stages.artifacts.errors import AnywordError
from stages.models.attention import Capture, Layer, attention_layers, choose_layers
from stages.models.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Maps:
    """What one UNet call showed."""

    cross: Float[torch.Tensor, "rows tokens height width"]
    """Attention of each image cell to each token, averaged over heads and layers."""
    own: Float[torch.Tensor, "rows cells cells"] | None = None
    """Attention of each image cell (second axis) to every cell (third), likewise, where asked for."""


class Reader:
    """Runs a backbone's UNet and reads maps: `scales` weighs resolutions, `own` adds self-attention."""

    def __init__(
        self,
        backbone: DiffusionBackbone,
        *,
        scales: Mapping[int, float] | None = None,
        layers: Sequence[str] | None = None,
        own: bool = False,
    ) -> None:
        """scales: weight by side of the maps; the result has the largest side, the others interpolated to it.
        Default: the backbone's maps alone. layers: beginnings of names of those to read at each side; default: at
        the maps' side the backbone's, elsewhere every one. own: also the self-attention beside the layers of the
        largest side. AnywordError where no layer is left at a side, or a name fits none.
        """
        self.backbone = backbone
        every = attention_layers(backbone.model, backbone.latent_size)
        scales = {backbone.map_resolution: 1.0} if scales is None else scales
        self.weights = {side: weight / sum(scales.values()) for side, weight in scales.items()}
        chosen = {layer.name for side in scales for layer in self._at(every, side, layers)}
        self.layers: list[Layer] = [layer for layer in every if layer.name in chosen]  # in the order in which they run
        self.side = max(self.weights)
        # A block's self-attention runs before its cross-attention, so a pass that ends at the last of these has it.
        beside = [Layer(_own(layer.name), self.side) for layer in self.layers if layer.resolution == self.side]
        self.own_layers = beside if own else []

    def _at(self, every: Sequence[Layer], side: int, prefixes: Sequence[str] | None) -> Sequence[Layer]:
        if prefixes is None and side == self.backbone.map_resolution:
            return self.backbone.layers
        return choose_layers(every, side, prefixes, f"backbone {self.backbone.id}")

    @torch.no_grad()
    def __call__(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: Int[torch.Tensor, " rows"],
        context: Float[torch.Tensor, "rows window context"],
    ) -> Maps:
        """Maps alone; the UNet ends at the last layer that is read."""
        maps, _ = self._read(latents, timesteps, context, stop=True)
        return maps

    @torch.no_grad()
    def with_prediction(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: Int[torch.Tensor, " rows"],
        context: Float[torch.Tensor, "rows window context"],
    ) -> tuple[Maps, Float[torch.Tensor, "rows channels h w"]]:
        """Maps, and what the UNet predicts."""
        maps, predicted = self._read(latents, timesteps, context, stop=False)
        if predicted is None:
            raise AnywordError("attention capture: the UNet ended early where its prediction is wanted.")
        return maps, predicted

    def _read(
        self, latents: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, *, stop: bool
    ) -> tuple[Maps, torch.Tensor | None]:
        predicted = None
        with ExitStack() as stack:
            cross = stack.enter_context(Capture(self.backbone.model, self.layers, stop=stop))
            own = None
            if self.own_layers:
                own = stack.enter_context(Capture(self.backbone.model, self.own_layers))
            with cross.stopping():
                predicted = self.backbone.unet(latents, timesteps, context)
            by_side = cross.take_all()
            # A capture gives keys first; here a row is what one cell attends to.
            between = own.take_all()[self.side].transpose(1, 2) if own is not None else None
        total = torch.zeros(())
        for side, weight in self.weights.items():
            maps = by_side[side].unflatten(-1, (side, side))
            if side != self.side:
                size = (self.side, self.side)
                maps = torch.nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
            total = total.to(maps) + weight * maps
        return Maps(total, between), predicted


def _own(name: str) -> str:
    return name.removesuffix("attn2") + "attn1"


def refine(
    maps: Float[torch.Tensor, "tokens height width"],
    own: Float[torch.Tensor, "cells cells"],
    power: int,
) -> Float[torch.Tensor, "tokens height width"]:
    """Spread maps along self-attention, `power` times: a cell takes the mean of the cells that it attends to.

    As DiffSegmenter and InvSeg refine (A_self A_cross); cells of one object attend to one another, so a map grows to
    the object's rim and noise outside is averaged away.
    """
    flat = maps.flatten(1)  # [tokens, cells]
    for _ in range(power):
        flat = flat @ own.T
    return flat.view_as(maps)
