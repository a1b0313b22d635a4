"""Textual inversion of many images at once (Segment Anyword, equation 2 and algorithm 1, lines 4-8).

Every token that learns has its own vector, by image and by position: two "circle"s in a text can come to mean two
circles. The images of a batch share passes but nothing else: the loss is the SUM over images of each one's mean,
and AdamW is elementwise, so an image's result does not depend on its company beyond rounding (with the batch's mean
instead, AdamW's epsilon would tie them together). Text is encoded once a step and repeated for the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.kept import Kept, State
from stages.artifacts.seeds import seed_of
from stages.invert.early_stopping import EarlyStopping
from stages.invert.inverter import Learned, drift
from stages.invert.loss import step_gradients
from stages.invert.recipe import TextualRecipe
from stages.invert.vectors import Learner, Vectors
from stages.learning.resumption import learned, take_up
from stages.learning.trainable_tokens import TrainableTokens, trainable_tokens
from stages.models.face import DiffusionModel
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
    kept: Kept,
) -> list[Learned]:
    """What each row of the inputs learns."""
    join = settings.pieces == "joined" and settings.steps > 0
    trainable = trainable_tokens(model, inputs.tokens, texts, settings.words, join=join)
    return optimise(model, inputs.latents, trainable, sample_ids, settings, kept)


def optimise(
    model: DiffusionModel,
    latents: Float[torch.Tensor, "images channels h w"],
    trainable: TrainableTokens,
    sample_ids: Sequence[str],
    recipe: TextualRecipe,
    kept: Kept | None = None,
) -> list[Learned]:
    """Learn the vectors of the texts' learning tokens from the images, one image a text.

    An image whose text has no token to learn, and every image if `recipe.steps` is 0, comes back without vectors. kept:
    where to go on, and to leave how far it has come.
    """
    tokens = [tuple(own) for own in zip(*([one.tokens for one in rows] for rows in trainable.rows), strict=True)]
    if recipe.steps == 0 or not any(any(own) for own in tokens):
        none = tuple(torch.zeros(0, table.shape[1]) for table in model.tables)
        still = tuple(torch.zeros(0) for _ in model.tables)
        return [Learned(none, tuple(() for _ in own), tuple(() for _ in own), still, ()) for own in tokens]
    learner = Learner(model, trainable, recipe.known_rate)
    for encoder, vectors in enumerate(learner.encoders):
        _initialise(vectors, model.tables[encoder], encoder, sample_ids, recipe)
    losses = _descend(learner, latents, sample_ids, recipe, kept or Kept(None))
    texts = [one.text.cpu() for one in learner.encoders]
    final = [one.now.detach().cpu() for one in learner.encoders]
    went = [drift(one.first.cpu(), values) for one, values in zip(learner.encoders, final, strict=True)]
    return [
        Learned(
            vectors=tuple(values[text == n] for values, text in zip(final, texts, strict=True)),
            tokens=tokens[n],
            joined=tuple(rows[n].joined if rows[n].tokens else () for rows in trainable.rows),
            drift=tuple(values[text == n] for values, text in zip(went, texts, strict=True)),
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
    kept: Kept,
) -> list[list[float]]:
    """Run the steps in place; the loss trace of every image. Images that have stopped leave the batch."""
    model = learner.model
    rates = [learning_rate(table, recipe) for table in model.tables]
    parameters = [{"params": [one.now], "lr": rate} for one, rate in zip(learner.encoders, rates, strict=True)]
    optimiser = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay, foreach=False)
    active = learner.moving
    taken = [0] * len(sample_ids)
    losses = latents.new_zeros(recipe.steps, len(sample_ids))
    if not active:
        return [[] for _ in sample_ids]
    reader = AttentionReader(model, own=recipe.clustering is not None) if recipe.reads_maps else None
    stopping = None
    if recipe.settle:
        stopping = EarlyStopping(learner, latents, sample_ids, recipe.settle, recipe.seed, recipe.timesteps)
    if before := kept.found(sample_ids):
        take_up(optimiser, before)
        active, taken = before["active"].tolist(), before["taken"].tolist()
        losses[: len(before["losses"])] = torch.from_numpy(before["losses"]).to(losses)
        if stopping:
            stopping.take_up(before)
    with kept.steps(recipe.steps) as steps:
        for step in steps:
            gradients = partial(step_gradients, learner, latents, sample_ids, active, step, recipe, reader)
            losses[step, active] = model.memory.until_it_fits(gradients, spare=model.spare)
            if recipe.schedule == "linear":
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * (1 - step / recipe.steps)
            _update(optimiser, learner.encoders, active)
            taken = [step + 1 if n in active else own for n, own in enumerate(taken)]
            if stopping is not None and (step + 1) % stopping.every == 0:
                active = stopping.going_on(active)
                if not active:
                    break
            kept.after(step, partial(_state, active, taken, losses[: step + 1], optimiser, stopping))
    return [losses[:own, n].tolist() for n, own in enumerate(taken)]


def _state(
    active: Sequence[int],
    taken: Sequence[int],
    losses: Float[torch.Tensor, "steps images"],
    optimiser: torch.optim.AdamW,
    stopping: EarlyStopping | None,
) -> State:
    """All that the next step needs."""
    trace = {"active": np.array(active), "taken": np.array(taken), "losses": losses.cpu().numpy()}
    return {**trace, **learned(optimiser), **(stopping.state() if stopping else {})}


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
