"""Which attention is read of a pass: the text's maps, at one resolution or several, and the image's own.

Gradients flow through what is read unless the caller disables them, so losses of maps and averages of maps read alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from stages.artifacts.errors import AnywordError
from stages.models.diffusion import choose_layers
from stages.models.face import Condition, DiffusionModel, Layer, Read, Readings, What
from stages.models.layer_weights import layer_weights

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class AttentionMaps:
    """What one pass showed."""

    cross: Float[torch.Tensor, "rows columns height width"]
    """Attention of each image cell to each context column, averaged over heads and layers."""
    own: Float[torch.Tensor, "rows cells cells"] | None = None
    """Attention of each image cell (second axis) to every cell (third), likewise, where asked for."""
    parts: Mapping[str, Float[torch.Tensor, "rows columns height width"]] = field(default_factory=dict)
    """Of `cross` each layer, or each head, by its name, where they are read apart."""


class AttentionReader:
    """Runs passes of a model and reads maps: `scales` weighs resolutions, `reference` layers, `own` adds
    self-attention."""

    def __init__(
        self,
        model: DiffusionModel,
        *,
        scales: Mapping[int, float] | None = None,
        stretch: bool = False,
        layers: Sequence[str] | None = None,
        reference: str | None = None,
        own: bool = False,
        heads: Literal["mean", "output"] = "mean",
        apart: Literal["layers", "heads"] | None = None,
    ) -> None:
        """scales: weight by the longer side of the grid; the result has the largest grid, the others interpolated to
        it. Default: the model's own layers alone. stretch: each resolution's maps to 0..1 before they are weighed.
        layers: beginnings of names of those to read at each side; default: at the default's side the model's, elsewhere
        every one. reference: the beginning of the name of the layer by whose features all that are read are weighed
        (`layer_weights`): its queries, or what it returns where image and text share one softmax. own: also
        self-attention at the largest side, that beside the default's layers, whatever `layers` says: which layers know
        words does not say which know structure. heads: how those of a layer are put together, 'output' by GoCA's
        weights. apart: what is also read one by one. AnywordError where no layer is left at a side, a name fits none,
        or a layer does not give what is read.
        """
        self.model = model
        self._stretch = stretch
        default = model.read_by_default
        scales = {default[0].side: 1.0} if scales is None else scales

        def at(side: int, wanted: Sequence[str] | None) -> Sequence[Layer]:
            if wanted is None and side == default[0].side:
                return default
            return choose_layers(model.layers, side, wanted, f"backbone {model.record.id}")

        chosen = {side: at(side, layers) for side in scales}
        total = sum(scales.values())
        what: What = "image-to-text" if heads == "mean" else "image-to-text by output"
        # Layers whose weights are not known beforehand are read one by one.
        parts = {side: [[one] for one in some] if reference else [some] for side, some in chosen.items()}
        self._text = [
            (Read(tuple(one.name for one in some), what), weight / total)
            for side, weight in scales.items()
            for some in parts[side]
        ]
        self.grid = chosen[max(scales)][0].grid
        """Rows and columns of the maps."""
        beside = at(max(scales), None)
        self._own = Read(tuple(one.name for one in beside), "image-to-image") if own else None
        every = [layer for some in chosen.values() for layer in some]
        alone: What = "image-to-text by head" if apart == "heads" else what
        self._apart = {layer.name: Read((layer.name,), alone) for layer in every} if apart else {}
        for name, lacking in ((layer.name, {what, alone} - layer.gives) for layer in every):
            if not lacking:
                continue
            raise AnywordError(
                f"backbone {model.record.id}: layer {name} gives no {min(lacking)}.",
                remedy="Choose heads: mean, or other layers.",
            )
        self._agreement = _Agreement.with_layer(model, reference, every) if reference else None
        wanted = [read for read, _ in self._text] + ([self._own] if self._own else []) + [*self._apart.values()]
        wanted += [self._agreement.features, *self._agreement.own] if self._agreement else []
        self.reads = list(dict.fromkeys(wanted))

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
        given = [weight for _, weight in self._text]
        weights: Sequence[Any] = self._agreement.weights(found, given) if self._agreement else given
        total = torch.zeros(())
        for (read, _), weight in zip(self._text, weights, strict=True):
            maps = self._on_grid(found[read])
            if self._stretch:
                maps = stretched(maps)
            total = total.to(maps) + weight * maps
        parts: dict[str, torch.Tensor] = {}
        for name, read in self._apart.items():
            if read.what == "image-to-text by head":
                parts |= {f"{name}, head {k}": self._on_grid(one) for k, one in enumerate(found[read].unbind(1), 1)}
            else:
                parts[name] = self._on_grid(found[read])
        return AttentionMaps(total, found[self._own] if self._own else None, parts), predicted

    def _on_grid(
        self, maps: Float[torch.Tensor, "rows columns h w"]
    ) -> Float[torch.Tensor, "rows columns height width"]:
        if maps.shape[-2:] == self.grid:
            return maps
        return torch.nn.functional.interpolate(maps, size=self.grid, mode="bilinear", align_corners=False)

    def part_names(self, count: int) -> list[str]:
        """Names of so many parts as a pass reads apart, in their order."""
        names = list(self._apart)
        heads, rest = divmod(count, len(names))
        if rest:
            return [f"part {k}" for k in range(1, count + 1)]
        return names if heads == 1 else [f"{name}, head {k}" for name in names for k in range(1, heads + 1)]


@dataclass(frozen=True)
class _Agreement:
    """What layers are weighed by."""

    features: Read
    own: tuple[Read, ...]
    grids: tuple[tuple[int, int], ...]

    @classmethod
    def with_layer(cls, model: DiffusionModel, beginning: str, layers: Sequence[Layer]) -> _Agreement:
        """The features of the model's first layer whose name begins so, and the self-attention of each of `layers`."""
        found = [one for one in model.layers if one.name == beginning or one.name.startswith(beginning + ".")]
        if not found:
            raise AnywordError(
                f"backbone {model.record.id}: no layer's name begins with '{beginning}'.",
                remedy=f"It has: {', '.join(one.name for one in model.layers)}.",
            )
        features = Read((found[0].name,), "query" if "query" in found[0].gives else "output")
        own = tuple(Read((one.name,), "image-to-image") for one in layers)
        return cls(features, own, tuple(one.grid for one in layers))

    def weights(self, found: Readings, given: Sequence[float]) -> list[Float[torch.Tensor, "rows 1 1 1"]]:
        """Of each layer, with what its resolution is given; they add up to 1."""
        own = layer_weights(found[self.features], [found[one] for one in self.own], self.grids)
        own = own * torch.tensor(given).to(own)[:, None]
        return list((own / own.sum(dim=0).clamp_min(1e-12))[:, :, None, None, None])


def stretched(maps: Float[torch.Tensor, "*words height width"]) -> Float[torch.Tensor, "*words height width"]:
    """Each map's lowest cell at 0 and its highest at 1."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)


def refine(
    maps: Float[torch.Tensor, "columns height width"],
    own: Float[torch.Tensor, "cells cells"],
    power: int,
    sharpen: float | None = None,
) -> Float[torch.Tensor, "columns height width"]:
    """Spread maps along self-attention, `power` times: a cell takes the mean of the cells that it attends to.

    As DiffSegmenter and InvSeg refine (A_self A_cross); cells of one object attend to one another, so a map grows to
    the object's rim and noise outside is averaged away. sharpen: the strength with which self-attention is sharpened
    first (`sharpened`), the maps then being brought back to lowest 0 and sum 1 after each time, as iSeg does.
    """
    flat = maps.flatten(1)  # [columns, cells]
    if sharpen is not None:
        own = sharpened(own, sharpen)
    for _ in range(power):
        flat = flat @ own.T
        if sharpen is not None:
            flat = flat - flat.amin(dim=1, keepdim=True)
            flat = flat / flat.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return flat.view_as(maps)


def sharpened(own: Float[torch.Tensor, "cells cells"], strength: float) -> Float[torch.Tensor, "cells cells"]:
    """Self-attention whose entropy is reduced (iSeg, entropy-reduced self-attention): with S in units of the largest
    share that any cell gives to the same one, max(0, S + e log10(e S)), e the strength, each row brought back to sum 1.
    Weak ties between unlike cells go first. A row that keeps none stays as it was."""
    share = own / own.amax(dim=0).clamp_min(1e-12)
    kept = (share + strength * (math.e * share.clamp_min(1e-30)).log10()).clamp_min(0)
    total = kept.sum(dim=1, keepdim=True)
    return torch.where(total > 0, kept / total.clamp_min(1e-12), own)
