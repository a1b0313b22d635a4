"""How undecided an image's places are between the phrases of its text, as a loss (after InvSeg), without a parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stages.learning.token_groups import TokenGroups

if TYPE_CHECKING:
    from jaxtyping import Float


def entropy(
    maps: Float[torch.Tensor, "images draws columns height width"], words: TokenGroups
) -> Float[torch.Tensor, " images"]:
    """Entropy minimisation after InvSeg (its equation 9), an image: how undecided places are between runs of words.

    The maps differ from InvSeg's in two ways: InvSeg refines them by self-attention (its equation 2) and averages them
    over augmented views of the image, moved back into place; here they are cross-attention alone, averaged over noise
    draws of the image as it is.

    A run's map is the mean of its words', a word's that of its pieces, each averaged over the draws and stretched to
    [0, 1]. Where the paper writes the sum of -M log M, M is here a place's share among the runs, so that a place that
    asks one run alone costs nothing; the mean over places counts in units of log(runs). One run alone costs nothing.
    """
    images = len(maps)
    own = maps.mean(dim=1)[words.text, words.column].flatten(1)  # [rows, places]

    def merged(
        values: torch.Tensor, of: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        keys, inverse = torch.unique(torch.stack([text, of], dim=1), dim=0, return_inverse=True)
        count = values.new_zeros(len(keys)).index_add(0, inverse, values.new_ones(len(of)))
        total = values.new_zeros(len(keys), values.shape[1]).index_add(0, inverse, values)
        return total / count[:, None], keys[:, 0], inverse

    word, text, inverse = merged(own, words.word, words.text)
    run_of_word = torch.zeros(len(word), dtype=torch.long, device=maps.device).index_copy(0, inverse, words.run)
    run, text, _ = merged(word, run_of_word, text)
    low, high = run.amin(dim=1, keepdim=True), run.amax(dim=1, keepdim=True)
    run = (run - low) / (high - low).clamp_min(1e-12) + 1e-6  # a place that asks none is as undecided as can be
    share = run / run.new_zeros(images, run.shape[1]).index_add(0, text, run)[text]
    undecided = -(share * share.log()).mean(dim=1)
    runs = torch.zeros(images, device=maps.device).index_add(0, text, torch.ones(len(text), device=maps.device))
    return maps.new_zeros(images).index_add(0, text, undecided) / runs.clamp_min(2).log()
