"""Stable Diffusion 3 and 3.5 (Esser et al., 2024): image and text in one attention, a straight path to noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from stages.models.attention import LayerAttention
from stages.models.face import Condition, Layer
from stages.models.joint_attention import JOINT, JointAttention
from stages.models.latent_model import LatentModel, Loaded, states_of
from stages.models.noise_path import FlowPath
from stages.models.tokens import TokenizerOf, Tokens, window_of

if TYPE_CHECKING:
    from jaxtyping import Float

WINDOW = 256
"""Tokens of a text for T5, as the pipeline cuts them."""


class Sd3Model(LatentModel):
    """Two CLIP encoders side by side, padded to T5's width, then T5, whose 4.7 B parameters one may do without (a
    `null` in model_index.json): its columns are then zeros.

    A word learns a vector in each encoder, and has two columns a piece: CLIP's and T5's.
    """

    path: FlowPath

    def __init__(self, loaded: Loaded) -> None:
        transformer = loaded.modules["transformer"]
        patch = int(transformer.config.patch_size)
        size = loaded.latent_size(int(transformer.config.sample_size), patch)
        grid = size[0] // patch, size[1] // patch
        encoders = {part: loaded.modules[part] for part in loaded.tokenizers}
        tokenizers: list[TokenizerOf] = []
        column = 0
        for part, encoder in encoders.items():
            own = loaded.tokenizers[part]
            if part == "text_encoder_3":
                column, window = tokenizers[0].window, min(WINDOW, own.model_max_length)
            else:
                window = window_of(own, encoder)
            tokenizers.append(
                TokenizerOf(own, window, loaded.device, first_column=column, begins=part != "text_encoder_3")
            )
        super().__init__(
            loaded,
            denoiser=transformer,
            encoders=list(encoders.values()),
            tokenizers=tokenizers,
            path=FlowPath.from_folder(loaded.folder / "scheduler", grid[0] * grid[1]),
            latent_size=size,
            # A block's attn2, where it has one, is the image's own attention once more.
            layers=tuple(
                Layer(f"transformer_blocks.{n}.attn", grid, JOINT) for n in range(len(transformer.transformer_blocks))
            ),
        )

    @property
    def smallest_image(self) -> tuple[int, int]:
        side = self.factor * int(self.denoiser.config.patch_size)
        return side, side

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        """CLIP's states before the last layer, T5's last; both CLIP encoders' pooled states."""
        given = list(zip(self.encoders, tokens, embeddings, strict=True))
        clip = [states_of(one, encoding.input_ids, own, output_hidden_states=True) for one, encoding, own in given[:2]]
        states = torch.cat([one.hidden_states[-2] for one in clip], dim=-1)
        width = int(self.denoiser.config.joint_attention_dim)
        states = torch.nn.functional.pad(states, (0, width - states.shape[-1]))
        if len(given) > 2:
            encoder, encoding, own = given[2]
            more = states_of(encoder, encoding.input_ids, own)[0]
        else:
            more = states.new_zeros(len(states), WINDOW, width)
        pooled = torch.cat([one.text_embeds for one in clip], dim=-1)
        return Condition(torch.cat([states, more], dim=1), {"pooled": pooled})

    def _denoise(self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition) -> torch.Tensor:
        dtype = self.denoiser.dtype
        predicted: torch.Tensor = self.denoiser(
            hidden_states=latents,
            encoder_hidden_states=condition.context.to(dtype),
            pooled_projections=condition.extras["pooled"].to(dtype),
            timestep=1000 * self.path.shares(timesteps),
            return_dict=False,
        )[0]
        return predicted

    def _look(self, condition: Condition) -> Callable[..., LayerAttention]:
        return partial(JointAttention, columns=condition.context.shape[1], text_first=False)
