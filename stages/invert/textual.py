"""Textual inversion of many images at once (Segment Anyword, equation 2 and algorithm 1, lines 4-8).

Every token that learns has its own vector, by image and by position: two "circle"s in a text can come to mean two
circles. The images of a batch share UNet calls but nothing else: the loss is the SUM over images of each one's mean,
and AdamW is elementwise, so an image's result does not depend on its company beyond rounding (with the batch's mean
instead, AdamW's epsilon would tie them together). Text is encoded once a step and repeated for the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of
from stages.backbones.diffusion import DiffusionBackbone
from stages.backbones.entropy import Words, entropy
from stages.backbones.objective import draw_batch, prediction_error, timestep_range
from stages.backbones.text import Encoding
from stages.invert.losses import attended, contrast
from stages.invert.recipe import TextualRecipe
from stages.invert.settle import Watch

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Learned:
    """What one image taught the words of its text."""

    vectors: Float[torch.Tensor, "tokens width"]
    """Input embeddings of the tokens that learned."""
    tokens: tuple[int, ...]
    """Their positions in the encoded text, special tokens counted."""
    losses: tuple[float, ...]
    """Mean loss of each step taken."""


class Vectors:
    """The learning vectors of a batch of texts, packed one row a token."""

    def __init__(
        self,
        backbone: DiffusionBackbone,
        encoding: Encoding,
        tokens: Sequence[Sequence[int]],
        initial: Float[torch.Tensor, "rows width"] | None = None,
    ) -> None:
        device = backbone.device
        self.input_ids = encoding.input_ids
        self.base = backbone.embed(encoding.input_ids)  # [N, L, D]
        self.text = torch.tensor([n for n, own in enumerate(tokens) for _ in own], device=device).long()
        self.token = torch.tensor([t for own in tokens for t in own], device=device).long()
        self.first = self.base[self.text, self.token].clone() if initial is None else initial.clone()
        self.now = self.first.clone().requires_grad_()
        self.share = torch.ones(len(self.text), 1, device=device)
        """Of the learning rate, a row."""

    def context(
        self,
        backbone: DiffusionBackbone,
        texts: Int[torch.Tensor, " active"],
        rows: Float[torch.Tensor, "rows width"] | None = None,
    ) -> Float[torch.Tensor, "active window context"]:
        """The encoder's output for some of the texts, with the learned vectors (or `rows`) in place."""
        embeddings = self.base.index_put((self.text, self.token), self.now if rows is None else rows)
        return backbone.encode(self.input_ids[texts], embeddings[texts])


def optimise(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    encoding: Encoding,
    tokens: Sequence[Sequence[int]],
    unknown: Sequence[Sequence[int]],
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
    initial: Float[torch.Tensor, "rows width"] | None = None,
) -> list[Learned]:
    """Learn the vectors of `tokens` (positions, by text) from the images; `unknown`: those among them whose word the
    tokenizer does not know whole; `initial`: what they start from, text by text, where it is not the table's own.

    An image whose text has no token to learn, and every image if `recipe.steps` is 0, comes back without vectors.
    """
    count = len(sample_ids)
    if recipe.steps == 0 or not any(tokens):
        width = backbone.table.shape[1]
        return [Learned(torch.zeros(0, width), (), ()) for _ in range(count)]
    vectors = Vectors(backbone, encoding, tokens, initial)
    _initialise(vectors, backbone, tokens, unknown, sample_ids, recipe)
    known = [token not in unknown[n] for n, own in enumerate(tokens) for token in own]
    vectors.share[torch.tensor(known)] = recipe.known_rate
    losses = _descend(backbone, latents, vectors, encoding, sample_ids, recipe)
    with torch.no_grad():
        kept = accepted(backbone, latents, vectors, encoding, sample_ids, recipe)
    text = vectors.text.cpu()
    final = kept.cpu()
    return [Learned(final[text == n], tuple(tokens[n]), tuple(losses[n])) for n in range(count)]


def _initialise(
    vectors: Vectors,
    backbone: DiffusionBackbone,
    tokens: Sequence[Sequence[int]],
    unknown: Sequence[Sequence[int]],
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> None:
    """Replace first vectors by draws from N(mean, spread) of the table, dimension by dimension, where asked."""
    if recipe.initial == "pretrained":
        return
    mean, spread = backbone.table.mean(dim=0), backbone.table.std(dim=0)
    row = 0
    with torch.no_grad():
        for n, own in enumerate(tokens):
            for token in own:
                if recipe.initial == "random" or token in unknown[n]:
                    seed = seed_of(recipe.seed, "invert", sample_ids[n], "initial", token)
                    normal = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
                    vectors.first[row] = mean + spread * normal.to(mean)
                row += 1
        vectors.now.copy_(vectors.first)


def learning_rate(backbone: DiffusionBackbone, recipe: TextualRecipe) -> float:
    """The rate that AdamW gets, in the embeddings' own unit."""
    rate = recipe.lr * (recipe.draws if recipe.scale_lr else 1)
    return rate * float(backbone.table.std()) if recipe.lr_unit == "table" else rate


def _descend(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    vectors: Vectors,
    encoding: Encoding,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> list[list[float]]:
    """Run the steps in place; the loss trace of every image. Images that settle leave the batch."""
    rate = learning_rate(backbone, recipe)
    optimiser = torch.optim.AdamW([vectors.now], lr=rate, weight_decay=recipe.weight_decay, foreach=False)
    # An image without a token to learn, or with none that may move, would only cost time.
    active = sorted(set(vectors.text[vectors.share[:, 0] > 0].tolist()))
    if not active:
        return [[] for _ in sample_ids]
    watch = Watch(backbone, latents, vectors, sample_ids, recipe) if recipe.settle else None
    every = Words(vectors.text.tolist(), vectors.token.tolist(), encoding, backbone.device)
    trace: list[torch.Tensor] = []
    members: list[list[int]] = []
    for step in range(recipe.steps):
        index = torch.tensor(active, device=backbone.device)
        context = vectors.context(backbone, index)
        words = every.of(active) if recipe.mask or recipe.contrast or recipe.entropy else None
        loss = diffusion_loss(
            backbone, latents[index], context, [sample_ids[n] for n in active], step, recipe, words=words
        )  # [active]
        total = loss.sum()
        if recipe.contrast and words is not None:
            total = total + recipe.contrast.weight * contrast(context, words, recipe.contrast).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        if recipe.schedule == "linear":
            optimiser.param_groups[0]["lr"] = rate * (1 - step / recipe.steps)
        _update(optimiser, vectors, active, recipe.pull)
        trace.append(loss.detach())
        members.append(active)
        if watch is not None and (step + 1) % watch.every == 0:
            active = watch.unsettled(active)
            if not active:
                break
    losses: list[list[float]] = [[] for _ in sample_ids]
    for values, own in zip(trace, members, strict=True):
        for n, value in zip(own, values.tolist(), strict=True):
            losses[n].append(value)
    return losses


def _update(optimiser: torch.optim.AdamW, vectors: Vectors, active: Sequence[int], pull: float) -> None:
    """One AdamW step; rows of images that have settled keep their values (their moments no longer matter)."""
    with torch.no_grad():
        before = vectors.now.clone()
        optimiser.step()
        if pull:
            rate = optimiser.param_groups[0]["lr"]
            vectors.now.sub_(rate * pull * (vectors.now - vectors.first))
        # AdamW's step is proportional to its rate, so a share of the step is a share of the rate.
        vectors.now.lerp_(before, 1 - vectors.share)
        still = torch.isin(vectors.text, torch.tensor(active, device=vectors.text.device), invert=True)
        vectors.now[still] = before[still]


def diffusion_loss(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    context: Float[torch.Tensor, "images window context"],
    sample_ids: Sequence[str],
    step: int | str,
    recipe: TextualRecipe,
    draws: int | None = None,
    words: Words | None = None,
) -> Float[torch.Tensor, " images"]:
    """L_DM (equation 2), an image: mean over its draws, channels and pixels of the squared error.

    With `words` and a recipe that has `mask`, the error counts where the learning words attend (MCPL's Attn-Mask); with
    one that has `entropy`, that term is added.
    """
    count = draws or recipe.draws
    timesteps, noise = draw_batch(
        recipe.seed,
        "invert",
        sample_ids,
        step,
        count,
        latents.shape[1:],
        timestep_range(backbone, recipe.timesteps),
        backbone.device,
        antithetic=recipe.antithetic and count % 2 == 0,
        stratified=recipe.stratified,
    )
    if words is None or (recipe.mask is None and recipe.entropy is None):
        error = prediction_error(backbone, latents, context, timesteps, noise)
        return error.square().flatten(1).mean(dim=1)
    with backbone.capture() as capture:
        error = prediction_error(backbone, latents, context, timesteps, noise)
        maps = capture.take().unflatten(0, (-1, count))
    if recipe.mask is not None:
        # As MCPL: the mean runs over all pixels, masked or not.
        error = error * attended(maps.detach(), words, recipe.mask, latents.shape[-1])
    loss = error.square().flatten(1).mean(dim=1)
    return loss + recipe.entropy.weight * entropy(maps, words) if recipe.entropy else loss


def accepted(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    vectors: Vectors,
    encoding: Encoding,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> Float[torch.Tensor, "rows width"]:
    """The vectors to keep, judged on draws that learning never saw; the same draws for every alternative.

    'word': a word whose first vector gives no higher loss, while the others stay learned, goes back to it. All words
    are judged against the same learned text, then changed together.
    """
    now = vectors.now.detach()
    if recipe.accept == "all":
        return now
    everyone = torch.arange(len(sample_ids), device=backbone.device)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        context = vectors.context(backbone, everyone, rows)
        return diffusion_loss(backbone, latents, context, sample_ids, "accept", recipe, draws=recipe.accept_draws)

    learned = loss(now)
    kept = now.clone()
    if recipe.accept == "text":
        worse = (loss(vectors.first) <= learned)[vectors.text]
        kept[worse] = vectors.first[worse]
        return kept
    words = Words(vectors.text.tolist(), vectors.token.tolist(), encoding, backbone.device)
    for turn in range(int(words.word.max()) + 1):
        own = words.word == turn
        rows = torch.where(own[:, None], vectors.first, now)
        back = own & (loss(rows) <= learned)[vectors.text]
        kept[back] = vectors.first[back]
    return kept
