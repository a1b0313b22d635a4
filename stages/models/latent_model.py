"""What latent diffusion models of all families share: an autoencoder, text encoders whose words the denoiser attends
to, and passes in which attention is read."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models.attention import CrossAttention, LayerAttention, Recorder, Stop
from stages.models.batch_invariance import as_in_company
from stages.models.cpu_bfloat16 import products
from stages.models.face import Condition, DiffusionModel, Layer, Read, Readings
from stages.models.noise_path import NoisePath
from stages.models.recipe import BackboneRecipe
from stages.models.tokens import TokenizerOf, Tokens, tokenize

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Loaded:
    """A folder's modules, by the names of its parts."""

    recipe: BackboneRecipe
    record: ModelRecord
    folder: Path
    pipeline: str
    """The class that the folder says it is of."""
    modules: Mapping[str, Any]
    tokenizers: Mapping[str, Any]
    """By the text encoder that each is of."""
    device: torch.device
    world: str | None

    def latent_size(self, default: int, multiple: int) -> tuple[int, int]:
        """Rows and columns of latents for the recipe's resolution.

        default: the side that the denoiser was trained at, in latents. multiple: of which sides must be, in latents.
        """
        factor = pixels_a_latent(self.modules[autoencoder_part(self.modules)])
        given = self.recipe.resolution
        sides = (default * factor,) * 2 if given is None else (given, given) if isinstance(given, int) else given
        step = factor * multiple
        if any(side % step for side in sides):
            said = sides[0] if sides[0] == sides[1] else "{}x{}".format(*sides)
            better = [max(step, round(side / step) * step) for side in sides]
            raise AnywordError(
                f"backbone {self.recipe.id}: resolution {said} is not a multiple of {step}.",
                remedy=f"Choose {better[0] if better[0] == better[1] else better}.",
            )
        return sides[0] // factor, sides[1] // factor


def autoencoder_part(modules: Mapping[str, Any]) -> str:
    """Which of the parts is the autoencoder."""
    return "vqvae" if "vqvae" in modules else "vae"


def pixels_a_latent(autoencoder: Any) -> int:
    """Along each side."""
    return int(2 ** (len(autoencoder.config.block_out_channels) - 1))


class LatentModel(DiffusionModel):
    """A denoiser of an autoencoder's latents that attends to what text encoders say of words."""

    default_side: int | None = None
    """Of the maps that are read where nobody says otherwise, or the next finer one that there is; None: the finest."""
    channels_a_latent: int = 1
    """How many of the denoiser's channels are one of the autoencoder's."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        denoiser: Any,
        encoders: Sequence[Any],
        tokenizers: Sequence[TokenizerOf],
        path: NoisePath,
        latent_size: tuple[int, int],
        layers: tuple[Layer, ...],
        silent: Sequence[TokenizerOf] = (),
    ) -> None:
        """The modules are frozen and moved to the device. encoders, tokenizers: of the text, in step, those that name
        words; silent: of the others. latent_size: rows and columns of latents."""
        self.denoiser = denoiser
        self.autoencoder = loaded.modules[autoencoder_part(loaded.modules)]
        for module in loaded.modules.values():
            module.to(loaded.device).eval().requires_grad_(False)
        if loaded.device.type == "cpu":
            as_in_company(denoiser)
        self.record = loaded.record
        self.device = self._computes_on = loaded.device  # an outline's fakes are on the CPU and stand for a card
        self.world = loaded.world
        self.encoders = list(encoders)
        self.tokenizers = list(tokenizers)
        self.silent = list(silent)
        self.path = path
        self.latent_size = latent_size
        self.image_size = (latent_size[0] * self.factor, latent_size[1] * self.factor)
        self.layers = layers
        self.read_by_default: tuple[Layer, ...] = layers
        self._recorder: Recorder | None = None

    @property
    def factor(self) -> int:
        """Pixels a latent, along each side."""
        return pixels_a_latent(self.autoencoder)

    @property
    def usual_side(self) -> int:
        """The side of the maps that are read where nobody says otherwise."""
        sides = sorted(layer.side for layer in self.layers)
        return next((one for one in sides if self.default_side and one >= self.default_side), sides[-1])

    def tokenize(self, text: str) -> Tokens:
        return tokenize(self.tokenizers, text, self.silent)

    @cached_property
    def empty(self) -> Tokens:
        return Tokens(*(tuple(one.empty for one in own) for own in (self.tokenizers, self.silent)))

    @property
    def tables(self) -> Sequence[Float[torch.Tensor, "_vocabulary _width"]]:
        return [input_embeddings(encoder).weight for encoder in self.encoders]

    def latents(self, pixels: Float[torch.Tensor, "batch 3 height width"]) -> Float[torch.Tensor, "batch channels h w"]:
        """The posterior's mean (VQ: the unquantised code), shifted and scaled as the denoiser was trained on."""
        with torch.no_grad():
            encoded = self.autoencoder.encode(pixels.to(self.device, torch.float32))
            latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        shift = getattr(self.autoencoder.config, "shift_factor", None)
        scaled: torch.Tensor = (latents - shift if shift else latents) * self.autoencoder.config.scaling_factor
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
        latents = latents.to(self.denoiser.dtype)
        if not reads:
            with self._products():
                return self._denoise(latents, timesteps, condition).float(), {}
        predicted = None
        recorder = Recorder(self.denoiser, self.layers, reads, stop=stop, look=self._look(condition))
        with recorder as self._recorder:
            try:
                with suppress(Stop), self._products():
                    predicted = self._denoise(latents, timesteps, condition).float()
                return predicted, recorder.readings()
            finally:
                self._recorder = None

    def spare(self) -> bool:
        if self.denoiser.is_gradient_checkpointing:
            return False
        self.denoiser.enable_gradient_checkpointing(self._block)
        return True

    def _block(self, block: Any, *arguments: Any) -> Any:
        """A block of the denoiser that keeps its inputs alone; what was read in it is read again on the way back."""
        recorder = self._recorder

        @contextmanager
        def again() -> Iterator[None]:
            with recorder.again() if recorder else nullcontext(), self._products():
                yield

        def contexts() -> tuple[Any, Any]:
            return nullcontext(), again()

        return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)

    def _products(self) -> AbstractContextManager[Any]:
        return products(self._computes_on, self.denoiser.dtype)

    @abstractmethod
    def _denoise(
        self, latents: Float[torch.Tensor, "rows channels h w"], timesteps: torch.Tensor, condition: Condition
    ) -> Float[torch.Tensor, "rows channels h w"]:
        """One call of the denoiser, in its own arithmetic."""

    def _look(self, condition: Condition) -> Callable[..., LayerAttention]:
        """How an attention layer's arguments become what can be read of it."""
        return CrossAttention

    def facts(self) -> dict[str, str]:
        channels = self.autoencoder.config.latent_channels
        facts = {
            "images": f"{self.image_size[1]}x{self.image_size[0]} pixels",
            "latents": f"{self.latent_size[1]}x{self.latent_size[0]}x{channels} ({type(self.autoencoder).__name__})",
            "unet" if "UNet" in type(self.denoiser).__name__ else "transformer": f"{_millions(self.denoiser)} "
            "parameters",
            **self.path.facts(),
        }
        for n, (encoder, table) in enumerate(zip(self.encoders, self.tables, strict=True)):
            facts[f"text encoder {n + 1}" if n else "text encoder"] = (
                f"{type(encoder).__name__}, {_millions(encoder)} parameters, "
                f"embeddings {table.shape[0]}x{table.shape[1]} of spread {float(table.std()):.4g}"
            )
        return {**facts, "window": f"{min(one.window for one in self.tokenizers)} tokens"}


def _millions(module: Any) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.1f} M"


def input_embeddings(encoder: Any) -> Any:
    """The table of input embeddings; LDMBert keeps it one level down, where transformers' own lookup may not see it."""
    inner = encoder.model if hasattr(encoder, "model") else encoder
    return inner.get_input_embeddings()


def states_of(
    encoder: Any,
    input_ids: Int[torch.Tensor, "texts window"],
    embeddings: Float[torch.Tensor, "texts window width"],
    **options: Any,
) -> Any:
    """What a text encoder returns for input embeddings; differentiable with respect to them."""
    if "inputs_embeds" in inspect.signature(encoder.forward).parameters:
        return encoder(inputs_embeds=embeddings, return_dict=True, **options)
    # CLIP's encoders take no embeddings: they replace the table's output for the length of this call.
    hook = input_embeddings(encoder).register_forward_hook(lambda *_: embeddings)
    try:
        return encoder(input_ids=input_ids, **options)
    finally:
        hook.remove()
