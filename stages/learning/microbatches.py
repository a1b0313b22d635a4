"""A step's noise draws in groups whose gradients add up: as many rows at a time as the device holds.

The loss is a sum over images of means over draws, so the sum of the groups' gradients is the whole's. Text is encoded
once for all groups, and gone back through once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch

from stages.models.face import Condition

if TYPE_CHECKING:
    from jaxtyping import Float


class Group(NamedTuple):
    """Some draws of some images."""

    images: slice
    draws: slice


def groups(images: int, draws: int, most: int, *, whole: bool) -> list[Group]:
    """All draws of all images in groups of at most so many rows. An image's draws stay together where they fit, or if
    `whole`, where its loss is not a mean over them."""
    if whole or most >= draws:
        size = max(1, most // draws)
        return [Group(slice(n, min(n + size, images)), slice(0, draws)) for n in range(0, images, size)]
    parts = [slice(begin, min(begin + most, draws)) for begin in range(0, draws, most)]
    return [Group(slice(n, n + 1), part) for n in range(images) for part in parts]


def add_gradients(
    condition: Condition, parts: list[Group], loss: Callable[[Condition, Group], Float[torch.Tensor, " own"]]
) -> tuple[Float[torch.Tensor, " images"], list[torch.Tensor]]:
    """Loss of every image, and the gradient of their sum for each of `condition.learning`.

    loss: of a group's images, each less the draws that are not in the group, given their rows of the condition.
    """
    rows = list(range(len(condition.context)))
    given = condition.fresh()
    losses = condition.context.new_zeros(len(rows))
    gradients: list[torch.Tensor] = []
    for part in parts:
        own = rows[part.images]
        found = loss(given if len(own) == len(rows) else given.select(own), part)
        added = torch.autograd.grad(found.sum(), given.learning, allow_unused=True, materialize_grads=True)
        gradients = [one + more for one, more in zip(gradients, added, strict=True)] if gradients else list(added)
        losses[part.images] += found.detach()
    return losses, gradients
