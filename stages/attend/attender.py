"""What an attender is: a new kind is a module with `average`, and its model in `recipe.py`, which names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from stages.attend.averager import Averager
    from stages.models.face import Condition, DiffusionModel
    from stages.models.noise_path import Level
    from stages.models.reading import AttentionReader


class Module(Protocol):
    """What the module of an attender's recipe offers."""

    def levels(self, model: DiffusionModel, settings: Any) -> Sequence[Level]:
        """Those whose maps count, rising."""

    def average(
        self,
        reader: AttentionReader,
        latents: Float[torch.Tensor, "images channels h w"],
        condition: Condition,
        sample_ids: Sequence[str],
        settings: Any,
        *,
        rows: int,
    ) -> Averager:
        """The maps of a batch of images, one a column of the condition, averaged over passes. rows: latents a pass."""
