"""How much each attention layer counts for an image (GoCA, CVPR 2026: layer aggregation).

Cells that are alike by a reference layer's features ought to attend to one another. A layer counts by how far its own
self-attention does so: w = sum(P * S), where P = softmax(R R^T / sqrt(d)) of the features R and S is the layer's
self-attention; the weights of all layers add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Float


def layer_weights(
    features: Float[torch.Tensor, "rows height width channels"],
    own: Sequence[Float[torch.Tensor, "rows _cells _cells"]],
    grids: Sequence[tuple[int, int]],
) -> Float[torch.Tensor, "layers rows"]:
    """Weights of layers from the features of the reference and each layer's self-attention on its grid."""
    flat = features.flatten(1, 2)
    alike = (flat @ flat.transpose(1, 2) / flat.shape[-1] ** 0.5).softmax(dim=-1)
    size = features.shape[1:3]
    found = [(alike * _resized(one, grid, size)).sum(dim=(1, 2)) for one, grid in zip(own, grids, strict=True)]
    weights = torch.stack(found).clamp_min(0)
    return weights / weights.sum(dim=0).clamp_min(1e-12)


def _resized(
    own: Float[torch.Tensor, "rows cells cells"], grid: tuple[int, int], size: Sequence[int]
) -> Float[torch.Tensor, "rows others others"]:
    """Self-attention on another grid: shares are interpolated, the cells that ask repeated."""
    if grid == tuple(size):
        return own
    interpolate = torch.nn.functional.interpolate
    shares = interpolate(own.unflatten(2, grid), size=tuple(size), mode="bilinear").flatten(2)  # [rows, cells, others]
    return interpolate(shares.transpose(1, 2).unflatten(2, grid), size=tuple(size)).flatten(2).transpose(1, 2)
