"""Stable Diffusion XL (Podell et al., 2023) and what has its parts: SSD-1B, turbo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from stages.models.face import Condition
from stages.models.latent_model import states_of
from stages.models.tokens import Tokens
from stages.models.unet import UNet

if TYPE_CHECKING:
    from jaxtyping import Float


class SdxlModel(UNet):
    """Two CLIP text encoders with the same tokens at the same places, their states side by side.

    A word learns a vector in each encoder. Beside the context the UNet is given the second encoder's pooled state, and
    the image's size, its place in a larger one (none) and the size that is asked for, as `StableDiffusionXLPipeline`
    gives them.
    """

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        """Both encoders' states before their last layer. The empty text is zeros, as these models were trained without
        a text."""
        found = [
            states_of(encoder, encoding.input_ids, given, output_hidden_states=True)
            for encoder, encoding, given in zip(self.encoders, tokens, embeddings, strict=True)
        ]
        context = torch.cat([one.hidden_states[-2] for one in found], dim=-1)
        pooled = found[1].text_embeds
        said = (tokens.encodings[0].input_ids != self.empty.encodings[0].input_ids).any(dim=1).to(context)
        size = (*self.image_size, 0, 0, *self.image_size)
        sizes = torch.tensor([size], dtype=context.dtype, device=context.device).expand(len(context), -1)
        return Condition(context * said[:, None, None], {"pooled": pooled * said[:, None], "sizes": sizes})

    def _beside(self, condition: Condition) -> dict[str, Any]:
        return {
            "added_cond_kwargs": {
                "text_embeds": condition.extras["pooled"].to(self.unet.dtype),
                "time_ids": condition.extras["sizes"],
            }
        }
