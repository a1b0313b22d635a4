"""Points to train the embedded SAM with, drawn from true masks as in Segment Anything's interactive training.

Masks are float tensors of zeros and ones, [n, h, w]; points are [n, k, 2] as (x, y) in pixels, a pixel's centre
having whole coordinates, and labels [n, k] are 1 (inside) or 0 (outside).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int

_LITTLE = 1e-6  # weight of the fallback region: taken only where the wanted one is empty
_NOTHING = 1e-12  # and of everything else


def draw(
    region: Float[torch.Tensor, "n h w"], count: int, generator: torch.Generator
) -> Float[torch.Tensor, "n count 2"]:
    """Points spread evenly over each region (anywhere, for an empty one), up to half a pixel off pixel centres."""
    import torch

    width = region.shape[-1]
    flat = torch.multinomial(region.flatten(1) + _NOTHING, count, replacement=True, generator=generator)
    points = torch.stack([flat % width, flat // width], dim=-1).float()
    return points + torch.rand(points.shape, generator=generator, device=points.device) - 0.5


def grown(masks: Float[torch.Tensor, "n h w"], pixels: int) -> Float[torch.Tensor, "n h w"]:
    """Masks widened by a square of `pixels` on every side."""
    from torch.nn.functional import max_pool2d

    return max_pool2d(masks[:, None], 2 * pixels + 1, stride=1, padding=pixels)[:, 0]


def scattered(
    masks: Float[torch.Tensor, "n h w"],
    others: Float[torch.Tensor, "n h w"],
    positives: int,
    negatives: int,
    stray: bool,
    generator: torch.Generator,
) -> tuple[Float[torch.Tensor, "n k 2"], Int[torch.Tensor, "n k"]]:
    """Points inside each mask and outside it, the latter in `others` where that is not empty.

    With `stray` the last positive may lie up to three pixels outside, as points from attention maps do.
    """
    import torch

    points = [draw(masks, positives, generator)]
    if stray:
        points = [points[0][:, :-1], draw(grown(masks, 3), 1, generator)]
    if negatives:
        points.append(draw(others + _LITTLE * (1 - masks), negatives, generator))
    labels = torch.tensor([1] * positives + [0] * negatives, dtype=torch.int, device=masks.device)
    return torch.cat(points, dim=1), labels.expand(len(masks), -1)


def joined(
    masks: Float[torch.Tensor, "n h w"],
    partners: Float[torch.Tensor, "n h w"],
    more: int,
    generator: torch.Generator,
) -> tuple[Float[torch.Tensor, "n k 2"], Int[torch.Tensor, "n k"]]:
    """Positives in two regions that are to be cut out together: one in each, `more` in either."""
    import torch

    parts = [draw(masks, 1, generator), draw(partners, 1, generator)]
    if more:
        parts.append(draw(torch.maximum(masks, partners), more, generator))
    points = torch.cat(parts, dim=1)
    return points, torch.ones(points.shape[:2], dtype=torch.int, device=masks.device)


def corrections(
    predicted: Float[torch.Tensor, "n h w"],
    masks: Float[torch.Tensor, "n h w"],
    count: int,
    generator: torch.Generator,
) -> tuple[Float[torch.Tensor, "n count 2"], Int[torch.Tensor, "n count"]]:
    """Points where a prediction errs: positive where it misses the object, negative where it overflows.

    A faultless prediction gets positives inside the mask.
    """
    wrong = (predicted - masks).abs()
    points = draw(wrong + _LITTLE * masks, count, generator)
    height, width = masks.shape[-2:]
    column = points[..., 0].round().long().clamp(0, width - 1)
    row = points[..., 1].round().long().clamp(0, height - 1)
    inside = masks.flatten(1).gather(1, row * width + column)
    return points, inside.int()
