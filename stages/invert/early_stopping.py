"""Early stop by image: have the words' maps settled?

The training step's own maps would jump with its noise, so the maps are looked at on noised latents that are drawn
once and kept, at timesteps spread over the recipe's range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.invert.recipe import TextualRecipe
from stages.learning.draws import draw_batch, timestep_range
from stages.models.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Float

    from stages.invert.textual import Vectors


class Watch:
    """Remembers each image's last maps and how often they were found settled."""

    def __init__(
        self,
        backbone: DiffusionBackbone,
        latents: Float[torch.Tensor, "images channels h w"],
        vectors: Vectors,
        sample_ids: Sequence[str],
        recipe: TextualRecipe,
    ) -> None:
        if recipe.settle is None:
            raise ValueError("a recipe without `settle` has nothing to watch")
        self.every = recipe.settle.every
        self.settings = recipe.settle
        self.backbone = backbone
        self.vectors = vectors
        timesteps, noise = draw_batch(
            recipe.seed,
            "invert",
            sample_ids,
            "settle",
            self.settings.draws,
            latents.shape[1:],
            timestep_range(backbone, recipe.timesteps),
            backbone.device,
            stratified=True,
        )
        clean = latents.repeat_interleave(self.settings.draws, dim=0)
        self.noised = backbone.scheduler.add_noise(clean, noise, timesteps).unflatten(0, (len(sample_ids), -1))
        self.timesteps = timesteps.unflatten(0, (len(sample_ids), -1))
        self.before: dict[int, torch.Tensor] = {}
        self.calm = dict.fromkeys(range(len(sample_ids)), 0)

    @torch.no_grad()
    def unsettled(self, active: Sequence[int]) -> list[int]:
        """Those of the `active` images that must go on."""
        index = torch.tensor(list(active), device=self.backbone.device)
        context = self.vectors.context(self.backbone, index)
        maps = self.backbone.attention(
            self.noised[index].flatten(0, 1),
            self.timesteps[index].flatten(),
            context.repeat_interleave(self.settings.draws, dim=0),
        )
        maps = maps.unflatten(0, (len(active), -1)).mean(dim=1)  # [active, L, R, R]
        going = []
        for row, n in enumerate(active):
            now = maps[row, self.vectors.token[self.vectors.text == n]].flatten(1)
            now = now / now.sum(dim=1, keepdim=True)
            if n in self.before:
                change = float((now - self.before[n]).abs().sum(dim=1).mean() / 2)  # total variation
                self.calm[n] = self.calm[n] + 1 if change < self.settings.tolerance else 0
            self.before[n] = now
            if self.calm[n] < self.settings.patience:
                going.append(n)
        return going
