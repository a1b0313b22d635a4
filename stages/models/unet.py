"""Latent diffusion UNets with one text encoder: Stable Diffusion 1.x and 2.x, LDM text-to-image, the embedded model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from stages.models.attention import CpuAttention, text_layers
from stages.models.face import Condition
from stages.models.latent_model import LatentModel, Loaded, states_of
from stages.models.noise_path import DdpmPath
from stages.models.tokens import TokenizerOf, Tokens, window_of

if TYPE_CHECKING:
    from jaxtyping import Float


class UNet(LatentModel):
    """UNet2DConditionModel, AutoencoderKL or VQModel, CLIP or LDMBert, and a DDPM noise schedule."""

    path: DdpmPath

    def __init__(self, loaded: Loaded) -> None:
        unet = loaded.modules["unet"]
        encoders = {part: module for part, module in loaded.modules.items() if part in loaded.tokenizers}
        size = loaded.latent_size(int(unet.config.sample_size), 2 ** (len(unet.down_blocks) - 1))
        if loaded.device.type == "cpu":
            unet.set_attn_processor(CpuAttention())
        else:
            unet.to(memory_format=torch.channels_last)
        super().__init__(
            loaded,
            denoiser=unet,
            encoders=list(encoders.values()),
            tokenizers=[
                TokenizerOf(loaded.tokenizers[part], window_of(loaded.tokenizers[part], encoder), loaded.device)
                for part, encoder in encoders.items()
            ],
            path=DdpmPath.from_folder(loaded.folder / "scheduler"),
            latent_size=size,
            layers=text_layers(unet, size),
        )

    @property
    def unet(self) -> Any:
        return self.denoiser

    @unet.setter
    def unet(self, unet: Any) -> None:
        self.denoiser = unet

    @property
    def smallest_image(self) -> tuple[int, int]:
        side = self.factor * int(2 ** (len(self.unet.down_blocks) - 1))
        return side, side

    def _denoise(self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition) -> torch.Tensor:
        if self.device.type != "cpu":  # on a CPU, bfloat16 group norms lose more by it than convolutions gain
            latents = latents.contiguous(memory_format=torch.channels_last)
        context = condition.context.to(self.unet.dtype)
        predicted: torch.Tensor = self.unet(latents, timesteps, context, return_dict=False, **self._beside(condition))[
            0
        ]
        return predicted

    def _beside(self, condition: Condition) -> dict[str, Any]:
        """What else the UNet is given."""
        return {}


class UNetModel(UNet):
    """One text encoder, whose last hidden states are the context."""

    default_side = 16

    @property
    def encoder(self) -> Any:
        return self.encoders[0]

    @encoder.setter
    def encoder(self, encoder: Any) -> None:
        self.encoders[0] = encoder

    @property
    def tokenizer(self) -> TokenizerOf:
        return self.tokenizers[0]

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        """The encoder's last hidden states. Padding tokens take part, as in the pipelines that these models were
        trained for."""
        (encoding,), (given,) = tokens.encodings, embeddings
        return Condition(states_of(self.encoder, encoding.input_ids, given)[0])
