"""Losses that MCPL (Jin et al., 2024) adds to the diffusion loss, as switches. Both say which word is which by explicit
labels; its public code pairs rows by index arithmetic, which takes a different noun for the positive as soon as their
number does not divide the batch, and is not followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stages.learning.recipe import Contrast, Mask
from stages.learning.token_groups import TokenGroups

if TYPE_CHECKING:
    from jaxtyping import Float


def attended(
    maps: Float[torch.Tensor, "images draws columns height width"],
    words: TokenGroups,
    mask: Mask,
    size: tuple[int, int],
) -> Float[torch.Tensor, "images draws 1 h w"]:
    """Where the learning words attend: their maps' sum, as a share of its highest cell; 1 above the threshold and 0
    elsewhere if `mask.hard`, else that share itself, on a grid of `size` (rows, columns). No gradient flows through it.
    An image without a word has 1s.
    """
    total = torch.zeros_like(maps[:, :, 0]).index_add(0, words.text, maps[words.text, :, words.column])
    share = total / total.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    values = (share > mask.threshold).to(maps) if mask.hard else share
    values[~torch.isin(torch.arange(len(maps), device=maps.device), words.text)] = 1.0
    return torch.nn.functional.interpolate(values, size=size, mode="nearest")[:, :, None]


def contrast(
    context: Float[torch.Tensor, "images columns width"], words: TokenGroups, settings: Contrast
) -> Float[torch.Tensor, " images"]:
    """PromptCL, an image: a supervised contrastive loss (Khosla et al., 2020) on the encoder's output.

    A word's feature is the mean over its pieces; positives are the other words of its run, negatives all other
    learning words of the same text. Texts where no word has a positive get 0.
    """
    images = len(context)
    # One row a word, in the order of first pieces.
    keys = torch.stack([words.text, words.word], dim=1)
    unique, inverse = torch.unique(keys, dim=0, return_inverse=True)
    sums = context.new_zeros(len(unique), context.shape[-1])
    sums = sums.index_add(0, inverse, context[words.text, words.column])
    features = torch.nn.functional.normalize(sums, dim=1)  # the mean's direction is the sum's
    run = torch.zeros(len(unique), dtype=torch.long, device=context.device).index_copy(0, inverse, words.run)
    text = unique[:, 0]
    itself = torch.eye(len(unique), dtype=torch.bool, device=context.device)
    company = (text[:, None] == text[None]) & ~itself
    positive = company & (run[:, None] == run[None])
    logits = (features @ features.T / settings.temperature).masked_fill(~company, -torch.inf)
    has = positive.any(dim=1)
    spread = torch.logsumexp(logits[has], dim=1, keepdim=True)
    likelihood = (logits[has] - spread).masked_fill(~positive[has], 0.0).sum(dim=1)
    losses = -likelihood / positive[has].sum(dim=1)
    counts = context.new_zeros(images).index_add(0, text[has], torch.ones_like(losses))
    return context.new_zeros(images).index_add(0, text[has], losses) / counts.clamp_min(1)
