"""Maps at an image that was noised, not inverted: one UNet call a timestep and noise, all independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of
from stages.attend.maps import Averager
from stages.attend.reading import Reader

if TYPE_CHECKING:
    from jaxtyping import Float


def maps_noised(
    reader: Reader,
    latents: Float[torch.Tensor, "images channels h w"],
    context: Float[torch.Tensor, "images window context"],
    averager: Averager,
    *,
    at: Sequence[int],
    draws: int,
    seed: int,
    sample_ids: Sequence[str],
    rows: int,
) -> None:
    """Maps at sqrt(a_t) z + sqrt(1 - a_t) noise for every t of `at` and `draws` noises, seeded by the sample's id."""
    wanted = [(n, t, k) for n in range(len(latents)) for t in at for k in range(draws)]
    for begin in range(0, len(wanted), rows):
        part = wanted[begin : begin + rows]
        own = [n for n, _, _ in part]
        timesteps = torch.tensor([t for _, t, _ in part], device=latents.device)
        noise = torch.stack(
            [
                torch.randn(
                    latents.shape[1:],
                    generator=torch.Generator().manual_seed(seed_of(seed, "attend", sample_ids[n], t, k)),
                )
                for n, t, k in part
            ]
        ).to(latents.device)
        noised = reader.backbone.scheduler.add_noise(latents[own], noise, timesteps)
        averager.add(reader(noised, timesteps, context[own]), own, [t for _, t, _ in part])
