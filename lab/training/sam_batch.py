"""Batches that the embedded SAM learns from: scenes, whole or in part, and regions of them to prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from lab.training.training import GROUND_OWNER, owners
from stages.world.scene import SMALL, Scene, scene

if TYPE_CHECKING:
    from jaxtyping import Bool

View = Literal["halved", "part", "whole"]
"""Scenes at half their size; quarters of scenes at full size; whole scenes. A step costs about 1 : 1 : 3."""
SCENES, PROMPTS = 8, 3
PART = 64
_STEP = 32  # parts begin at multiples of this, where the encoder's windows do
_MEETINGS = {"touching", "covering", "inside"}
_LEAST, _MOST = 20, 0.95  # pixels of a region, and its share of the view


class Batch:
    """Scenes on the training device, with the regions to prompt. All of it follows from (seed, step)."""

    def __init__(self, step: int, where: str, view: View, seed: int = 0) -> None:
        import torch

        rng = np.random.default_rng((seed, step))
        images, owner, corners = [], [], []
        masks: list[np.ndarray] = []
        others: list[np.ndarray] = []
        partners: list[np.ndarray] = []
        for number in range(SCENES):
            one = scene("train", step * SCENES + number)
            x, y = _corner(one, rng) if view == "part" else (0, 0)
            side = PART if view == "part" else len(one.image)
            seen = np.s_[y : y + side, x : x + side]
            owned = owners(one)[seen]
            regions, weights, objects = _regions(one, seen)
            for choice in rng.choice(len(regions), PROMPTS, p=weights):
                masks.append(regions[choice])
                others.append((owned < GROUND_OWNER) & ~regions[choice])
                partners.append(regions[int(rng.integers(objects))] if objects else regions[choice])
            images.append(one.image[seen])
            owner.append(owned)
            corners.append((x, y))
        self.view, self.rng = view, rng
        self.images = torch.from_numpy(np.stack(images)).to(where).permute(0, 3, 1, 2).float()
        self.owner = torch.from_numpy(np.stack(owner)).to(where)
        self.corners = torch.tensor(corners, device=where)
        """(x, y) of the view in its scene."""
        self.masks = torch.from_numpy(np.stack(masks)).to(where).float()
        # Negatives from other objects in half of the steps, from anywhere outside in the other half.
        stacked = np.stack(others) if rng.random() < 0.5 else ~np.stack(masks)
        self.others = torch.from_numpy(stacked).to(where).float()
        self.partners = torch.from_numpy(np.stack(partners)).to(where).float()
        self.generator = torch.Generator(device=where).manual_seed(seed * 1_000_003 + step)


def _corner(one: Scene, rng: np.random.Generator) -> tuple[int, int]:
    """x and y of a part of a scene that shows most of some object, hard ones more often."""
    weights = np.array(_hardness(one))
    chosen = one.instances[int(rng.choice(len(weights), p=weights / weights.sum()))]
    corner = []
    for centre in reversed([float(np.mean(axis)) for axis in np.nonzero(chosen.mask)]):
        starts = range(0, len(one.image) - PART + 1, _STEP)
        near = [start for start in starts if start + 8 <= centre < start + PART - 8]
        corner.append(int(rng.choice(near)) if near else min(starts, key=lambda s: abs(s + PART / 2 - centre)))
    return corner[0], corner[1]


def _hardness(one: Scene) -> list[float]:
    """How often each object is prompted: small ones and those that meet another are the ones mistaken for more."""
    met = {i for relation in one.relations if relation.kind in _MEETINGS for i in (relation.subject, relation.object)}
    return [(2.0 if instance.small else 1.0) * (4.0 if i in met else 1.0) for i, instance in enumerate(one.instances)]


def _regions(one: Scene, seen: tuple[slice, slice]) -> tuple[list[Bool[np.ndarray, "s s"]], np.ndarray, int]:
    """The regions of a view, how often each is prompted, and how many of them, the first ones, are objects."""
    regions, weights = [], []
    for instance, weight in zip(one.instances, _hardness(one), strict=True):
        mask = instance.mask[seen]
        if mask.sum() >= _LEAST:
            regions.append(mask)
            weights.append(weight)
    objects = len(regions)
    for ground in one.grounds:
        mask = ground.mask[seen]
        if SMALL < mask.mean() < _MOST:
            regions.append(mask)
            weights.append(0.35)
    if not regions:  # a view of one ground alone
        regions, weights = [max((ground.mask[seen] for ground in one.grounds), key=np.sum)], [1.0]
    return regions, np.array(weights) / sum(weights), objects
