"""Losses that MCPL (Jin et al., 2024) adds to the diffusion loss, as switches. Both say which word is which by explicit
labels; its public code pairs rows by index arithmetic, which takes a different noun for the positive as soon as their
number does not divide the batch, and is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.backbones.text import Encoding
from stages.invert.recipe import Contrast, Mask

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Words:
    """The tokens that learn, with the word and the run of words that each belongs to; one row a token."""

    def __init__(self, text: Sequence[int], token: Sequence[int], encoding: Encoding, device: torch.device) -> None:
        """text, token: of every row, its text's and its token's position, in rising order.

        Neighbouring tokens whose characters touch are pieces of one word. Words with nothing but a space between
        them form a run ("striped red circle"): without a parser, that is what says which adjective is a noun's.
        """
        word, run = [], []
        before: tuple[int, int] | None = None  # text, end
        for own, position in zip(text, token, strict=True):
            start, end = encoding.offsets[own][position]
            if before is None or before[0] != own:
                word.append(0)
                run.append(0)
            else:
                word.append(word[-1] + (start > before[1]))
                run.append(run[-1] + (start > before[1] + 1))
            before = (own, end)
        self.text: Int[torch.Tensor, " rows"] = torch.tensor(text, device=device).long()
        self.token: Int[torch.Tensor, " rows"] = torch.tensor(token, device=device).long()
        self.word: Int[torch.Tensor, " rows"] = torch.tensor(word, device=device).long()
        self.run: Int[torch.Tensor, " rows"] = torch.tensor(run, device=device).long()

    def of(self, texts: Sequence[int]) -> Words:
        """The rows of some of the texts, which are then counted by their place in `texts`."""
        place = torch.full((int(self.text.max()) + 1,), -1, device=self.text.device)
        place[torch.tensor(list(texts), device=self.text.device)] = torch.arange(len(texts), device=self.text.device)
        kept = place[self.text] >= 0
        chosen = object.__new__(Words)
        chosen.text, chosen.token = place[self.text[kept]], self.token[kept]
        chosen.word, chosen.run = self.word[kept], self.run[kept]
        return chosen


def attended(
    maps: Float[torch.Tensor, "images draws tokens height width"], words: Words, mask: Mask, size: int
) -> Float[torch.Tensor, "images draws 1 size size"]:
    """Where the learning words attend: their maps' sum, as a share of its highest cell; 1 above the threshold and 0
    elsewhere if `mask.hard`, else that share itself. No gradient flows through it. An image without a word has 1s.
    """
    total = torch.zeros_like(maps[:, :, 0]).index_add(0, words.text, maps[words.text, :, words.token])
    share = total / total.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    values = (share > mask.threshold).to(maps) if mask.hard else share
    values[~torch.isin(torch.arange(len(maps), device=maps.device), words.text)] = 1.0
    return torch.nn.functional.interpolate(values, size=(size, size), mode="nearest")[:, :, None]


def contrast(
    context: Float[torch.Tensor, "images window width"], words: Words, settings: Contrast
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
    sums = sums.index_add(0, inverse, context[words.text, words.token])
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


def entropy(
    maps: Float[torch.Tensor, "images draws tokens height width"], words: Words
) -> Float[torch.Tensor, " images"]:
    """InvSeg's entropy minimisation (its equation 9), an image: how undecided places are between runs of words.

    A run's map is the mean of its words', a word's that of its pieces, each averaged over the draws and stretched to
    [0, 1]. Where the paper writes the sum of -M log M, M is here a place's share among the runs, so that a place that
    asks one run alone costs nothing; the mean over places counts in units of log(runs). One run alone costs nothing.
    """
    images = len(maps)
    own = maps.mean(dim=1)[words.text, words.token].flatten(1)  # [rows, places]

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
