"""Textual inversion of many images at once (Segment Anyword, equation 2 and algorithm 1, lines 4-8).

Every token that learns has its own vector, by image and by position: two "circle"s in a text can come to mean two
circles. The images of a batch share passes but nothing else: the loss is the SUM over images of each one's mean,
and AdamW is elementwise, so an image's result does not depend on its company beyond rounding (with the batch's mean
instead, AdamW's epsilon would tie them together). Text is encoded once a step and repeated for the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of
from stages.invert.early_stopping import EarlyStopping
from stages.invert.inverter import Learned
from stages.invert.recipe import TextualRecipe
from stages.invert.vectors import Learner, Vectors
from stages.learning.draws import draw_batch, prediction_error, timestep_range
from stages.learning.entropy import entropy
from stages.learning.mcpl import attended, contrast
from stages.learning.microbatches import Group, add_gradients, groups
from stages.learning.token_groups import TokenGroups
from stages.learning.trainable_tokens import TrainableTokens, trainable_tokens
from stages.models.face import Condition, DiffusionModel
from stages.models.inputs import Inputs
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


def learn(
    model: DiffusionModel,
    inputs: Inputs,
    texts: Sequence[str],
    sample_ids: Sequence[str],
    settings: TextualRecipe,
) -> list[Learned]:
    """What each row of the inputs learns."""
    join = settings.pieces == "joined" and settings.steps > 0
    trainable = trainable_tokens(model, inputs.tokens, texts, settings.words, join=join)
    return optimise(model, inputs.latents, trainable, sample_ids, settings)


def optimise(
    model: DiffusionModel,
    latents: Float[torch.Tensor, "images channels h w"],
    trainable: TrainableTokens,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> list[Learned]:
    """Learn the vectors of the texts' learning tokens from the images, one image a text.

    An image whose text has no token to learn, and every image if `recipe.steps` is 0, comes back without vectors.
    """
    tokens = [tuple(own) for own in zip(*([one.tokens for one in rows] for rows in trainable.rows), strict=True)]
    if recipe.steps == 0 or not any(any(own) for own in tokens):
        none = tuple(torch.zeros(0, table.shape[1]) for table in model.tables)
        return [Learned(none, tuple(() for _ in own), tuple(() for _ in own), ()) for own in tokens]
    learner = Learner(model, trainable, recipe.known_rate)
    for encoder, vectors in enumerate(learner.encoders):
        _initialise(vectors, model.tables[encoder], encoder, sample_ids, recipe)
    losses = _descend(learner, latents, sample_ids, recipe)
    texts = [one.text.cpu() for one in learner.encoders]
    final = [one.now.detach().cpu() for one in learner.encoders]
    return [
        Learned(
            vectors=tuple(values[text == n] for values, text in zip(final, texts, strict=True)),
            tokens=tokens[n],
            joined=tuple(rows[n].joined if rows[n].tokens else () for rows in trainable.rows),
            losses=tuple(losses[n]),
        )
        for n in range(len(tokens))
    ]


def _initialise(
    vectors: Vectors,
    table: Float[torch.Tensor, "vocabulary width"],
    encoder: int,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> None:
    """Replace first vectors by draws from N(mean, spread) of the table, dimension by dimension, where asked."""
    if recipe.initial == "pretrained":
        return
    mean, spread = table.mean(dim=0), table.std(dim=0)
    drawn = torch.ones_like(vectors.unknown) if recipe.initial == "random" else vectors.unknown
    with torch.no_grad():
        for row in drawn.nonzero()[:, 0].tolist():
            text, token = int(vectors.text[row]), int(vectors.token[row])
            which = [encoder] if encoder else []
            seed = seed_of(recipe.seed, "invert", sample_ids[text], "initial", token, *which)
            normal = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
            vectors.first[row] = mean + spread * normal.to(mean)
        vectors.now.copy_(vectors.first)


def learning_rate(table: Float[torch.Tensor, "vocabulary width"], recipe: TextualRecipe) -> float:
    """The rate that AdamW gets for vectors of an encoder, in the embeddings' own unit."""
    rate = recipe.lr * (recipe.draws if recipe.scale_lr else 1)
    return rate * float(table.std()) if recipe.lr_unit == "table" else rate


def _descend(
    learner: Learner,
    latents: Float[torch.Tensor, "images channels h w"],
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
) -> list[list[float]]:
    """Run the steps in place; the loss trace of every image. Images that have stopped leave the batch."""
    model = learner.model
    rates = [learning_rate(table, recipe) for table in model.tables]
    groups = [{"params": [one.now], "lr": rate} for one, rate in zip(learner.encoders, rates, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, foreach=False)
    active = learner.moving
    if not active:
        return [[] for _ in sample_ids]
    reader = AttentionReader(model) if recipe.mask or recipe.entropy else None
    stopping = None
    if recipe.settle:
        stopping = EarlyStopping(learner, latents, sample_ids, recipe.settle, recipe.seed, recipe.timesteps)
    trace: list[torch.Tensor] = []
    members: list[list[int]] = []
    for step in range(recipe.steps):

        def gradients(step: int = step, active: list[int] = active) -> torch.Tensor:
            return _gradients(learner, latents, sample_ids, active, step, recipe, reader)

        loss = model.memory.until_it_fits(gradients, spare=model.spare)
        if recipe.schedule == "linear":
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * (1 - step / recipe.steps)
        _update(optimiser, learner.encoders, active)
        trace.append(loss)
        members.append(active)
        if stopping is not None and (step + 1) % stopping.every == 0:
            active = stopping.going_on(active)
            if not active:
                break
    losses: list[list[float]] = [[] for _ in sample_ids]
    for values, own in zip(trace, members, strict=True):
        for n, value in zip(own, values.tolist(), strict=True):
            losses[n].append(value)
    return losses


def _gradients(
    learner: Learner,
    latents: Float[torch.Tensor, "images channels h w"],
    sample_ids: Sequence[str],
    active: list[int],
    step: int,
    recipe: TextualRecipe,
    reader: AttentionReader | None,
) -> Float[torch.Tensor, " active"]:
    """The loss of each active image; its gradients are left with the vectors."""
    for one in learner.encoders:
        one.now.grad = None
    own = latents[torch.tensor(active, device=latents.device)]
    condition = learner.condition(active)
    most = learner.model.rows_that_fit(
        own[:1].expand(len(active) * recipe.draws, -1, -1, -1),
        condition,
        reader.reads if reader else (),
        beside=lambda: learner.condition(active),
    )

    def loss(given: Condition, part: Group) -> torch.Tensor:
        texts = active[part.images]
        return diffusion_loss(
            learner.model,
            own[part.images],
            given,
            [sample_ids[n] for n in texts],
            step,
            recipe,
            reader,
            words=learner.words.of(texts) if recipe.mask else None,
            content=learner.content.of(texts) if recipe.entropy else None,
            draws=part.draws,
        )

    parts = groups(len(active), recipe.draws, most, whole=recipe.entropy is not None)
    losses, gradients = add_gradients(condition, parts, loss)
    ends, sums = [*condition.learning], [*gradients]
    if recipe.contrast:
        words = learner.words.of(active)
        ends.append(recipe.contrast.weight * contrast(condition.context, words, recipe.contrast).sum())
        sums.append(torch.ones_like(ends[-1]))
    torch.autograd.backward(ends, sums)
    return losses


def _update(optimiser: torch.optim.AdamW, encoders: Sequence[Vectors], active: Sequence[int]) -> None:
    """One AdamW step; rows of images that have stopped keep their values (their moments no longer matter)."""
    with torch.no_grad():
        before = [one.now.clone() for one in encoders]
        optimiser.step()
        for one, old in zip(encoders, before, strict=True):
            # AdamW's step is proportional to its rate, so a share of the step is a share of the rate.
            one.now.lerp_(old, 1 - one.share)
            still = torch.isin(one.text, torch.tensor(active, device=one.text.device), invert=True)
            one.now[still] = old[still]


def diffusion_loss(
    model: DiffusionModel,
    latents: Float[torch.Tensor, "images channels h w"],
    condition: Condition,
    sample_ids: Sequence[str],
    step: int,
    recipe: TextualRecipe,
    reader: AttentionReader | None = None,
    *,
    words: TokenGroups | None = None,
    content: TokenGroups | None = None,
    draws: slice = slice(None),
) -> Float[torch.Tensor, " images"]:
    """L_DM (equation 2), an image: mean over its draws, channels and pixels of the squared error.

    draws: of the recipe's, those that are taken; the others count 0.

    With a recipe that has `mask`, the error counts where `words`, those that learn, attend (MCPL's Attn-Mask); with one
    that has `entropy`, that of the runs of `content` words, whether they learn or not, is added. Both need a reader.
    """
    timesteps, noise = draw_batch(
        recipe.seed,
        "invert",
        sample_ids,
        step,
        recipe.draws,
        latents.shape[1:],
        timestep_range(model, recipe.timesteps),
        model.device,
        antithetic=recipe.antithetic,
        stratified=recipe.stratified,
    )
    timesteps, noise = (
        one.unflatten(0, (len(latents), recipe.draws))[:, draws].flatten(0, 1) for one in (timesteps, noise)
    )
    error, maps = prediction_error(model, latents, condition, timesteps, noise, reader)
    if maps is not None and words is not None and recipe.mask is not None:
        # As MCPL: the mean runs over all pixels, masked or not.
        error = error * attended(maps.detach(), words, recipe.mask, (latents.shape[-2], latents.shape[-1]))
    loss = error.square().flatten(1).mean(dim=1) * (error.shape[1] / recipe.draws)
    if maps is not None and content is not None and recipe.entropy is not None:
        loss = loss + recipe.entropy.weight * entropy(maps, content)
    return loss
