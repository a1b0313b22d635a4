"""What a recipe makes of a batch: token maps averaged by its kind, and token maps merged into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.errors import AnywordError
from stages.artifacts.language import Span
from stages.attend import chain, null_text
from stages.attend.maps import Averager
from stages.attend.noised import maps_noised
from stages.attend.reading import Reader
from stages.attend.recipe import ChainRecipe, NoisedRecipe
from stages.attend.second_look import boxes_of, enlarge, merge
from stages.models.diffusion import DiffusionBackbone
from stages.models.pixels import to_pixels
from stages.models.text import Encoding, word_maps

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, UInt8

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
    reader = Reader(backbone, scales=settings.scales, layers=settings.layers, own=settings.refine > 0)
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
    if settings.kind == "null-text" and backbone.few_step is not None:
        raise AnywordError(
            "attend: null-text denoises with guidance, and a few-step adapter has its own built in.",
            remedy="Use kind direct, ddim or noised with this backbone.",
        )
    timesteps, stored = chain.invert(backbone, latents, context, steps)
    if settings.kind == "ddim":
        chain.denoise(reader, stored[-1], timesteps, context, averager, steps=steps, sample_ids=sample_ids)
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
        text: str,
    ) -> None:
        """windows: the text's rows in `encoding`; spans: its words."""
        self.text = text
        self.encoding = encoding
        self.windows = windows
        self.spans = spans
        self.merge = settings.pieces
        self.marks = [backbone.special(encoding.input_ids[row]) for row in windows] if settings.special else []

    def named(self, span: Span) -> bool:
        """Whether a word is more than punctuation."""
        return any(letter.isalnum() for letter in span.of(self.text))

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


def look_again(
    backbone: DiffusionBackbone,
    image: UInt8[np.ndarray, "height width 3"],
    maps: Float32[np.ndarray, "words height width"],
    merger: Merger,
    context: Float[torch.Tensor, "rows window context"],
    sample_id: str,
    settings: ChainRecipe | NoisedRecipe,
    *,
    rows: int,
) -> Float32[np.ndarray, "words side side"]:
    """A text's maps on the finer grid of the recipe's second look, small responses from their own crops.

    context: the encoder's output for all rows of the batch. Words without a letter or digit are only enlarged.
    """
    look = settings.second_look
    if look is None:
        return maps
    text_rows = {span: row for row in merger.windows for span in merger.spans if merger.encoding.pieces(row, span)}
    named = [span in text_rows and merger.named(span) for span in merger.spans]
    boxes = boxes_of(maps, named, look)
    merged = enlarge(maps, look.side)
    if not boxes:
        return merged
    spans = [merger.spans[word] for word in boxes]
    own = [text_rows[span] for span in spans]
    crops = torch.stack([to_pixels(box.crop(image), backbone.resolution) for box in boxes.values()])
    ids = [f"{sample_id} {span.start}:{span.end}" for span in spans]  # a crop draws its own noise
    averager = average(backbone, backbone.vae_encode(crops), context[own], ids, settings, rows=rows)
    for n, (word, box) in enumerate(boxes.items()):
        closer = word_maps([averager.mean(n)], merger.encoding, [own[n]], [spans[n]], merge=settings.pieces)
        merged[word] = merge(merged[word], closer[0].numpy(), box, look.share)
    return merged
