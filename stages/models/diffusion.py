"""Frozen text-to-image diffusion models behind one face: Stable Diffusion 1.x and 2.x, LDM text-to-image, embedded.

A backbone is a folder (or hub id) in diffusers' own layout, so anything that a diffusers pipeline saved can be used.
Weights are frozen, in eval mode, read from safetensors only, and hashed for the manifest.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models import few_step, hub
from stages.models.attention import Capture, CpuAttention, Layer, attention_layers, choose_layers
from stages.models.batch_invariance import as_in_company
from stages.models.recipe import BackboneRecipe
from stages.models.text import Encoding, check_fast, tokenize, tokenize_windows, window_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

PARTS = {
    "stable-diffusion": ("vae", "text_encoder"),
    "embedded": ("vae", "text_encoder"),
    "ldm": ("vqvae", "bert"),
}
"""Names of the autoencoder's and the text encoder's folders, by family."""

ADVICE = "anyword.json"


class Advice(BaseModel):
    """`anyword.json` beside a model: which attention of it to read. Optional; a recipe overrules it, and what
    else the file says (how the model was trained) is its own affair."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cross_attention_layers: tuple[str, ...] | None = None
    map_resolution: int | None = None
    world: str | None = None
    """'embedded' where the model knows only the embedded world."""


@dataclass(frozen=True)
class DiffusionBackbone:
    """A frozen diffusion model. All tensors that go in and out are float32 on `device`."""

    id: str
    revision: str | None
    weights_sha256: str
    autoencoder: Any
    """AutoencoderKL or VQModel."""
    model: Any
    """UNet2DConditionModel."""
    encoder: Any
    """CLIPTextModel or LDMBertModel."""
    tokenizer: Any
    scheduler: Any
    """The noise schedule, and the sampler that chains follow: DDIMScheduler, or LCMScheduler or TCDScheduler where a
    few-step adapter belongs to one."""
    resolution: int
    """Side of the square images, in pixels."""
    latent_size: int
    window: int
    """Tokens a text may have, special ones included."""
    layers: tuple[Layer, ...]
    """The cross-attention layers whose maps are read, in the order in which the UNet runs them."""
    world: str | None
    device: torch.device
    few_step: ModelRecord | None = None
    """The few-step adapter that was merged, if one was; `weights_sha256` counts it in."""

    @property
    def map_resolution(self) -> int:
        return self.layers[-1].resolution

    def vae_encode(
        self, pixels: Float[torch.Tensor, "batch 3 height width"]
    ) -> Float[torch.Tensor, "batch channels h w"]:
        """Latents of images in -1..1: the posterior's mean (VQ: the unquantised code) times the scaling factor."""
        with torch.no_grad():
            encoded = self.autoencoder.encode(pixels.to(self.device, torch.float32))
            latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        return latents * self.autoencoder.config.scaling_factor

    def tokenize(self, texts: Sequence[str]) -> Encoding:
        """Texts as ids padded to the window; SampleError for an empty text or one beyond the window."""
        encoding = tokenize(self.tokenizer, texts, self.window)
        return replace(encoding, input_ids=encoding.input_ids.to(self.device))

    def tokenize_windows(self, text: str) -> Encoding:
        """A text of any length, one row a window of whole sentences; see `text.tokenize_windows`."""
        encoding = tokenize_windows(self.tokenizer, text, self.window)
        return replace(encoding, input_ids=encoding.input_ids.to(self.device))

    @property
    def empty_ids(self) -> Int[torch.Tensor, "1 window"]:
        """The empty text, which stands for "no condition"."""
        batch = self.tokenizer([""], padding="max_length", max_length=self.window)
        return torch.tensor(batch["input_ids"], dtype=torch.long, device=self.device)

    def special(self, input_ids: Int[torch.Tensor, " window"]) -> tuple[int, int]:
        """Positions of the begin and the (first) end mark in an encoded text."""
        last = self.tokenizer.eos_token_id
        last = self.tokenizer.sep_token_id if last is None else last
        return 0, int((input_ids == last).nonzero()[0])

    @property
    def unknown_id(self) -> int | None:
        """Id of the token that stands for what the tokenizer does not know (CLIP's, which knows every byte, ends
        the text instead, so a match there is none)."""
        unknown = self.tokenizer.unk_token_id
        return None if unknown == self.tokenizer.eos_token_id else unknown

    @property
    def table(self) -> Float[torch.Tensor, "vocabulary width"]:
        """The text encoder's input embeddings (not to be changed)."""
        return _input_embeddings(self.encoder).weight

    def embed(self, input_ids: Int[torch.Tensor, "batch window"]) -> Float[torch.Tensor, "batch window width"]:
        """Input token embeddings, a fresh tensor without history."""
        return self.table[input_ids].clone()

    def encode(
        self,
        input_ids: Int[torch.Tensor, "batch window"],
        token_embeddings: Float[torch.Tensor, "batch window width"],
    ) -> Float[torch.Tensor, "batch window context"]:
        """The text encoder's last hidden states for given input embeddings; differentiable with respect to them.

        Padding tokens take part, as in the pipelines that these models were trained for.
        """
        if "inputs_embeds" in inspect.signature(self.encoder.forward).parameters:
            return self.encoder(inputs_embeds=token_embeddings, return_dict=True)[0]
        # CLIPTextModel takes no embeddings: they replace its table's output for the length of this call.
        hook = _input_embeddings(self.encoder).register_forward_hook(lambda *_: token_embeddings)
        try:
            return self.encoder(input_ids=input_ids)[0]
        finally:
            hook.remove()

    def unet(
        self,
        latents: Float[torch.Tensor, "batch channels h w"],
        timesteps: Int[torch.Tensor, " batch"],
        encoder_hidden_states: Float[torch.Tensor, "batch window context"],
    ) -> Float[torch.Tensor, "batch channels h w"]:
        """The UNet's prediction (noise, or velocity: `scheduler.config.prediction_type`), one timestep a row."""
        dtype = self.model.dtype
        latents = latents.to(dtype)
        if self.device.type != "cpu":  # on a CPU, bfloat16 group norms lose more by it than convolutions gain
            latents = latents.contiguous(memory_format=torch.channels_last)
        return self.model(latents, timesteps, encoder_hidden_states.to(dtype), return_dict=False)[0].float()

    def capture(
        self, resolution: int | None = None, layers: Sequence[str] | None = None, *, stop: bool = False
    ) -> Capture:
        """A context that reads cross-attention probabilities while `unet` runs; see `attention.Capture`."""
        if resolution is None and layers is None:
            return Capture(self.model, self.layers, stop=stop)
        every = attention_layers(self.model, self.latent_size)
        side = self.map_resolution if resolution is None else resolution
        return Capture(self.model, choose_layers(every, side, layers, self.id), stop=stop)

    @torch.no_grad()
    def attention(
        self,
        latents: Float[torch.Tensor, "batch channels h w"],
        timesteps: Int[torch.Tensor, " batch"],
        encoder_hidden_states: Float[torch.Tensor, "batch window context"],
    ) -> Float[torch.Tensor, "batch window height width"]:
        """Maps only: the UNet ends at the last layer that is read."""
        with self.capture(stop=True) as capture:
            with capture.stopping():
                self.unet(latents, timesteps, encoder_hidden_states)
            return capture.take()

    def target(
        self,
        latents: Float[torch.Tensor, "batch channels h w"],
        noise: Float[torch.Tensor, "batch channels h w"],
        timesteps: Int[torch.Tensor, " batch"],
    ) -> Float[torch.Tensor, "batch channels h w"]:
        """What the UNet was trained to predict for these latents and this noise."""
        kind = self.scheduler.config.prediction_type
        if kind == "v_prediction":
            return self.scheduler.get_velocity(latents, noise, timesteps)
        return latents if kind == "sample" else noise


def load(recipe: BackboneRecipe, device: str | torch.device = "cpu") -> DiffusionBackbone:
    """Load a backbone. AnywordError where it is missing, of another family, or has only pickled weights."""
    import diffusers
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel

    # One line a weight file and hints for developers would drown a stage's log.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    folder = locate(recipe)
    index = _index(folder, recipe)
    autoencoder_part, encoder_part = PARTS[recipe.kind]
    classes: dict[str, Any] = {
        "unet": diffusers.UNet2DConditionModel,
        autoencoder_part: {"AutoencoderKL": diffusers.AutoencoderKL, "VQModel": diffusers.VQModel},
        encoder_part: {"CLIPTextModel": transformers.CLIPTextModel, "LDMBertModel": LDMBertModel},
    }
    modules: dict[str, Any] = {}
    for part, choice in classes.items():
        name = index[part][1]
        cls = choice.get(name) if isinstance(choice, dict) else choice
        if cls is None:
            raise AnywordError(
                f"{folder}: its {part} is a {name}, which is not supported.",
                remedy=f"Supported: {', '.join(choice)}.",
            )
        # An adapter is merged in float32, and rounded with the rest.
        own = getattr(torch, recipe.dtype) if part == "unet" and recipe.few_step is None else torch.float32
        modules[part] = _load(cls, folder, part, own)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    check_fast(tokenizer, str(folder))
    # The sampler's own class does not matter: DDIM with the same noise schedule is what both inversions use.
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    sha256 = _hash(folder, ("unet", autoencoder_part, encoder_part, "tokenizer", "scheduler"))
    distilled = None
    if recipe.few_step is not None:
        adapter = few_step.find(recipe.few_step)
        few_step.merge(recipe.few_step, adapter, {**modules, "tokenizer": tokenizer}, scheduler)
        modules["unet"].to(getattr(torch, recipe.dtype))
        scheduler = few_step.sampler(recipe.few_step, scheduler)
        distilled = few_step.record(recipe.few_step, adapter)
        sha256 = few_step.combined(sha256, recipe.few_step, distilled)
    for module in modules.values():
        module.to(device).eval().requires_grad_(False)
    unet, autoencoder, encoder = modules["unet"], modules[autoencoder_part], modules[encoder_part]
    if torch.device(device).type == "cpu":
        unet.set_attn_processor(CpuAttention())
        as_in_company(unet)
    else:
        unet.to(memory_format=torch.channels_last)

    factor = 2 ** (len(autoencoder.config.block_out_channels) - 1)
    latent_size = int(unet.config.sample_size) if recipe.resolution is None else recipe.resolution // factor
    resolution = latent_size * factor
    step = factor * 2 ** (len(unet.down_blocks) - 1)
    if resolution % step or (recipe.resolution and recipe.resolution != resolution):
        raise AnywordError(
            f"backbone {recipe.id}: resolution {recipe.resolution or resolution} is not a multiple of {step}.",
            remedy=f"Choose {max(step, round((recipe.resolution or resolution) / step) * step)}.",
        )
    advice = _advice(folder)
    side = recipe.map_resolution or advice.map_resolution or 16
    prefixes = recipe.layers if recipe.layers is not None else advice.cross_attention_layers
    layers = choose_layers(attention_layers(unet, latent_size), side, prefixes, f"backbone {recipe.id}")
    return DiffusionBackbone(
        id=recipe.id,
        revision=recipe.revision,
        weights_sha256=sha256,
        autoencoder=autoencoder,
        model=unet,
        encoder=encoder,
        tokenizer=tokenizer,
        scheduler=scheduler,
        resolution=resolution,
        latent_size=latent_size,
        window=window_of(tokenizer, encoder),
        layers=tuple(layers),
        world=advice.world,
        device=torch.device(device),
        few_step=distilled,
    )


def locate(recipe: BackboneRecipe) -> Path:
    """The folder of a backbone: as given, else below the repository, else the hub (its cache only, if offline)."""
    given = recipe.path if recipe.path is not None else "models/backbone" if recipe.kind == "embedded" else None
    if given is None:
        raise AnywordError(f"backbone of kind '{recipe.kind}' needs a path.", remedy="Give a local folder or a hub id.")
    weights = ("model.safetensors", "diffusion_pytorch_model.safetensors", "*-of-*.safetensors")
    parts = [f"{part}/{name}" for part in ("unet", *PARTS[recipe.kind]) for name in weights]
    return hub.locate(
        given,
        recipe.revision,
        offline=recipe.offline,
        what="backbone",
        holds="model_index.json",
        wanted=("*.json", "tokenizer/*", *parts),
    )


def _index(folder: Path, recipe: BackboneRecipe) -> dict[str, Any]:
    """`model_index.json`, checked to name what this family needs."""
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AnywordError(
            f"{path}: not readable ({type(error).__name__}).",
            remedy="Save the model as a diffusers pipeline folder.",
        ) from error
    missing = [part for part in ("unet", "tokenizer", "scheduler", *PARTS[recipe.kind]) if part not in index]
    if missing:
        fits = [kind for kind, parts in PARTS.items() if all(part in index for part in parts)]
        raise AnywordError(
            f"{path}: has no {', '.join(missing)}, so it is no backbone of kind '{recipe.kind}'.",
            remedy=f"Its parts fit kind '{fits[-1]}'." if fits else "Choose another model.",
        )
    return index


def _load(cls: Any, folder: Path, part: str, dtype: torch.dtype) -> Any:
    if not any((folder / part).glob("*.safetensors")):
        raise AnywordError(
            f"{folder / part}: holds no .safetensors weights, and pickled ones are never read.",
            remedy="Choose a revision that has them, or convert once with save_pretrained.",
        )
    try:
        return cls.from_pretrained(folder / part, use_safetensors=True, local_files_only=True, dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        raise AnywordError(
            f"{folder / part}: cannot be loaded as {cls.__name__} ({error}).", remedy="Fetch it again."
        ) from error


def _advice(folder: Path) -> Advice:
    path = folder / ADVICE
    if not path.is_file():
        return Advice()
    try:
        return Advice.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise AnywordError(f"{path}: {error.errors()[0]['msg']}.", remedy="Mend or delete it.") from error


def _hash(folder: Path, parts: Sequence[str]) -> str:
    """One hash of every file that decides what the model computes, by relative name."""
    digest = hashlib.sha256()
    files = [path for part in parts for path in (folder / part).rglob("*") if path.is_file()]
    files += [path for path in [folder / ADVICE] if path.is_file()]
    for path in sorted(files):
        if path.suffix not in {".json", ".txt", ".safetensors"}:
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _input_embeddings(encoder: Any) -> Any:
    """The table of input embeddings; LDMBert keeps it one level down, where transformers' own lookup may not see it."""
    inner = encoder.model if hasattr(encoder, "model") else encoder
    return inner.get_input_embeddings()
