"""InvSeg's contrastive soft clustering of a sentence's phrases, beside the diffusion loss. Neither paper has this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stages.learning.clustering import Distances, class_maps, cluster_loss
from stages.learning.recipe import Clustering
from stages.learning.token_groups import TokenGroups
from stages.models.reading import AttentionMaps

if TYPE_CHECKING:
    from jaxtyping import Float


def phrase_clusters(
    maps: AttentionMaps, images: int, words: TokenGroups, settings: Clustering
) -> Float[torch.Tensor, "images draws"]:
    """The clustering loss (InvSeg, equations 3-8) of every image and draw; maps' row = image * draws + draw.

    A class is a run of the words ("striped red circle"), its map the mean of its words' as an attender has it. Self-
    attention is taken as it is, without a gradient. An image whose text names nothing has 0.
    """
    if maps.own is None:
        raise ValueError("clustering needs self-attention, and none was read")
    cross = maps.cross.flatten(2).unflatten(0, (images, -1))  # images, draws, columns, cells
    own = maps.own.detach().unflatten(0, (images, -1))
    found = [cross.new_zeros(cross.shape[1])] * images
    for image, members in enumerate(words.run_members(images, cross.shape[2])):
        if len(members):
            seen = class_maps(cross[image], own[image], members.to(cross), settings.refine)
            distances = Distances.of(own[image])
            found[image] = cluster_loss(seen, distances, scale=settings.scale, centre=settings.centre)
    return torch.stack(found)
