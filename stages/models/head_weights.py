"""How much each head of an attention layer counts, cell by cell (GoCA, CVPR 2026: head aggregation).

A layer's output is the sum of what its heads contribute through the output projection. A head counts by how much its
own contribution goes along with that sum: w_n = <u_n, u> / <u, u>, where u is the sum of the u_n; the weights of a cell
add up to 1, and a head that works against the others counts negatively.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Float


def head_weights(
    outputs: Float[torch.Tensor, "rows heads cells width"], projection: Float[torch.Tensor, "channels joined"]
) -> Float[torch.Tensor, "rows heads cells"]:
    """Weights of the heads from what each returns at each cell, before the output projection.

    projection: its weight, the heads' widths side by side; without its bias, which is no head's. No head's contribution
    is made by itself: <u_n, u> is the head's output times that head's part of u sent back through the projection.
    """
    joined = outputs.transpose(1, 2).flatten(2)
    total = joined @ projection.T.to(joined)
    back = (total @ projection.to(joined)).unflatten(2, (outputs.shape[1], -1)).transpose(1, 2)
    share = (outputs * back).sum(dim=-1)
    return share / total.square().sum(dim=-1)[:, None].clamp_min(1e-12)


def by_output(
    shares: Float[torch.Tensor, "rows heads cells columns"],
    outputs: Float[torch.Tensor, "rows heads cells width"],
    projection: Float[torch.Tensor, "channels joined"],
) -> Float[torch.Tensor, "rows cells columns"]:
    """A layer's attention, its heads weighed by `head_weights`."""
    return (head_weights(outputs, projection)[..., None] * shares).sum(dim=1)
