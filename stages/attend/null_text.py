"""Null-text inversion (Mokady et al., 2023): denoise with guidance, an unconditional embedding fitted at each step.

Kept to compare with. For segmentation it can differ from direct inversion only by what its fit leaves over, at the
cost of up to ten UNet passes with gradients a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.attend.maps import Averager
from stages.attend.reading import Reader

if TYPE_CHECKING:
    from jaxtyping import Float


def denoise(
    reader: Reader,
    start: Float[torch.Tensor, "images channels h w"],
    stored: Float[torch.Tensor, "steps images channels h w"],
    timesteps: Sequence[int],
    context: Float[torch.Tensor, "images window context"],
    averager: Averager,
    *,
    steps: int,
    guidance: float = 7.5,
    inner: int = 10,
) -> Float[torch.Tensor, "images channels h w"]:
    """Denoise from the last stored latent to the image, reading conditional maps; returns where it ends.

    start: the image's own latents. timesteps, stored: of the DDIM inversion, rising. Settings and stopping rule are
    those of the authors' code: Adam with rate 0.01 (1 - i/100), started anew each step from the embedding of the step
    before, at most `inner` passes, until the error is below 1e-5 + 2e-5 i. Images share calls and nothing else: the
    loss is a sum over them, and one that is done is left alone.
    """
    from diffusers import DDIMScheduler

    backbone = reader.backbone
    scheduler = DDIMScheduler.from_config(backbone.scheduler.config, clip_sample=False)
    scheduler.set_timesteps(steps)
    count = len(start)
    # Tokenizers agree that the empty text is the special tokens alone; `tokenize` refuses it from users.
    empty = backbone.empty_ids.expand(count, -1)
    with torch.no_grad():
        unconditional = backbone.encode(empty, backbone.embed(empty))
    towards = [*reversed(stored[:-1]), start]
    z = stored[-1]
    for turn, (timestep, wanted) in enumerate(zip(reversed(timesteps), towards, strict=True)):
        label = torch.full((count,), timestep, device=z.device)
        maps, conditional = reader.with_prediction(z, label, context)
        if averager.wants(timestep):
            averager.add(maps, list(range(count)), [timestep] * count)

        def step(
            embedding: torch.Tensor,
            timestep: int = timestep,
            label: torch.Tensor = label,
            z: torch.Tensor = z,
            conditional: torch.Tensor = conditional,
        ) -> torch.Tensor:
            free = backbone.unet(z, label, embedding)
            return scheduler.step(free + guidance * (conditional - free), timestep, z).prev_sample

        unconditional = unconditional.detach().requires_grad_()
        optimiser = torch.optim.Adam([unconditional], lr=1e-2 * (1 - turn / 100))
        done = torch.zeros(count, dtype=torch.bool, device=z.device)
        for _ in range(inner):
            errors = (step(unconditional) - wanted).square().flatten(1).mean(dim=1)
            optimiser.zero_grad(set_to_none=True)
            errors.sum().backward()
            before = unconditional.detach().clone()
            optimiser.step()
            with torch.no_grad():
                unconditional[done] = before[done]
            done = done | (errors.detach() < 1e-5 + turn * 2e-5)
            if bool(done.all()):
                break
        with torch.no_grad():
            z = step(unconditional)
    return z
