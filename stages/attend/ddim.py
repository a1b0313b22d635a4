"""DDIM inversion of latents (for flow models its equivalent), and maps along the chain.

The convention is prompt-to-prompt's and diffusers': going up, the latent at the level of the step below is given to
the model under the label of the step that it is going to (equation 1 of Segment Anyword labels it one step lower).
Guidance is 1 (the conditional branch alone): with more, DDIM inversion does not come back to the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.attend.averager import Averager
from stages.models.face import Condition, DiffusionModel
from stages.models.noise_path import Level
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


@torch.no_grad()
def ddim_inversion(
    model: DiffusionModel,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    steps: int,
    *,
    below: int | None = None,
) -> tuple[list[Level], Float[torch.Tensor, "steps images channels h w"]]:
    """Latents along the deterministic chain from image to noise: the levels, rising, and the latent at each.

    below: leave out what lies at or above this timestep.
    """
    levels = [level for level in model.path.levels(steps) if below is None or level < below]
    stored = []
    at: Level | None = None
    for level in levels:
        label = torch.full((len(latents),), level, device=latents.device)
        latents = model.path.move(latents, model.predict(latents, label, condition), at, level)
        stored.append(latents)
        at = level
    return levels, torch.stack(stored) if stored else latents[None, :][:0]


@torch.no_grad()
def maps_at(
    reader: AttentionReader,
    stored: Float[torch.Tensor, "steps images channels h w"],
    levels: Sequence[Level],
    condition: Condition,
    averager: Averager,
    *,
    rows: int,
) -> None:
    """Maps at stored latents. The evaluations do not depend on one another, so time and images share batches.

    rows: latents a pass; decides memory and speed, not the result.
    """
    pairs = [(step, n) for step in range(len(levels)) for n in range(stored.shape[1])]
    wanted = [(step, n) for step, n in pairs if averager.wants(levels[step])]
    for begin in range(0, len(wanted), rows):
        part = wanted[begin : begin + rows]
        at = [step for step, _ in part]
        own = [n for _, n in part]
        labels = torch.tensor([levels[step] for step in at], device=stored.device)
        maps = reader(stored[at, own], labels, condition.select(own))
        averager.add(maps, own, [levels[step] for step in at])


@torch.no_grad()
def denoise(
    reader: AttentionReader,
    latents: Float[torch.Tensor, "images channels h w"],
    levels: Sequence[Level],
    condition: Condition,
    averager: Averager,
) -> Float[torch.Tensor, "images channels h w"]:
    """From the last inverted latent down to the image, step by step, reading maps on the way; returns where it ends.

    levels: those of the inversion, rising.
    """
    everyone = list(range(len(latents)))
    for level, below in zip(reversed(levels), [*reversed(levels[:-1]), None], strict=True):
        label = torch.full((len(latents),), level, device=latents.device)
        maps, predicted = reader.with_prediction(latents, label, condition)
        if averager.wants(level):
            averager.add(maps, everyone, [level] * len(everyone))
        latents = reader.model.path.move(latents, predicted, level, below)
    return latents
