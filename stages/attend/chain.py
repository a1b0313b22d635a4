"""DDIM inversion of latents, and maps along the chain.

The convention is prompt-to-prompt's and diffusers': going up, the latent at the level of the step below is given to
the UNet under the label of the step that it is going to (equation 1 of Segment Anyword labels it one step lower).
Guidance is 1 (the conditional branch alone): with more, DDIM inversion does not come back to the image.

A backbone with a few-step adapter has a sampler of its own (LCM, TCD), whose timesteps the chain then takes; DDIM's
formula carries the latents from one to the next on the way up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from stages.artifacts.errors import AnywordError
from stages.artifacts.seeds import seed_of
from stages.attend.maps import Averager
from stages.attend.reading import Reader
from stages.models.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Float

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(prediction, latents) to the latents of the next level."""


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
    climb = ascent(backbone, steps)
    timesteps = [t for t in climb if below is None or t < below]
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
            latents = climb[timestep](predicted, latents)
            stored.append(latents)
    return timesteps, torch.stack(stored) if stored else latents[None, :][:0]


def ascent(backbone: DiffusionBackbone, steps: int) -> dict[int, Step]:
    """The chain's timesteps, rising, each with the step that takes a latent there from the one below.

    AnywordError where the backbone's sampler has no chain of so many steps.
    """
    import diffusers

    own: Any = backbone.scheduler
    try:
        if isinstance(own, diffusers.DDIMScheduler):
            scheduler = diffusers.DDIMInverseScheduler.from_config(backbone.scheduler.config, clip_sample=False)
            scheduler.set_timesteps(steps)
            return {int(t): partial(_inverse, scheduler, int(t)) for t in scheduler.timesteps}
        timesteps = [int(t) for t in reversed(_sampler(backbone, steps).timesteps)]
    except ValueError as error:
        raise AnywordError(
            f"attend: {type(own).__name__} has no chain of {steps} steps ({error!s:.120}).",
            remedy="Give the attender fewer steps.",
        ) from None
    levels = [None, *timesteps]
    return {to: partial(_move, own, at, to) for at, to in zip(levels[:-1], timesteps, strict=True)}


def _inverse(scheduler: Any, to: int, predicted: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """One step of diffusers' DDIMInverseScheduler."""
    moved: torch.Tensor = scheduler.step(predicted, to, latents).prev_sample
    return moved


def _move(scheduler: Any, at: int | None, to: int, predicted: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """DDIM's formula from one noise level (None: the image's) to another, by the prediction made on the way."""
    here = scheduler.final_alpha_cumprod if at is None else scheduler.alphas_cumprod[at]
    a, b = (one.to(latents) for one in (here, scheduler.alphas_cumprod[to]))
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        clean = a.sqrt() * latents - (1 - a).sqrt() * predicted
        noise = a.sqrt() * predicted + (1 - a).sqrt() * latents
    elif kind == "sample":
        clean, noise = predicted, (latents - a.sqrt() * predicted) / (1 - a).sqrt().clamp_min(1e-6)
    else:
        clean, noise = (latents - (1 - a).sqrt() * predicted) / a.sqrt(), predicted
    return b.sqrt() * clean + (1 - b).sqrt() * noise


def _sampler(backbone: DiffusionBackbone, steps: int) -> Any:
    """A fresh scheduler of the backbone's kind with the timesteps of a chain."""
    scheduler = type(backbone.scheduler).from_config(backbone.scheduler.config, clip_sample=False)
    scheduler.set_timesteps(steps)
    return scheduler


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
    sample_ids: Sequence[str],
) -> Float[torch.Tensor, "images channels h w"]:
    """The backbone's own sampler from the last inverted latent down to the image, reading maps on the way; returns
    where it ends.

    timesteps: those of the inversion, rising. The sampler is DDIM, or a few-step adapter's: TCD runs without its
    noise, and LCM, which has no such form, draws each image's by its id.
    """
    import diffusers

    scheduler = _sampler(reader.backbone, steps)
    extra: dict[str, Any] = {}
    if isinstance(scheduler, diffusers.TCDScheduler):
        extra["eta"] = 0.0
    elif isinstance(scheduler, diffusers.LCMScheduler):
        extra["generator"] = [torch.Generator().manual_seed(seed_of(0, "attend", one, "denoise")) for one in sample_ids]
    everyone = list(range(len(latents)))
    with torch.no_grad():
        for timestep in reversed(timesteps):
            label = torch.full((len(latents),), timestep, device=latents.device)
            maps, predicted = reader.with_prediction(latents, label, context)
            if averager.wants(timestep):
                averager.add(maps, everyone, [timestep] * len(everyone))
            latents = scheduler.step(predicted, timestep, latents, **extra).prev_sample
    return latents
