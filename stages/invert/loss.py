"""The loss of one step of inversion, and its gradients for the vectors that learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.invert.recipe import TextualRecipe
from stages.invert.vectors import Learner
from stages.learning.draws import draw_batch, prediction_error, timestep_range
from stages.learning.entropy import entropy
from stages.learning.mcpl import attended, contrast
from stages.learning.microbatches import Group, add_gradients, groups
from stages.learning.phrase_clusters import phrase_clusters
from stages.learning.token_groups import TokenGroups
from stages.models.face import Condition, DiffusionModel
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float


def step_gradients(
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
            content=learner.content.of(texts) if recipe.entropy or recipe.clustering else None,
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
    that has `entropy` or `clustering`, that of the runs of `content` words, whether they learn or not, is added. All
    need a reader.
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
        seen = maps.cross.detach().unflatten(0, (len(latents), -1))
        error = error * attended(seen, words, recipe.mask, (latents.shape[-2], latents.shape[-1]))
    loss = error.square().flatten(1).mean(dim=1) * (error.shape[1] / recipe.draws)
    if maps is not None and content is not None and recipe.entropy is not None:
        loss = loss + recipe.entropy.weight * entropy(maps.cross.unflatten(0, (len(latents), -1)), content)
    if maps is not None and content is not None and recipe.clustering is not None:
        clustered = phrase_clusters(maps, len(latents), content, recipe.clustering)
        loss = loss + recipe.clustering.weight * clustered.sum(dim=1) / recipe.draws
    return loss
