"""Null-text inversion (Mokady et al., 2023): denoise with guidance, an unconditional embedding fitted at each step.

Kept to compare with. For segmentation it can differ from direct inversion only by what its fit leaves over, at the
cost of up to ten UNet passes with gradients a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from stages.attend.averager import Averager
from stages.models.face import Condition
from stages.models.noise_path import Level
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


def denoise(
    reader: AttentionReader,
    start: Float[torch.Tensor, "images channels h w"],
    stored: Float[torch.Tensor, "steps images channels h w"],
    levels: Sequence[Level],
    condition: Condition,
    averager: Averager,
    *,
    guidance: float = 7.5,
    inner: int = 10,
) -> Float[torch.Tensor, "images channels h w"]:
    """Denoise from the last stored latent to the image, reading conditional maps; returns where it ends.

    start: the image's own latents. levels, stored: of the DDIM inversion, rising. Settings and stopping rule are
    those of the authors' code: Adam with rate 0.01 (1 - i/100), started anew each step from the embedding of the step
    before, at most `inner` passes, until the error is below 1e-5 + 2e-5 i. Images share calls and nothing else: the
    loss is a sum over them, and one that is done is left alone.
    """
    model = reader.model
    count = len(start)
    tokens = model.empty.select([0] * count)
    with torch.no_grad():
        empty = model.condition(tokens, model.embed(tokens))
    unconditional = empty.context
    towards = [*reversed(stored[:-1]), start]
    z = stored[-1]
    below: list[Level | None] = [*reversed(levels[:-1]), None]
    for turn, (level, to, wanted) in enumerate(zip(reversed(levels), below, towards, strict=True)):
        label = torch.full((count,), level, device=z.device)
        with torch.no_grad():
            maps, conditional = reader.with_prediction(z, label, condition)
        if averager.wants(level):
            averager.add(maps, list(range(count)), [level] * count)

        def step(
            embedding: torch.Tensor,
            level: Level = level,
            to: Level | None = to,
            label: torch.Tensor = label,
            z: torch.Tensor = z,
            conditional: torch.Tensor = conditional,
        ) -> torch.Tensor:
            free = model.predict(z, label, empty.with_context(embedding))
            return model.path.move(z, free + guidance * (conditional - free), level, to)

        unconditional = unconditional.detach().requires_grad_()

        def gradients(
            step: Callable[[torch.Tensor], torch.Tensor] = step,
            given: torch.Tensor = unconditional,
            wanted: torch.Tensor = wanted,
        ) -> torch.Tensor:
            given.grad = None
            errors = (step(given) - wanted).square().flatten(1).mean(dim=1)
            errors.sum().backward()
            return errors.detach()

        optimiser = torch.optim.Adam([unconditional], lr=1e-2 * (1 - turn / 100))
        done = torch.zeros(count, dtype=torch.bool, device=z.device)
        for _ in range(inner):
            errors = model.memory.until_it_fits(gradients, spare=model.spare)
            before = unconditional.detach().clone()
            optimiser.step()
            with torch.no_grad():
                unconditional[done] = before[done]
            done = done | (errors < 1e-5 + turn * 2e-5)
            if bool(done.all()):
                break
        with torch.no_grad():
            z = step(unconditional)
    return z
