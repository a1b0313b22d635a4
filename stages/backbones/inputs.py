"""Samples of a shard as a backbone wants them: latents and token ids, each sample's failure its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stages.artifacts import Failure, ModelRecord, SampleError
from stages.artifacts.images import read_image
from stages.backbones.diffusion import DiffusionBackbone
from stages.backbones.pixels import to_pixels
from stages.backbones.text import Encoding

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Inputs:
    """Those of a batch's samples that can be processed, and why the others cannot."""

    kept: tuple[int, ...]
    """Indices into the batch."""
    latents: Float[torch.Tensor, "kept channels h w"]
    encoding: Encoding
    failures: Mapping[int, Failure]
    """By index into the batch."""


def prepare(backbone: DiffusionBackbone, rows: Sequence[Mapping[str, Any]], root: Path) -> Inputs:
    """Read, resize and encode the images of rows of the samples table; tokenize their texts."""
    pixels: list[torch.Tensor] = []
    encodings: list[Encoding] = []
    failures: dict[int, Failure] = {}
    for index, row in enumerate(rows):
        try:
            encoding = backbone.tokenize([row["text"]])
            image = read_image(root, row["image"], row["image_sha256"])
        except SampleError as error:
            failures[index] = Failure(str(error))
            continue
        encodings.append(encoding)
        pixels.append(to_pixels(image, backbone.resolution))
    kept = tuple(index for index in range(len(rows)) if index not in failures)
    if not kept:
        return Inputs((), torch.zeros(0), Encoding(torch.zeros(0, backbone.window, dtype=torch.long), ()), failures)
    return Inputs(
        kept,
        backbone.vae_encode(torch.stack(pixels)),
        Encoding(torch.cat([e.input_ids for e in encodings]), tuple(e.offsets[0] for e in encodings)),
        failures,
    )


def record(backbone: DiffusionBackbone) -> ModelRecord:
    """What a manifest says of a backbone."""
    return ModelRecord(id=backbone.id, revision=backbone.revision, sha256=backbone.weights_sha256)
