"""InvSeg's losses: contrastive soft clustering of an image's cells (its equations 3-8), and entropy over views (9).

S, the distance of every cell to every other, is never made. Equation 4 to 8 need sums over S alone, and a symmetric
KL divergence is a sum of products of what belongs to one cell each, so that they cost N^2 C instead of N^3, to rounding
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

LEAST = 1e-8
"""Smallest share of attention whose logarithm is taken."""


@dataclass(frozen=True)
class Distances:
    """Symmetric KL divergence between the self-attention of any two cells (equation 3), as what its sums need."""

    shares: Float[torch.Tensor, "*rows cells cells"]
    """Self-attention, each row a distribution over cells."""
    logs: Float[torch.Tensor, "*rows cells cells"]
    own: Float[torch.Tensor, "*rows cells"]
    """Of each cell, the sum of its shares times their logarithms."""

    @classmethod
    def of(cls, own: Float[torch.Tensor, "*rows cells cells"]) -> Distances:
        """own: self-attention, the cell that asks before the cell that it asks."""
        logs = own.clamp_min(LEAST).log()
        return cls(own, logs, (own * logs).sum(dim=-1))

    def between(
        self, first: Float[torch.Tensor, "*rows first cells"], second: Float[torch.Tensor, "*rows second cells"]
    ) -> Float[torch.Tensor, "*rows first second"]:
        """Sum over i and j of first[i] S[i, j] second[j], for every pair of weightings.

        S[i, j] = own[i] + own[j] - shares[i] logs[j] - logs[i] shares[j].
        """
        both = torch.cat([first, second], dim=-2)
        shares, logs = both @ self.shares, both @ self.logs  # two passes over N x N, whatever the classes
        weight, at_own = both.sum(dim=-1), (both @ self.own[..., None])[..., 0]
        count = first.shape[-2]

        def outer(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return one[..., :count, None] * other[..., None, count:]

        crossed = shares[..., :count, :] @ logs[..., count:, :].mT + logs[..., :count, :] @ shares[..., count:, :].mT
        return outer(at_own, weight) + outer(weight, at_own) - crossed


def cluster_loss(
    maps: Float[torch.Tensor, "*rows classes cells"], distances: Distances, *, scale: float, centre: float
) -> Float[torch.Tensor, "*rows"]:
    """L_Cluster (equations 4-8): mean distance of each class's anchors to its own map, less that to other classes'.

    maps: M, in 0..1. Anchors are sigmoid(scale (M - centre)): the paper speaks of a sigmoid that selects ever more
    sharply as the scale grows, which without a centre inside 0..1 it would not. Of two classes, the later one's anchors
    are held against the earlier one's map, as equation 7 writes it. One class alone has nobody to be told from: what is
    left is its distance to itself.
    """
    classes = maps.shape[-2]
    anchors = torch.sigmoid(scale * (maps - centre))
    weight = anchors.sum(dim=-1)[..., :, None] * maps.sum(dim=-1).clamp_min(LEAST)[..., None, :]
    pairs = distances.between(anchors, maps) / weight  # [*rows, anchors of, map of]
    within = pairs.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    if classes == 1:
        return within
    return within - 2 * pairs.tril(-1).sum(dim=(-2, -1)) / (classes * (classes - 1))


def entropy_loss(
    maps: Float[torch.Tensor, "classes height width"], seen: Bool[torch.Tensor, "height width"], *, normalise: bool
) -> Float[torch.Tensor, ""]:
    """L_Etrp (equation 9): the mean over the places `seen` of the sum over classes of -M log M.

    maps: averaged over the views. As the paper writes it, M does not sum to 1 over the classes, so this is no entropy:
    it is least where every class is at 0 or 1 by itself. normalise: take each class's share of a place instead.
    """
    values = maps[:, seen].clamp_min(LEAST)
    if not values.shape[1]:
        return maps.sum() * 0.0  # two views that do not overlap
    if normalise:
        values = values / values.sum(dim=0)
    return -(values * values.log()).sum(dim=0).mean()


def class_maps(
    cross: Float[torch.Tensor, "*rows columns cells"],
    own: Float[torch.Tensor, "*rows cells cells"],
    members: Float[torch.Tensor, "classes columns"],
    power: int,
) -> Float[torch.Tensor, "*rows classes cells"]:
    """M (equation 2) of each class: the mean map of its columns, spread along self-attention, stretched to 0..1.

    members: of each class, its share of each column (rows sum to 1). power: how often A_self is applied.
    """
    maps = members @ cross
    for _ in range(power):
        maps = maps @ own.mT
    low, high = maps.amin(dim=-1, keepdim=True), maps.amax(dim=-1, keepdim=True)
    return (maps - low) / (high - low).clamp_min(LEAST)


SHARPNESS = 10.0


def shares(maps: Float[torch.Tensor, "*rows classes cells"]) -> Float[torch.Tensor, "*rows classes cells"]:
    """Each class's share of every cell, by a softmax of SHARPNESS times its map. Not InvSeg's: see `normalise`."""
    return (SHARPNESS * maps).softmax(dim=-2)


def enlarge_own(own: Float[torch.Tensor, "rows cells cells"], grid: tuple[int, int], side: int) -> torch.Tensor:
    """Self-attention of a grid interpolated to side x side, for the cell that asks and for those asked alike; each row
    sums to 1 again."""
    size = (side, side)

    def bigger(values: torch.Tensor) -> torch.Tensor:  # [rows, cells, ...] -> [rows, side^2, ...]
        flat = values.unflatten(1, grid).permute(0, 3, 1, 2)
        big = torch.nn.functional.interpolate(flat, size=size, mode="bilinear", align_corners=False)
        return big.flatten(2).transpose(1, 2)

    asked = bigger(own.transpose(1, 2)).transpose(1, 2)  # [rows, cells, side^2]
    big = bigger(asked)
    return big / big.sum(dim=-1, keepdim=True)
