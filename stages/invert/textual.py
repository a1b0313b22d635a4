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
from stages.invert.early_stopping import Watch
from stages.invert.recipe import TextualRecipe
from stages.learning.draws import draw_batch, prediction_error, timestep_range
from stages.learning.entropy import entropy
from stages.learning.mcpl import attended, contrast
from stages.learning.token_groups import Words
from stages.learning.trainable_tokens import Lessons
from stages.models.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


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
        lessons: Lessons,
        known_rate: float = 1.0,
    ) -> None:
        """known_rate: of words that the tokenizer knows whole, as a share of the others' rate."""
        self.input_ids = lessons.encoding.input_ids
        self.base = backbone.embed(self.input_ids)  # [N, L, D]
        self.words = lessons.learning()
        self.text, self.token = self.words.text, self.words.token
        initial = self.base[self.text, self.token] if lessons.initial is None else lessons.initial
        self.first = initial.clone()
        self.now = self.first.clone().requires_grad_()
        unknown = [token in one.unknown for one in lessons.chosen for token in one.tokens]
        self.unknown: Bool[torch.Tensor, " rows"] = torch.tensor(unknown, dtype=torch.bool, device=backbone.device)
        self.share: Float[torch.Tensor, "rows 1"] = torch.where(self.unknown, 1.0, known_rate)[:, None]
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
    lessons: Lessons,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> list[Learned]:
    """Learn the vectors of the texts' learning tokens from the images, one image a text.

    An image whose text has no token to learn, and every image if `recipe.steps` is 0, comes back without vectors.
    """
    tokens = [one.tokens for one in lessons.chosen]
    if recipe.steps == 0 or not any(tokens):
        width = backbone.table.shape[1]
        return [Learned(torch.zeros(0, width), (), ()) for _ in tokens]
    vectors = Vectors(backbone, lessons, recipe.known_rate)
    _initialise(vectors, backbone, sample_ids, recipe)
    losses = _descend(backbone, latents, vectors, lessons.content(), sample_ids, recipe)
    with torch.no_grad():
        kept = accepted(backbone, latents, vectors, sample_ids, recipe)
    text = vectors.text.cpu()
    final = kept.cpu()
    return [Learned(final[text == n], own, tuple(losses[n])) for n, own in enumerate(tokens)]


def _initialise(
    vectors: Vectors,
    backbone: DiffusionBackbone,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> None:
    """Replace first vectors by draws from N(mean, spread) of the table, dimension by dimension, where asked."""
    if recipe.initial == "pretrained":
        return
    mean, spread = backbone.table.mean(dim=0), backbone.table.std(dim=0)
    drawn = torch.ones_like(vectors.unknown) if recipe.initial == "random" else vectors.unknown
    with torch.no_grad():
        for row in drawn.nonzero()[:, 0].tolist():
            text, token = int(vectors.text[row]), int(vectors.token[row])
            seed = seed_of(recipe.seed, "invert", sample_ids[text], "initial", token)
            normal = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
            vectors.first[row] = mean + spread * normal.to(mean)
        vectors.now.copy_(vectors.first)


def learning_rate(backbone: DiffusionBackbone, recipe: TextualRecipe) -> float:
    """The rate that AdamW gets, in the embeddings' own unit."""
    rate = recipe.lr * (recipe.draws if recipe.scale_lr else 1)
    return rate * float(backbone.table.std()) if recipe.lr_unit == "table" else rate


def _descend(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    vectors: Vectors,
    content: Words,
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
    trace: list[torch.Tensor] = []
    members: list[list[int]] = []
    for step in range(recipe.steps):
        index = torch.tensor(active, device=backbone.device)
        context = vectors.context(backbone, index)
        loss = diffusion_loss(
            backbone,
            latents[index],
            context,
            [sample_ids[n] for n in active],
            step,
            recipe,
            words=vectors.words.of(active) if recipe.mask else None,
            content=content.of(active) if recipe.entropy else None,
        )  # [active]
        total = loss.sum()
        if recipe.contrast:
            total = total + recipe.contrast.weight * contrast(context, vectors.words.of(active), recipe.contrast).sum()
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
    content: Words | None = None,
) -> Float[torch.Tensor, " images"]:
    """L_DM (equation 2), an image: mean over its draws, channels and pixels of the squared error.

    With a recipe that has `mask`, the error counts where `words`, those that learn, attend (MCPL's Attn-Mask); with one
    that has `entropy`, that of the runs of `content` words, whether they learn or not, is added. Neither without those.
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
    if words is None and content is None:
        error = prediction_error(backbone, latents, context, timesteps, noise)
        return error.square().flatten(1).mean(dim=1)
    with backbone.capture() as capture:
        error = prediction_error(backbone, latents, context, timesteps, noise)
        maps = capture.take().unflatten(0, (-1, count))
    if words is not None and recipe.mask is not None:
        # As MCPL: the mean runs over all pixels, masked or not.
        error = error * attended(maps.detach(), words, recipe.mask, latents.shape[-1])
    loss = error.square().flatten(1).mean(dim=1)
    if content is not None and recipe.entropy is not None:
        loss = loss + recipe.entropy.weight * entropy(maps, content)
    return loss


def accepted(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "images channels h w"],
    vectors: Vectors,
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
    for turn in range(int(vectors.words.word.max()) + 1):
        own = vectors.words.word == turn
        rows = torch.where(own[:, None], vectors.first, now)
        back = own & (loss(rows) <= learned)[vectors.text]
        kept[back] = vectors.first[back]
    return kept
