"""Early stopping by image: do the words' maps still change?

The training step's own maps would jump with its noise, so the maps are looked at on noised latents that are drawn
once and kept, at timesteps spread over the recipe's range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.invert.recipe import Settle
from stages.invert.vectors import Learner
from stages.learning.draws import draw_batch, timestep_range
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


class EarlyStopping:
    """Remembers each image's last maps and how often in a row they were found unchanged."""

    def __init__(
        self,
        learner: Learner,
        latents: Float[torch.Tensor, "images channels h w"],
        sample_ids: Sequence[str],
        settings: Settle,
        seed: int,
        timesteps: tuple[int, int],
    ) -> None:
        """seed, timesteps: of the recipe's draws."""
        model = learner.model
        self.every = settings.every
        self.settings = settings
        self.learner = learner
        self.reader = AttentionReader(model)
        steps, noise = draw_batch(
            seed,
            "invert",
            sample_ids,
            "settle",
            settings.draws,
            latents.shape[1:],
            timestep_range(model, timesteps),
            model.device,
            stratified=True,
        )
        clean = latents.repeat_interleave(settings.draws, dim=0)
        self.noised = model.path.noised(clean, noise, steps).unflatten(0, (len(sample_ids), -1))
        self.timesteps = steps.unflatten(0, (len(sample_ids), -1))
        self.before: dict[int, torch.Tensor] = {}
        self.calm = dict.fromkeys(range(len(sample_ids)), 0)

    @torch.no_grad()
    def going_on(self, active: Sequence[int]) -> list[int]:
        """Those of the `active` images whose maps have not settled."""
        index = torch.tensor(list(active), device=self.noised.device)
        maps = self.reader(
            self.noised[index].flatten(0, 1),
            self.timesteps[index].flatten(),
            self.learner.condition(active).repeat(self.settings.draws),
        ).cross
        maps = maps.unflatten(0, (len(active), -1)).mean(dim=1)  # [active, columns, height, width]
        words = self.learner.words
        going = []
        for row, n in enumerate(active):
            now = maps[row, words.column[words.text == n]].flatten(1)
            now = now / now.sum(dim=1, keepdim=True)
            if n in self.before:
                change = float((now - self.before[n]).abs().sum(dim=1).mean() / 2)  # total variation
                self.calm[n] = self.calm[n] + 1 if change < self.settings.tolerance else 0
            self.before[n] = now
            if self.calm[n] < self.settings.patience:
                going.append(n)
        return going

    def state(self) -> dict[str, np.ndarray]:
        """What was seen so far, to be kept."""
        maps = {f"settle.{n}": maps.cpu().numpy() for n, maps in self.before.items()}
        return {"calm": np.array(list(self.calm.values())), **maps}

    def take_up(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was asked."""
        self.calm = dict(enumerate(state["calm"].tolist()))
        for n in self.calm:
            if f"settle.{n}" in state:
                self.before[n] = torch.from_numpy(state[f"settle.{n}"]).to(self.noised)
