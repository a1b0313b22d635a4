"""What a recipe makes of a batch: token maps averaged by its kind, and token maps merged into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.language import Span
from stages.attend import chain, null_text
from stages.attend.maps import Averager
from stages.attend.noised import maps_noised
from stages.attend.reading import Reader
from stages.attend.recipe import ChainRecipe, NoisedRecipe
from stages.backbones.diffusion import DiffusionBackbone
from stages.backbones.text import Encoding, word_maps

if TYPE_CHECKING:
    from jaxtyping import Float, Float32

MARKS = (-1, -2)
"""Begin and end mark, where a word has its start and end."""


def average(
    backbone: DiffusionBackbone,
    latents: torch.Tensor,
    context: torch.Tensor,
    sample_ids: Sequence[str],
    settings: ChainRecipe | NoisedRecipe,
    *,
    rows: int,
) -> Averager:
    """The averaged token maps of a batch of images, by the recipe's kind. rows: latents a UNet call."""
    reader = Reader(backbone, scales=settings.scales, own=settings.refine > 0)
    last = int(backbone.scheduler.config.num_train_timesteps)
    counted = (0, last) if isinstance(settings, NoisedRecipe) else settings.timesteps
    averager = Averager(len(latents), counted, keep_steps=settings.keep_steps, power=settings.refine)
    if isinstance(settings, NoisedRecipe):
        maps_noised(
            reader,
            latents,
            context,
            averager,
            at=settings.at,
            draws=settings.draws,
            seed=settings.seed,
            sample_ids=sample_ids,
            rows=rows,
        )
        return averager
    steps = settings.steps
    if settings.kind == "direct":
        below = settings.timesteps[1]
        if settings.during_inversion:
            chain.invert(backbone, latents, context, steps, below=below, reader=reader, averager=averager)
            return averager
        timesteps, stored = chain.invert(backbone, latents, context, steps, below=below)
        chain.maps_at(reader, stored, timesteps, context, averager, rows=rows)
        return averager
    timesteps, stored = chain.invert(backbone, latents, context, steps)
    if settings.kind == "ddim":
        chain.denoise(reader, stored[-1], timesteps, context, averager, steps=steps)
    else:
        null_text.denoise(
            reader,
            latents,
            stored,
            timesteps,
            context,
            averager,
            steps=steps,
            guidance=settings.guidance,
            inner=settings.inner_steps,
        )
    return averager


class Merger:
    """Token maps of one text, window by window, to the maps of its words and, if asked for, its marks."""

    def __init__(
        self,
        backbone: DiffusionBackbone,
        encoding: Encoding,
        windows: Sequence[int],
        spans: Sequence[Span],
        settings: ChainRecipe | NoisedRecipe,
    ) -> None:
        """windows: the text's rows in `encoding`; spans: its words."""
        self.encoding = encoding
        self.windows = windows
        self.spans = spans
        self.merge = settings.pieces
        self.marks = [backbone.special(encoding.input_ids[row]) for row in windows] if settings.special else []

    def places(self) -> dict[str, np.ndarray]:
        """`start` and `end` of every map that a call gives."""
        marks = MARKS if self.marks else ()
        return {
            "start": np.asarray([*(span.start for span in self.spans), *marks], np.int32),
            "end": np.asarray([*(span.end for span in self.spans), *marks], np.int32),
        }

    def __call__(
        self, maps: Sequence[Float[torch.Tensor, "tokens height width"]]
    ) -> Float32[np.ndarray, "words height width"]:
        merged = word_maps(maps, self.encoding, self.windows, self.spans, merge=self.merge)
        # A long text has a pair of marks in each window.
        extra = [
            torch.stack([own[mark[k]] for own, mark in zip(maps, self.marks, strict=True)]).mean(dim=0)
            for k in range(len(MARKS))
            if self.marks
        ]
        return (torch.cat([merged, torch.stack(extra)]) if extra else merged).numpy()
