"""DDIM inversion of latents, and maps along the chain.

The convention is prompt-to-prompt's and diffusers': going up, the latent at the level of the step below is given to
the UNet under the label of the step that it is going to (equation 1 of Segment Anyword labels it one step lower).
Guidance is 1 (the conditional branch alone): with more, DDIM inversion does not come back to the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.attend.maps import Averager
from stages.attend.reading import Reader
from stages.backbones.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Float


def invert(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    context: Float[torch.Tensor, "images window context"],
    steps: int,
    *,
    below: int | None = None,
    reader: Reader | None = None,
    averager: Averager | None = None,
) -> tuple[list[int], Float[torch.Tensor, "steps images channels h w"]]:
    """Latents along the deterministic chain from image to noise: the timesteps, rising, and the latent at each.

    below: leave out what lies at or above this timestep. reader and averager: also read the maps of every
    step on the way up.
    """
    from diffusers import DDIMInverseScheduler

    scheduler = DDIMInverseScheduler.from_config(backbone.scheduler.config, clip_sample=False)
    scheduler.set_timesteps(steps)
    timesteps = [int(t) for t in scheduler.timesteps if below is None or int(t) < below]
    stored = []
    everyone = list(range(len(latents)))
    with torch.no_grad():
        for timestep in timesteps:
            label = torch.full((len(latents),), timestep, device=latents.device)
            if reader is not None and averager is not None and averager.wants(timestep):
                maps, predicted = reader.with_prediction(latents, label, context)
                averager.add(maps, everyone, [timestep] * len(everyone))
            else:
                predicted = backbone.unet(latents, label, context)
            latents = scheduler.step(predicted, timestep, latents).prev_sample
            stored.append(latents)
    return timesteps, torch.stack(stored) if stored else latents[None, :][:0]


def maps_at(
    reader: Reader,
    stored: Float[torch.Tensor, "steps images channels h w"],
    timesteps: Sequence[int],
    context: Float[torch.Tensor, "images window context"],
    averager: Averager,
    *,
    rows: int,
) -> None:
    """Maps at stored latents. The evaluations do not depend on one another, so time and images share batches.

    rows: latents a UNet call; decides memory and speed, not the result.
    """
    pairs = [(step, n) for step in range(len(timesteps)) for n in range(stored.shape[1])]
    wanted = [(step, n) for step, n in pairs if averager.wants(timesteps[step])]
    for begin in range(0, len(wanted), rows):
        part = wanted[begin : begin + rows]
        at = [step for step, _ in part]
        own = [n for _, n in part]
        labels = torch.tensor([timesteps[step] for step in at], device=stored.device)
        maps = reader(stored[at, own], labels, context[own])
        averager.add(maps, own, [timesteps[step] for step in at])


def denoise(
    reader: Reader,
    latents: Float[torch.Tensor, "images channels h w"],
    timesteps: Sequence[int],
    context: Float[torch.Tensor, "images window context"],
    averager: Averager,
    *,
    steps: int,
) -> Float[torch.Tensor, "images channels h w"]:
    """Plain DDIM from the last inverted latent down to the image, reading maps on the way; returns where it ends.

    timesteps: those of the inversion, rising.
    """
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(reader.backbone.scheduler.config, clip_sample=False)
    scheduler.set_timesteps(steps)
    everyone = list(range(len(latents)))
    with torch.no_grad():
        for timestep in reversed(timesteps):
            label = torch.full((len(latents),), timestep, device=latents.device)
            maps, predicted = reader.with_prediction(latents, label, context)
            if averager.wants(timestep):
                averager.add(maps, everyone, [timestep] * len(everyone))
            latents = scheduler.step(predicted, timestep, latents).prev_sample
    return latents
