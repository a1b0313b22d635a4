"""What the embedded SAM is trained to make small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.training.training import GROUND_OWNER

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int, UInt8


def mask_loss(
    logits: Float[torch.Tensor, "n m s s"], masks: Float[torch.Tensor, "n s s"]
) -> tuple[Float[torch.Tensor, "n m"], Float[torch.Tensor, "n m"]]:
    """20 focal (γ = 2, α = .25) + dice for each output, and each output's IoU with the truth."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    truth = masks[:, None].expand_as(logits)
    entropy = binary_cross_entropy_with_logits(logits, truth, reduction="none")
    share = logits.sigmoid()
    missed = share + truth - 2 * share * truth  # 1 − p of the true class
    focal = ((0.75 - 0.5 * truth) * missed.square() * entropy).mean((-2, -1))
    both, sizes = (share * truth).sum((-2, -1)), share.sum((-2, -1)) + truth.sum((-2, -1))
    dice = 1 - (2 * both + 1) / (sizes + 1)
    with torch.no_grad():
        hard, real = logits > 0, truth > 0.5
        iou = (hard & real).sum((-2, -1)) / (hard | real).sum((-2, -1)).clamp(min=1)
    return 20 * focal + dice, iou


def dense_loss(
    predicted: Float[torch.Tensor, "b 3 s s"],
    owner: UInt8[torch.Tensor, "b s s"],
    corners: Int[torch.Tensor, "b 2"] | None = None,
    whole: int | None = None,
) -> Float[torch.Tensor, ""]:
    """Per pixel: is it an object (cross-entropy), and where is that object's centre (L1 in half image sides).

    corners: (x, y) of the view in the whole image, which is `whole` pixels wide; default: the view is all of it.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    side = owner.shape[-1]
    line = (2 * torch.arange(side, device=owner.device) + 1) / (whole or side) - 1
    shift = torch.zeros(len(owner), 2, device=owner.device) if corners is None else 2 * corners / (whole or side)
    centre = torch.zeros_like(predicted[:, 1:])
    thing = owner < GROUND_OWNER
    for number in range(int(owner[thing].max()) + 1 if thing.any() else 0):
        mine = (owner == number).float()
        size = mine.sum((-2, -1)).clamp(min=1)
        x, y = (mine.sum(-2) @ line) / size, (mine.sum(-1) @ line) / size
        centre += (torch.stack([x, y], dim=1) + shift)[:, :, None, None] * mine[:, None]
    objectness = binary_cross_entropy_with_logits(predicted[:, 0], thing.float())
    off = (predicted[:, 1:] - centre).abs().sum(1) * thing
    return objectness + 3 * off.sum() / thing.sum().clamp(min=1)
