"""Samples of a shard as a backbone wants them: latents and token ids, each sample's failure its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages.artifacts import Failure, ModelRecord, SampleError
from stages.artifacts.images import read_image
from stages.models.diffusion import DiffusionBackbone
from stages.models.pixels import to_pixels
from stages.models.text import Encoding

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


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
    encoding: Encoding
    """One row a row; offsets count in the sample's whole text."""
    failures: Mapping[int, Failure]
    """By index in the batch."""
    images: Mapping[int, UInt8[np.ndarray, "height width 3"]]
    """The images as read, by index in the batch."""

    def rows_of(self) -> dict[int, list[int]]:
        """Rows by sample, both in order."""
        rows: dict[int, list[int]] = {}
        for row, index in enumerate(self.owner):
            rows.setdefault(index, []).append(row)
        return rows


def prepare(backbone: DiffusionBackbone, rows: Sequence[Mapping[str, Any]], root: Path) -> Inputs:
    """Read, resize and encode the images of rows of the samples table; tokenize their texts."""
    pixels: list[torch.Tensor] = []
    encodings: list[Encoding] = []
    failures: dict[int, Failure] = {}
    images: dict[int, np.ndarray] = {}
    for index, row in enumerate(rows):
        try:
            encoding = backbone.tokenize_windows(row["text"])
            image = read_image(root, row["image"], row["image_sha256"])
        except SampleError as error:
            failures[index] = Failure(str(error))
            continue
        encodings.append(encoding)
        images[index] = image
        pixels.append(to_pixels(image, backbone.resolution))
    kept = [index for index in range(len(rows)) if index not in failures]
    if not kept:
        nothing = Encoding(torch.zeros(0, backbone.window, dtype=torch.long), ())
        return Inputs((), (), torch.zeros(0), nothing, failures, images)
    counts = [len(encoding.offsets) for encoding in encodings]
    latents = backbone.vae_encode(torch.stack(pixels))
    return Inputs(
        tuple(index for index, count in zip(kept, counts, strict=True) for _ in range(count)),
        tuple(part for count in counts for part in range(count)),
        latents.repeat_interleave(torch.tensor(counts, device=latents.device), dim=0),
        Encoding.together(encodings),
        failures,
        images,
    )


def records(backbone: DiffusionBackbone) -> dict[str, ModelRecord]:
    """What a manifest says of a backbone, and of the few-step adapter in it; the backbone's hash counts that in."""
    own = ModelRecord(id=backbone.id, revision=backbone.revision, sha256=backbone.weights_sha256)
    return {"backbone": own} | ({"few_step": backbone.few_step} if backbone.few_step else {})
