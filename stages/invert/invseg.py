"""InvSeg: the prompt's encoding learns from one image what its classes look like (Lin et al., AAAI 2025).

At every step the image is seen in a few random crops, noised; each class's map is its words' cross-attention, spread
along self-attention (equation 2). The encoding moves so that cells of one class attend alike and those of two do not
(equations 3-8), and so that the views agree on a decided answer (9). Nothing is denoised: a pass ends at the last layer
that is read. The images of a batch share passes and nothing else (`textual` says why that keeps them apart).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from stages.artifacts.kept import Kept, State
from stages.invert.inverter import Learned, drift
from stages.invert.recipe import InvSegRecipe
from stages.learning.classes import memberships
from stages.learning.clustering import Distances, class_maps, cluster_loss, enlarge_own, entropy_loss, shares
from stages.learning.draws import draw_batch, timestep_range
from stages.learning.microbatches import groups
from stages.learning.resumption import learned, take_up
from stages.learning.views import View, draw_views, together
from stages.models.face import Condition, DiffusionModel
from stages.models.inputs import Inputs
from stages.models.reading import AttentionMaps, AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Float

    Members = Float[torch.Tensor, "_classes columns"]


def learn(
    model: DiffusionModel,
    inputs: Inputs,
    texts: Sequence[str],
    sample_ids: Sequence[str],
    settings: InvSegRecipe,
    kept: Kept | None = None,
) -> list[Learned]:
    """What each row of the inputs learns: the denoiser's context, column by column. A row whose text names no class,
    and every row if there are no steps, learns nothing."""
    with torch.no_grad():
        condition = model.condition(inputs.tokens, model.embed(inputs.tokens))
    columns, width = condition.context.shape[1:]
    members = [one.to(model.device) for one in memberships(inputs.tokens, texts, settings.classes, columns)]
    rows = [row for row, own in enumerate(members) if len(own) and settings.steps]
    found = [Learned((torch.zeros(0, width),), ((),), ((),), (torch.zeros(0),), ()) for _ in texts]
    if not rows:
        return found
    which = [moving(members[row], settings) for row in rows]
    context, losses = descend(
        model,
        [inputs.pixels[row] for row in rows],
        condition.select(rows),
        [members[row] for row in rows],
        which,
        [sample_ids[row] for row in rows],
        settings,
        kept or Kept(None),
    )
    for n, row in enumerate(rows):
        last = context[n, which[n]]
        went = drift(condition.context[row, which[n]].cpu(), last)
        found[row] = Learned((last,), (tuple(which[n]),), ((),), (went,), tuple(losses[n]))
    return found


def moving(members: Members, settings: InvSegRecipe) -> list[int]:
    """The columns that learn."""
    if settings.tokens == "all":
        return list(range(members.shape[1]))
    columns: list[int] = (members > 0).any(dim=0).nonzero()[:, 0].tolist()
    return columns


def descend(
    model: DiffusionModel,
    images: Sequence[Float[torch.Tensor, "3 height width"]],
    condition: Condition,
    members: Sequence[Members],
    which: Sequence[Sequence[int]],
    sample_ids: Sequence[str],
    settings: InvSegRecipe,
    kept: Kept,
) -> tuple[Float[torch.Tensor, "images columns width"], list[list[float]]]:
    """The context after the steps, on the CPU, and each image's loss by step. which: the columns that learn; kept:
    where to go on, and to leave how far it has come."""
    learning = torch.zeros(condition.context.shape[:2], device=model.device)
    for row, moves in enumerate(which):
        learning[row, list(moves)] = 1
    context = condition.context.clone().requires_grad_()
    # A column without a gradient has no moments, so Adam leaves it where it is.
    context.register_hook(lambda gradient: gradient * learning[..., None])
    optimiser = torch.optim.Adam([context], lr=settings.lr, foreach=False)
    reader = AttentionReader(model, scales=settings.scales, layers=settings.layers, own=True)
    seen = Seen(model, images, sample_ids, settings)
    losses = torch.zeros(settings.steps, len(sample_ids))
    if before := kept.found(sample_ids):
        take_up(optimiser, before)
        losses[: len(before["losses"])] = torch.from_numpy(before["losses"])

    def gradients(step: int) -> Float[torch.Tensor, " images"]:
        """Each image's loss; the gradients of their sum are added up, as many images at a time as fit."""
        optimiser.zero_grad(set_to_none=True)
        latents, views = seen.at(step)
        timesteps, noise = draw_batch(
            settings.seed,
            "invert",
            sample_ids,
            step,
            settings.views,
            latents.shape[1:],
            timestep_range(model, settings.timesteps),
            model.device,
        )
        noised = model.path.noised(latents, noise, timesteps)
        fit = model.rows_that_fit(noised, condition.with_context(context), reader.reads, stop=True)
        own = [0.0] * len(sample_ids)
        for images, _ in groups(len(sample_ids), settings.views, fit, whole=True):
            group = range(len(sample_ids))[images]
            part = slice(images.start * settings.views, images.stop * settings.views)
            said = condition.with_context(context).select(group).repeat(settings.views)
            maps = reader(noised[part], timesteps[part], said)
            found = [loss_of(maps, place, members[n], views[n], settings) for place, n in enumerate(group)]
            torch.stack(found).sum().backward()
            for n, loss in zip(group, found, strict=True):
                own[n] = float(loss.detach())
        return torch.tensor(own)

    with kept.steps(settings.steps) as steps:
        for step in steps:
            losses[step] = model.memory.until_it_fits(partial(gradients, step), spare=model.spare)
            optimiser.step()
            kept.after(step, partial(_state, losses[: step + 1], optimiser))
    return context.detach().cpu(), losses.T.tolist()


def _state(losses: Float[torch.Tensor, "steps images"], optimiser: torch.optim.Optimizer) -> State:
    """All that the next step needs."""
    return {"losses": losses.numpy(), **learned(optimiser)}


class Seen:
    """The latents of the images' views: the first step's kept, or new ones at every step."""

    def __init__(
        self,
        model: DiffusionModel,
        images: Sequence[Float[torch.Tensor, "3 height width"]],
        sample_ids: Sequence[str],
        settings: InvSegRecipe,
    ) -> None:
        self.model = model
        self.images = images
        self.ids = sample_ids
        self.settings = settings
        self._kept: tuple[torch.Tensor, list[list[View]]] | None = None

    def at(self, step: int) -> tuple[Float[torch.Tensor, "rows channels h w"], list[list[View]]]:
        """Row = image * views + view, and the views of each image."""
        if self._kept is not None:
            return self._kept
        own = self.settings
        views = [draw_views(own.seed, one, step, own.views, own.least_crop) for one in self.ids]
        pixels = [
            torch.stack([view.cut(image) for view in looked]) for image, looked in zip(self.images, views, strict=True)
        ]
        # Image by image: an autoencoder's last bits depend on the batch, and Adam makes much of little.
        found = torch.cat([self.model.encode(own) for own in pixels]), views
        if own.crops == "fixed":
            self._kept = found
        return found


def loss_of(
    maps: AttentionMaps, place: int, members: Members, views: list[View], settings: InvSegRecipe
) -> Float[torch.Tensor, ""]:
    """L (the paper's "Overall Optimization Process") of one image, by its place among those of the maps: the mean of
    its views' clustering, and their entropy together."""
    if maps.own is None:
        raise ValueError("clustering needs self-attention, and none was read")
    rows = slice(place * settings.views, (place + 1) * settings.views)
    cross, own = maps.cross[rows], maps.own[rows]
    grid: tuple[int, int] = (cross.shape[-2], cross.shape[-1])
    if not settings.self_gradient:
        own = own.detach()
    if settings.side is not None and grid != (settings.side, settings.side):
        own = enlarge_own(own, grid, settings.side)
        grid = (settings.side, settings.side)
        cross = torch.nn.functional.interpolate(cross, size=grid, mode="bilinear", align_corners=False)
    found = class_maps(cross.flatten(2), own, members, settings.refine)  # [views, classes, cells]
    normalise = settings.normalise == "classes"
    loss = found.sum() * 0.0
    if settings.clustering:
        clustered = shares(found) if normalise else found
        distances = Distances.of(own)
        each = cluster_loss(clustered, distances, scale=settings.scale, centre=settings.centre).mean()
        loss = loss + settings.clustering * (each / 2 if settings.divergence == "mean" else each)
    if settings.entropy:
        mean, everywhere = together(found.unflatten(-1, grid), views)
        loss = loss + settings.entropy * entropy_loss(mean, everywhere, normalise=normalise)
    return loss
