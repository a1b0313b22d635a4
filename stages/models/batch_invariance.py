"""One row alone through a denoiser on a CPU, rounded as the same row in company.

With several rows, each row's result is the same bit for bit, whatever the others are and however many. A lone row
differs in one place only: the layers of the timestep's embedding see a single vector, for which the CPU's library has
another kernel, that sums in another order. In bfloat16 that is enough to move a point across an object's edge, so an
image alone would now and then get another mask than in a batch.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from jaxtyping import Float


_OF_TIME = re.compile(
    r"(^|\.)(time_embedding|time_emb_proj|add_embedding|adaln_single|time_text_embed)(\.|$)|(^|\.)norm\w*\.linear$"
)
"""In the names of layers that see a vector a row, not one a place."""


def as_in_company(denoiser: Any) -> None:
    """Give the layers of a denoiser's timestep embedding the kernel for several rows, also where there is one."""
    for name, module in denoiser.named_modules():
        if isinstance(module, torch.nn.Linear) and _OF_TIME.search(name):
            module.__dict__["forward"] = partial(_forward, module)  # an instance's own comes before its class's


def _forward(linear: torch.nn.Linear, values: Float[torch.Tensor, "rows width"]) -> Float[torch.Tensor, "rows out"]:
    rows = values.expand(2, -1) if len(values) == 1 else values
    return torch.nn.functional.linear(rows, linear.weight, linear.bias)[: len(values)]
