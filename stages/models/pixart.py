"""PixArt-Σ (Chen et al., 2024) and PixArt-α: a transformer whose image cells attend to T5's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.models.face import ALL, Condition, Layer
from stages.models.latent_model import LatentModel, Loaded, states_of
from stages.models.noise_path import DdpmPath
from stages.models.tokens import TokenizerOf, Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

WINDOW, WINDOW_OF_ALPHA = 300, 120
"""Tokens of a text, as the pipelines cut them."""


class PixArtModel(LatentModel):
    """One T5 encoder; padding is masked in it and in the denoiser's attention."""

    def __init__(self, loaded: Loaded) -> None:
        transformer, tokenizer = loaded.modules["transformer"], loaded.tokenizers["text_encoder"]
        patch = int(transformer.config.patch_size)
        size = loaded.latent_size(int(transformer.config.sample_size), patch)
        grid = size[0] // patch, size[1] // patch
        window = WINDOW_OF_ALPHA if "Alpha" in loaded.pipeline else WINDOW
        super().__init__(
            loaded,
            denoiser=transformer,
            encoders=[loaded.modules["text_encoder"]],
            tokenizers=[
                TokenizerOf(tokenizer, min(window, tokenizer.model_max_length), loaded.device, begins=False),
            ],
            path=DdpmPath.from_folder(loaded.folder / "scheduler"),
            latent_size=size,
            layers=tuple(
                Layer(f"transformer_blocks.{n}.attn2", grid, ALL) for n in range(len(transformer.transformer_blocks))
            ),
        )

    @property
    def smallest_image(self) -> tuple[int, int]:
        side = self.factor * int(self.denoiser.config.patch_size)
        return side, side

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        (encoding,), (given,) = tokens.encodings, embeddings
        mask = (encoding.input_ids != encoding.padding_id).long()
        context = states_of(self.encoders[0], encoding.input_ids, given, attention_mask=mask)[0]
        extras = {"mask": mask}
        if self.denoiser.use_additional_conditions:
            height, width = self.image_size
            size = torch.tensor([[height, width, height / width]], device=self.device).expand(len(mask), -1)
            extras |= {"resolution": size[:, :2], "aspect_ratio": size[:, 2:]}
        return Condition(context, extras)

    def _denoise(self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition) -> torch.Tensor:
        sizes = {name: condition.extras.get(name) for name in ("resolution", "aspect_ratio")}
        predicted: torch.Tensor = self.denoiser(
            latents,
            encoder_hidden_states=condition.context.to(self.denoiser.dtype),
            encoder_attention_mask=condition.extras["mask"],
            timestep=timesteps,
            added_cond_kwargs=sizes,
            return_dict=False,
        )[0]
        return predicted[:, : latents.shape[1]]  # the other half of the channels is the noise's learned spread
