"""Maps at an image that was noised, not inverted: one pass a timestep and noise, all independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of
from stages.attend.averager import Averager
from stages.attend.recipe import NoisedRecipe
from stages.models.face import Condition, DiffusionModel
from stages.models.noise_path import Level
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


def levels(model: DiffusionModel, settings: NoisedRecipe) -> list[Level]:
    """Those whose maps count, rising."""
    return sorted(set(settings.at))


def average(
    reader: AttentionReader,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    sample_ids: Sequence[str],
    settings: NoisedRecipe,
    *,
    rows: int,
) -> Averager:
    """The averaged maps of a batch of images. rows: latents a pass."""
    counted = (0, reader.model.path.timesteps)
    averager = Averager(len(latents), counted, keep=settings.keep, power=settings.refine, sharpen=settings.sharpen)
    maps_noised(
        reader,
        latents,
        condition,
        averager,
        at=settings.at,
        draws=settings.draws,
        seed=settings.seed,
        sample_ids=sample_ids,
        rows=rows,
    )
    return averager


def noise_of(
    latents: Float[torch.Tensor, "channels h w"], seed: int, sample_id: str, timestep: int, draw: int
) -> Float[torch.Tensor, "channels h w"]:
    """One image's noise, drawn on the CPU whatever the device."""
    generator = torch.Generator().manual_seed(seed_of(seed, "attend", sample_id, timestep, draw))
    return torch.randn(latents.shape, generator=generator).to(latents.device)


@torch.no_grad()
def maps_noised(
    reader: AttentionReader,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    averager: Averager,
    *,
    at: Sequence[int],
    draws: int,
    seed: int,
    sample_ids: Sequence[str],
    rows: int,
) -> None:
    """Maps at the latents with noise added: `draws` noises at every timestep of `at`, seeded by the sample's id."""
    wanted = [(n, t, k) for n in range(len(latents)) for t in at for k in range(draws)]
    for begin in range(0, len(wanted), rows):
        part = wanted[begin : begin + rows]
        own = [n for n, _, _ in part]
        timesteps = torch.tensor([t for _, t, _ in part], device=latents.device)
        noise = torch.stack([noise_of(latents[n], seed, sample_ids[n], t, k) for n, t, k in part])
        noised = reader.model.path.noised(latents[own], noise, timesteps)
        averager.add(reader(noised, timesteps, condition.select(own)), own, [t for _, t, _ in part])
