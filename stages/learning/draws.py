"""What a diffusion model was trained for: draws of noise and time, and the error of its prediction on them.

Draws are named by stage, sample and step, so that no batch, shard or resume changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of
from stages.models.face import Condition, DiffusionModel
from stages.models.reading import AttentionMaps, AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def draw(
    seed: int,
    stage: str,
    sample_id: str,
    name: str | int,
    count: int,
    shape: Sequence[int],
    timesteps: tuple[int, int],
    *,
    antithetic: bool = False,
    stratified: bool = False,
) -> tuple[Int[torch.Tensor, " draws"], Float[torch.Tensor, "draws channels h w"]]:
    """`count` timesteps in [low, high) and standard normal noises for one sample, on the CPU.

    The generator runs on the CPU whatever the device, so a GPU sees the same noise. `antithetic`: the second half is
    the first with its noise negated, at the same timesteps; the gradient's part that is odd in the noise cancels.
    """
    generator = torch.Generator().manual_seed(seed_of(seed, stage, sample_id, name))
    own = count // 2 if antithetic else count
    low, high = timesteps
    uniform = torch.rand(own, generator=generator, dtype=torch.float64)
    if stratified:
        uniform = (torch.arange(own) + uniform) / own
    steps = (low + (uniform * (high - low)).long()).clamp(max=high - 1)
    noise = torch.randn(own, *shape, generator=generator)
    if antithetic:
        steps, noise = steps.repeat(2), torch.cat([noise, -noise])
    return steps, noise


def draw_batch(
    seed: int,
    stage: str,
    sample_ids: Sequence[str],
    name: str | int,
    count: int,
    shape: Sequence[int],
    timesteps: tuple[int, int],
    device: torch.device,
    *,
    antithetic: bool = False,
    stratified: bool = False,
) -> tuple[Int[torch.Tensor, " rows"], Float[torch.Tensor, "rows channels h w"]]:
    """`draw` for several samples, one after the other: row = sample * count + draw."""
    drawn = [
        draw(seed, stage, one, name, count, shape, timesteps, antithetic=antithetic, stratified=stratified)
        for one in sample_ids
    ]
    steps = torch.cat([steps for steps, _ in drawn])
    noise = torch.cat([noise for _, noise in drawn])
    return steps.to(device, non_blocking=True), noise.to(device, non_blocking=True)


def prediction_error(
    model: DiffusionModel,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    timesteps: Int[torch.Tensor, " rows"],
    noise: Float[torch.Tensor, "rows channels h w"],
    reader: AttentionReader | None = None,
) -> tuple[Float[torch.Tensor, "images draws channels h w"], AttentionMaps | None]:
    """What the model predicts less what it should, at each image's draws (rows = images * draws, image by image); and
    the maps of the same rows, if there is a reader.
    """
    count = len(timesteps) // len(latents)
    clean = latents.repeat_interleave(count, dim=0)
    noised = model.path.noised(clean, noise, timesteps)
    repeated = condition.repeat(count)
    maps = None
    if reader is None:
        predicted = model.predict(noised, timesteps, repeated)
    else:
        maps, predicted = reader.with_prediction(noised, timesteps, repeated)
    return (predicted - model.path.target(clean, noise, timesteps)).unflatten(0, (-1, count)), maps


def timestep_range(model: DiffusionModel, wanted: tuple[int, int]) -> tuple[int, int]:
    """The range of timesteps, cut to those that the model was trained on."""
    return wanted[0], min(wanted[1], model.path.timesteps)
