"""Samples of a shard as a diffusion model wants them: latents and tokens, each sample's failure its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stages.artifacts import Failure, SampleError
from stages.artifacts.images import read_image
from stages.models.face import DiffusionModel
from stages.models.pixels import to_pixels
from stages.models.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Inputs:
    """Those of a batch's samples that can be processed, and why the others cannot.

    A row is one window of one sample's text with that sample's image; only long texts have more than one.
    """

    owner: tuple[int, ...]
    """Of every row, its sample's index in the batch."""
    part: tuple[int, ...]
    """Of every row, which window of its text it is."""
    latents: Float[torch.Tensor, "rows channels h w"]
    pixels: Float[torch.Tensor, "rows 3 height width"]
    """The images that latents are of, in -1..1, on the CPU."""
    tokens: Tokens
    """One row a row; offsets count in the sample's whole text."""
    failures: Mapping[int, Failure]
    """By index in the batch."""

    def rows_of(self) -> dict[int, list[int]]:
        """Rows by sample, both in order."""
        rows: dict[int, list[int]] = {}
        for row, index in enumerate(self.owner):
            rows.setdefault(index, []).append(row)
        return rows


def prepare(
    model: DiffusionModel,
    rows: Sequence[Mapping[str, Any]],
    root: Path,
    tokenize: Callable[[str], Tokens] | None = None,
) -> Inputs:
    """Read, resize and encode the images of rows of the samples table; tokenize their texts, as the model does where
    nothing else is given."""
    tokenize = tokenize or model.tokenize
    pixels: list[torch.Tensor] = []
    tokens: list[Tokens] = []
    failures: dict[int, Failure] = {}
    for index, row in enumerate(rows):
        try:
            own = tokenize(row["text"])
            image = read_image(root, row["image"], row["image_sha256"])
        except SampleError as error:
            failures[index] = Failure(str(error))
            continue
        tokens.append(own)
        pixels.append(to_pixels(image, model.image_size))
    kept = [index for index in range(len(rows)) if index not in failures]
    nothing = Inputs((), (), torch.zeros(0, 1, 1, 1), torch.zeros(0, 3, 1, 1), model.empty.select([]), failures)
    if not kept:
        return nothing
    images = torch.stack(pixels)
    latents = model.encode(images)
    finite = latents.isfinite().flatten(1).all(dim=1).tolist()
    broken = Failure("the backbone's autoencoder gives latents that are not finite.")
    failures.update((index, broken) for index, good in zip(kept, finite, strict=True) if not good)
    if not any(finite):
        return nothing
    kept, tokens = list(compress(kept, finite)), list(compress(tokens, finite))
    images, latents = images[finite], latents[finite]
    counts = [len(own) for own in tokens]
    return Inputs(
        tuple(index for index, count in zip(kept, counts, strict=True) for _ in range(count)),
        tuple(part for count in counts for part in range(count)),
        latents.repeat_interleave(torch.tensor(counts, device=latents.device), dim=0),
        images.repeat_interleave(torch.tensor(counts), dim=0),
        Tokens.together(tokens),
        failures,
    )
