"""Maps along a DDIM chain: of all context columns, averaged over its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.artifacts.errors import AnywordError
from stages.attend import ddim, null_text
from stages.attend.averager import Averager
from stages.attend.recipe import ChainRecipe
from stages.models.face import Condition, DiffusionModel
from stages.models.noise_path import Level
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


def levels(model: DiffusionModel, settings: ChainRecipe) -> list[Level]:
    """Those whose maps count, rising."""
    low, high = settings.timesteps
    return [level for level in model.path.levels(settings.steps) if low <= level < high]


def average(
    reader: AttentionReader,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    sample_ids: Sequence[str],
    settings: ChainRecipe,
    *,
    rows: int,
) -> Averager:
    """The averaged maps of a batch of images, by the kind of chain. rows: latents a pass."""
    model = reader.model
    if settings.kind == "null-text" and not model.guided:
        raise AnywordError(
            f"attend: backbone {model.record.id} was distilled to need no guidance, which null-text inversion is for.",
            remedy="Choose kind: direct.",
        )
    averager = Averager(
        len(latents),
        settings.timesteps,
        keep=settings.keep,
        power=settings.refine,
        sharpen=settings.sharpen,
    )
    # Only the maps at the stored latents can leave levels out: the others must come down from the top.
    below = settings.timesteps[1] if settings.kind == "direct" else None
    levels, stored = ddim.ddim_inversion(model, latents, condition, settings.steps, below=below)
    if settings.kind == "direct":
        ddim.maps_at(reader, stored, levels, condition, averager, rows=rows)
    elif settings.kind == "ddim":
        ddim.denoise(reader, stored[-1], levels, condition, averager)
    else:
        null_text.denoise(
            reader,
            latents,
            stored,
            levels,
            condition,
            averager,
            guidance=settings.guidance,
            inner=settings.inner_steps,
        )
    return averager
