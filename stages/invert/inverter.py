"""What an inverter is: a new kind is a module with `learn`, and its model in `recipe.py`, which names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from stages.artifacts.kept import Kept
    from stages.models.face import DiffusionModel
    from stages.models.inputs import Inputs


@dataclass(frozen=True)
class Learned:
    """What one image taught the words of its text, or of one window of a long text."""

    vectors: tuple[Float[torch.Tensor, "_tokens _width"], ...]
    """Of the tokens that learned, on the CPU: by encoder their input embeddings; or, where the recipe's `SPACE` is
    "output", once, what the denoiser is given of them."""
    tokens: tuple[tuple[int, ...], ...]
    """Likewise, their positions in the encoded text, special tokens counted; or the denoiser's context columns."""
    joined: tuple[tuple[tuple[int, ...], ...], ...]
    """Likewise, the words that became one token: the positions of their pieces before that."""
    drift: tuple[Float[torch.Tensor, " _tokens"], ...]
    """Likewise, how far each vector went from where it began, in lengths of the first one."""
    losses: tuple[float, ...]
    """Mean loss of each step taken."""


def drift(
    first: Float[torch.Tensor, "tokens width"], last: Float[torch.Tensor, "tokens width"]
) -> Float[torch.Tensor, " tokens"]:
    """How far each vector went, in lengths of the first one."""
    return (last - first).norm(dim=-1) / first.norm(dim=-1).clamp_min(1e-12)


class Module(Protocol):
    """What the module of an inverter's recipe offers."""

    def learn(
        self,
        model: DiffusionModel,
        inputs: Inputs,
        texts: Sequence[str],
        sample_ids: Sequence[str],
        settings: Any,
        kept: Kept,
    ) -> list[Learned]:
        """What each row of the inputs learns (texts, sample_ids: each row's own), whatever its company. kept: where an
        earlier run was killed, and where to leave how far this one has come."""
