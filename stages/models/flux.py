"""FLUX.1 (Black Forest Labs, 2024): T5's tokens and image cells in one attention, first in two streams, then in one."""

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

SIDE = 128
"""Of latents, as its pipeline draws images; the model itself names none."""
WINDOW, WINDOW_OF_SCHNELL = 512, 256
"""Tokens of a text for T5."""
GUIDANCE = 1.0
"""What dev is told: the conditional prediction alone, as everywhere in inversion. (ConceptAttention gives 0, Seg4Diff
3.5, which is the pipeline's for drawing.)"""


class FluxModel(LatentModel):
    """T5 names the words; CLIP's pooled state goes into the modulation, so no word of it has a column.

    Latents are those of the autoencoder: two by two become a cell only for the transformer.
    """

    path: FlowPath
    guided = False
    channels_a_latent = 4

    def __init__(self, loaded: Loaded) -> None:
        transformer = loaded.modules["transformer"]
        size = loaded.latent_size(SIDE, 2)
        grid = size[0] // 2, size[1] // 2
        self.pooling = loaded.modules["text_encoder"]
        first, second = loaded.tokenizers["text_encoder"], loaded.tokenizers["text_encoder_2"]
        window = WINDOW if transformer.config.guidance_embeds else WINDOW_OF_SCHNELL
        names = [
            f"{blocks}.{n}.attn"
            for blocks in ("transformer_blocks", "single_transformer_blocks")
            for n in range(len(getattr(transformer, blocks)))
        ]
        super().__init__(
            loaded,
            denoiser=transformer,
            encoders=[loaded.modules["text_encoder_2"]],
            tokenizers=[TokenizerOf(second, min(window, second.model_max_length), loaded.device, begins=False)],
            silent=[TokenizerOf(first, window_of(first, self.pooling), loaded.device)],
            path=FlowPath.from_folder(loaded.folder / "scheduler", grid[0] * grid[1]),
            latent_size=size,
            # A single block projects attention and feed-forward together: its heads have no projection of their own.
            layers=tuple(
                Layer(name, grid, JOINT - {"image-to-text by output"} if name.startswith("single") else JOINT)
                for name in names
            ),
        )

    @property
    def smallest_image(self) -> tuple[int, int]:
        return self.factor * 2, self.factor * 2

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        (encoding,), (given,), (pooling,) = tokens.encodings, embeddings, tokens.silent
        context = states_of(self.encoders[0], encoding.input_ids, given)[0]
        return Condition(context, {"pooled": self.pooling(pooling.input_ids).pooler_output})

    def _denoise(self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition) -> torch.Tensor:
        dtype, (height, width) = self.denoiser.dtype, latents.shape[-2:]
        cells = torch.zeros(height // 2, width // 2, 3, device=latents.device)
        cells[..., 1] = torch.arange(height // 2, device=latents.device)[:, None]
        cells[..., 2] = torch.arange(width // 2, device=latents.device)
        guidance = torch.full((len(latents),), GUIDANCE, device=latents.device)
        predicted: torch.Tensor = self.denoiser(
            hidden_states=packed(latents),
            encoder_hidden_states=condition.context.to(dtype),
            pooled_projections=condition.extras["pooled"].to(dtype),
            timestep=self.path.shares(timesteps),
            img_ids=cells.flatten(0, 1),
            txt_ids=cells.new_zeros(condition.context.shape[1], 3),
            guidance=guidance if self.denoiser.config.guidance_embeds else None,
            return_dict=False,
        )[0]
        return unpacked(predicted, height, width)

    def _look(self, condition: Condition) -> Callable[..., LayerAttention]:
        return partial(JointAttention, columns=condition.context.shape[1], text_first=True)

    def facts(self) -> dict[str, str]:
        return {**super().facts(), "text encoder 2": f"{type(self.pooling).__name__}, pooled: it names no word"}


def packed(latents: Float[torch.Tensor, "rows channels h w"]) -> Float[torch.Tensor, "rows cells packed"]:
    """Two by two latents a cell, channel by channel."""
    split = latents.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))  # [rows, channels, h/2, 2, w/2, 2]
    return split.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpacked(
    cells: Float[torch.Tensor, "rows cells packed"], height: int, width: int
) -> Float[torch.Tensor, "rows channels h w"]:
    """`packed`, undone."""
    split = cells.unflatten(2, (-1, 2, 2)).unflatten(1, (height // 2, width // 2))  # [rows, h/2, w/2, channels, 2, 2]
    return split.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
