"""Words' maps compared with one another at each cell, rather than each along the image (GoCA, CVPR 2026: per-pixel
rescaling over content tokens)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.language import words
from stages.learning.trainable_tokens import is_content

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32

KERNEL = 5


def rescaled(
    maps: Float[torch.Tensor, "words height width"], content: Bool[torch.Tensor, " words"]
) -> Float[torch.Tensor, "words height width"]:
    """Each map divided at every cell by the sum of the content words' maps there, smoothed (5x5 Gaussian) and stretched
    to 0..1. Maps may have negative cells, which count as 0. Without a content word, all divide."""
    positive = maps.clamp_min(0)
    total = positive[content].sum(dim=0) if content.any() else positive.sum(dim=0)
    smooth = _blurred(positive / total.clamp_min(1e-12))
    low, high = smooth.amin(dim=(1, 2), keepdim=True), smooth.amax(dim=(1, 2), keepdim=True)
    return (smooth - low) / (high - low).clamp_min(1e-12)


def among_content(
    maps: Float32[np.ndarray, "words height width"], text: str
) -> Float32[np.ndarray, "words height width"]:
    """`rescaled` maps of a text's words, in their order; what comes after them (marks) is no content."""
    spans = [is_content(span.of(text)) for span in words(text)]
    content = torch.tensor(spans + [False] * (len(maps) - len(spans)), dtype=torch.bool)
    return rescaled(torch.from_numpy(maps), content).numpy()


def _blurred(maps: Float[torch.Tensor, "words height width"]) -> Float[torch.Tensor, "words height width"]:
    """With the spread that image libraries give a Gaussian of this size; edges count as far as there are cells."""
    spread = 0.3 * ((KERNEL - 1) * 0.5 - 1) + 0.8
    places = torch.arange(KERNEL, dtype=maps.dtype, device=maps.device) - KERNEL // 2
    line = (-places.square() / (2 * spread**2)).exp()
    kernel = (line[:, None] * line)[None, None]

    def summed(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(values[:, None], kernel, padding=KERNEL // 2)[:, 0]

    return summed(maps) / summed(torch.ones_like(maps[:1]))
