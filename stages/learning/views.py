"""Random views of an image, and their maps laid back upon it (InvSeg, "Entropy Minimization")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from stages.artifacts.seeds import seed_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

RATIO = 4 / 3
"""Most that a view's sides may be stretched against each other, as torchvision's RandomResizedCrop has it."""


@dataclass(frozen=True)
class View:
    """A rectangle of the image, in 0..1 of its sides."""

    top: float
    left: float
    height: float
    width: float

    def cut(self, pixels: Float[torch.Tensor, "channels height width"]) -> Float[torch.Tensor, "channels height width"]:
        """What the view shows, at the image's own size."""
        rows, columns = pixels.shape[-2:]
        top, left = round(self.top * rows), round(self.left * columns)
        height, width = max(1, round(self.height * rows)), max(1, round(self.width * columns))
        part = pixels[:, top : top + height, left : left + width]
        resized = torch.nn.functional.interpolate(
            part[None], size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        return resized[0]

    def lay_back(
        self, maps: Float[torch.Tensor, "classes height width"]
    ) -> tuple[Float[torch.Tensor, "classes height width"], Bool[torch.Tensor, "height width"]]:
        """The view's maps on the image's cells, as many as the view has, and which of the image's cells it shows."""
        rows, columns = maps.shape[-2:]

        def places(cells: int, begin: float, length: float) -> torch.Tensor:
            """Of the image's cells along a side, their centres in -1..1 of the view."""
            centres = (torch.arange(cells, device=maps.device) + 0.5) / cells
            return 2 * (centres - begin) / length - 1

        y, x = places(rows, self.top, self.height), places(columns, self.left, self.width)
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None].to(maps.dtype)
        laid = torch.nn.functional.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0]
        return laid, (y.abs() <= 1)[:, None] & (x.abs() <= 1)


def draw_views(seed: int, sample_id: str, name: str | int, count: int, least: float) -> list[View]:
    """Random resized crops of one image, each of at least the share `least` of its area."""
    generator = torch.Generator().manual_seed(seed_of(seed, "invert", sample_id, "views", name))
    return [_draw(generator, least) for _ in range(count)]


def _draw(generator: torch.Generator, least: float) -> View:
    area, ratio, down, across = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    area = least + area * (1 - least)
    # Of the ratios allowed, those with which a rectangle of this area fits in: none is drawn in vain.
    most = min(math.log(RATIO), -math.log(area))
    stretch = math.exp((2 * ratio - 1) * most / 2)
    height, width = math.sqrt(area) / stretch, math.sqrt(area) * stretch
    return View(down * (1 - height), across * (1 - width), height, width)


def together(
    maps: Float[torch.Tensor, "views classes height width"], views: list[View]
) -> tuple[Float[torch.Tensor, "classes height width"], Bool[torch.Tensor, "height width"]]:
    """The mean of the views' maps, laid back upon the image, and where all of them show it."""
    laid, seen = zip(*(view.lay_back(own) for own, view in zip(maps, views, strict=True)), strict=True)
    return torch.stack(laid).mean(dim=0), torch.stack(seen).all(dim=0)
