"""Words' maps compared with one another at each cell, rather than each along the image (GoCA, CVPR 2026: per-pixel
rescaling over content tokens)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.language import words
from stages.learning.trainable_tokens import is_content
from stages.models.reading import stretched

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int

KERNEL = 5


def rescaled(
    maps: Float[torch.Tensor, "words height width"], tokens: Int[torch.Tensor, " words"]
) -> Float[torch.Tensor, "words height width"]:
    """Each map divided at every cell by the sum of the content words' tokens' maps there, smoothed (5x5 Gaussian) and
    stretched to 0..1.

    maps: each the mean of its word's tokens' maps, nowhere negative. tokens: how many each content word has, 0 for
    other words; where all are 0, every word counts once.
    """
    counts = tokens.to(maps) if tokens.any() else torch.ones_like(maps[:, 0, 0])
    total = torch.einsum("w,whx->hx", counts, maps)
    return stretched(_blurred(maps / total.clamp_min(1e-12)))


def among_content(
    maps: Float32[np.ndarray, "words height width"], text: str, tokens: Sequence[int]
) -> Float[torch.Tensor, "words height width"]:
    """`rescaled` maps of a text's words, in their order, each of so many tokens; what comes after them (marks) is no
    content."""
    own = [count * is_content(span.of(text)) for span, count in zip(words(text), tokens, strict=True)]
    counts = torch.tensor(own + [0] * (len(maps) - len(own)))
    return rescaled(torch.from_numpy(maps), counts)


def _blurred(maps: Float[torch.Tensor, "words height width"]) -> Float[torch.Tensor, "words height width"]:
    """With the spread that image libraries give a Gaussian of this size; beyond the edge maps are mirrored."""
    spread = 0.3 * ((KERNEL - 1) * 0.5 - 1) + 0.8
    places = torch.arange(KERNEL, dtype=maps.dtype, device=maps.device) - KERNEL // 2
    line = (-places.square() / (2 * spread**2)).exp()
    line = line / line.sum()
    mirrored = torch.nn.functional.pad(maps[:, None], (KERNEL // 2,) * 4, mode="reflect")
    return torch.nn.functional.conv2d(mirrored, (line[:, None] * line)[None, None])[:, 0]
