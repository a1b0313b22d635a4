"""Latent diffusion UNets with one text encoder: Stable Diffusion 1.x and 2.x, LDM text-to-image, the embedded model."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from stages.artifacts import ModelRecord
from stages.models.attention import CpuAttention, Recorder, Stop, text_layers
from stages.models.batch_invariance import as_in_company
from stages.models.face import Condition, DiffusionModel, Layer, Read, Readings
from stages.models.noise_path import DdpmPath
from stages.models.tokens import Encoding, TokenizerOf, Tokens, tokenize, window_of

if TYPE_CHECKING:
    from jaxtyping import Float


class UNetModel(DiffusionModel):
    """UNet2DConditionModel, AutoencoderKL or VQModel, CLIPTextModel or LDMBertModel, and a DDPM noise schedule."""

    def __init__(
        self,
        *,
        record: ModelRecord,
        unet: Any,
        autoencoder: Any,
        encoder: Any,
        tokenizer: Any,
        path: DdpmPath,
        latent_size: tuple[int, int],
        device: torch.device,
        world: str | None,
    ) -> None:
        """The modules are frozen and moved to `device`. latent_size: rows and columns of latents."""
        for module in (unet, autoencoder, encoder):
            module.to(device).eval().requires_grad_(False)
        if device.type == "cpu":
            unet.set_attn_processor(CpuAttention())
            as_in_company(unet)
        else:
            unet.to(memory_format=torch.channels_last)
        self.record = record
        self.unet = unet
        self.autoencoder = autoencoder
        self.encoder = encoder
        self.tokenizer = TokenizerOf(tokenizer, window_of(tokenizer, encoder), device)
        self.path: DdpmPath = path
        self.latent_size = latent_size
        self.image_size = (latent_size[0] * self.factor, latent_size[1] * self.factor)
        self.layers = text_layers(unet, latent_size)
        self.read_by_default: tuple[Layer, ...] = self.layers
        self.device = device
        self.world = world
        self._recorder: Recorder | None = None

    @property
    def factor(self) -> int:
        """Pixels a latent, along each side."""
        return int(2 ** (len(self.autoencoder.config.block_out_channels) - 1))

    @property
    def smallest_image(self) -> tuple[int, int]:
        side = self.factor * int(2 ** (len(self.unet.down_blocks) - 1))
        return side, side

    def tokenize(self, text: str) -> Tokens:
        return tokenize([self.tokenizer], text)

    @property
    def empty(self) -> Tokens:
        ids = self.tokenizer.empty_ids
        return Tokens((Encoding(ids, (((0, 0),) * ids.shape[1],)),))

    @property
    def tables(self) -> Sequence[Float[torch.Tensor, "_vocabulary _width"]]:
        return [input_embeddings(self.encoder).weight]

    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        """The encoder's last hidden states. Padding tokens take part, as in the pipelines that these models were
        trained for."""
        (encoding,), (given,) = tokens.encodings, embeddings
        if "inputs_embeds" in inspect.signature(self.encoder.forward).parameters:
            return Condition(self.encoder(inputs_embeds=given, return_dict=True)[0])
        # CLIPTextModel takes no embeddings: they replace its table's output for the length of this call.
        hook = input_embeddings(self.encoder).register_forward_hook(lambda *_: given)
        try:
            return Condition(self.encoder(input_ids=encoding.input_ids)[0])
        finally:
            hook.remove()

    def latents(self, pixels: Float[torch.Tensor, "batch 3 height width"]) -> Float[torch.Tensor, "batch channels h w"]:
        """The posterior's mean (VQ: the unquantised code) times the scaling factor."""
        with torch.no_grad():
            encoded = self.autoencoder.encode(pixels.to(self.device, torch.float32))
            latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        scaled: torch.Tensor = latents * self.autoencoder.config.scaling_factor
        return scaled

    def _pass(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
        condition: Condition,
        reads: Sequence[Read],
        *,
        stop: bool,
    ) -> tuple[Float[torch.Tensor, "rows channels h w"] | None, Readings]:
        dtype = self.unet.dtype
        latents = latents.to(dtype)
        if self.device.type != "cpu":  # on a CPU, bfloat16 group norms lose more by it than convolutions gain
            latents = latents.contiguous(memory_format=torch.channels_last)

        def predict() -> torch.Tensor:
            context = condition.context.to(dtype)
            predicted: torch.Tensor = self.unet(latents, timesteps, context, return_dict=False)[0].float()
            return predicted

        if not reads:
            return predict(), {}
        predicted = None
        with Recorder(self.unet, self.layers, reads, stop=stop) as self._recorder:
            try:
                with suppress(Stop):
                    predicted = predict()
                return predicted, self._recorder.readings()
            finally:
                self._recorder = None

    def spare(self) -> bool:
        if self.unet.is_gradient_checkpointing:
            return False
        self.unet.enable_gradient_checkpointing(self._block)
        return True

    def _block(self, block: Any, *arguments: Any) -> Any:
        """A block of the UNet that keeps its inputs alone; what was read in it is read again on the way back."""
        recorder = self._recorder

        def contexts() -> tuple[Any, Any]:
            return nullcontext(), recorder.again() if recorder else nullcontext()

        return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)

    def facts(self) -> dict[str, str]:
        channels = self.unet.config.in_channels
        table = self.tables[0]
        return {
            "images": f"{self.image_size[1]}x{self.image_size[0]} pixels",
            "latents": f"{self.latent_size[1]}x{self.latent_size[0]}x{channels} ({type(self.autoencoder).__name__})",
            "unet": f"{_millions(self.unet)} parameters",
            **self.path.facts(),
            "text encoder": f"{type(self.encoder).__name__}, {_millions(self.encoder)} parameters, "
            f"embeddings {table.shape[0]}x{table.shape[1]} of spread {float(table.std()):.4g}",
            "window": f"{self.tokenizer.window} tokens",
        }


def _millions(module: Any) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.1f} M"


def input_embeddings(encoder: Any) -> Any:
    """The table of input embeddings; LDMBert keeps it one level down, where transformers' own lookup may not see it."""
    inner = encoder.model if hasattr(encoder, "model") else encoder
    return inner.get_input_embeddings()
