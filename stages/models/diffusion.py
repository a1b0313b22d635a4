"""Loading frozen text-to-image diffusion models: Stable Diffusion 1.x and 2.x, LDM text-to-image, embedded.

A backbone is a folder (or hub id) in diffusers' own layout, so anything that a diffusers pipeline saved can be used.
Weights are frozen, in eval mode, read from safetensors only, and hashed for the manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models import hub
from stages.models.pretrained import pretrained
from stages.models.recipe import PARTS, BackboneRecipe

if TYPE_CHECKING:
    import torch

    from stages.models.face import DiffusionModel, Layer

OTHERS = {
    "StableDiffusionXL": "SDXL",
    "PixArt": "PixArt",
    "StableDiffusion3": "Stable Diffusion 3",
    "Flux": "FLUX",
}
"""Families that are told apart and not read, by the beginning of their pipelines' names."""

ADVICE = "anyword.json"


class Advice(BaseModel):
    """`anyword.json` beside a model: which attention of it to read. Optional; a recipe overrules it, and what
    else the file says (how the model was trained) is its own affair."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cross_attention_layers: tuple[str, ...] | None = None
    map_resolution: int | None = None
    world: str | None = None
    """'embedded' where the model knows only the embedded world."""


def load(recipe: BackboneRecipe, device: str | torch.device = "cpu") -> DiffusionModel:
    """Load a backbone. AnywordError where it is missing, of another family, or has only pickled weights."""
    import diffusers
    import torch
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel

    from stages.models.devices import with_dtype
    from stages.models.noise_path import DdpmPath
    from stages.models.tokens import check_fast
    from stages.models.unet import UNetModel

    # One line a weight file and hints for developers would drown a stage's log.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    recipe = with_dtype(recipe, torch.device(device))
    folder = locate(recipe)
    index = _index(folder, recipe)
    unet_part, autoencoder_part, encoder_part = PARTS[recipe.kind]
    classes: dict[str, Any] = {
        unet_part: {"UNet2DConditionModel": diffusers.UNet2DConditionModel},
        autoencoder_part: {"AutoencoderKL": diffusers.AutoencoderKL, "VQModel": diffusers.VQModel},
        encoder_part: {"CLIPTextModel": transformers.CLIPTextModel, "LDMBertModel": LDMBertModel},
    }
    modules: dict[str, Any] = {}
    for part, choice in classes.items():
        name = index[part][1]
        if name not in choice:
            raise AnywordError(
                f"{folder}: its {part} is a {name}, which is not supported.",
                remedy=f"Supported: {', '.join(choice)}.",
            )
        own = getattr(torch, recipe.dtype) if part == unet_part else torch.float32
        modules[part] = pretrained(choice[name], folder / part, dtype=own)
    unet, autoencoder = modules[unet_part], modules[autoencoder_part]
    if unet.config.in_channels != autoencoder.config.latent_channels:
        raise AnywordError(
            f"{folder}: its unet takes {unet.config.in_channels} channels and latents have "
            f"{autoencoder.config.latent_channels}, so it wants more than a text (inpainting, depth).",
            remedy="Choose the text-to-image model of that family.",
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    check_fast(tokenizer, str(folder))
    advice = advice_of(folder)
    model = UNetModel(
        record=record(recipe),
        unet=unet,
        autoencoder=autoencoder,
        encoder=modules[encoder_part],
        tokenizer=tokenizer,
        path=DdpmPath.from_folder(folder / "scheduler"),
        latent_size=latent_size_of(recipe, unet, autoencoder),
        device=torch.device(device),
        world=advice.world,
    )
    side = recipe.map_resolution or advice.map_resolution or 16
    prefixes = recipe.layers if recipe.layers is not None else advice.cross_attention_layers
    model.read_by_default = choose_layers(model.layers, side, prefixes, f"backbone {recipe.id}")
    return model


def record(recipe: BackboneRecipe) -> ModelRecord:
    """What a manifest says of a backbone, from its files alone: nothing is loaded."""
    folder = locate(recipe)
    _index(folder, recipe)
    sha256 = hash_of(folder, (*PARTS[recipe.kind], "tokenizer", "scheduler"))
    return ModelRecord(id=recipe.id, revision=recipe.revision, sha256=sha256)


def latent_size_of(recipe: BackboneRecipe, unet: Any, autoencoder: Any) -> tuple[int, int]:
    """Rows and columns of latents; AnywordError where the recipe's resolution does not fit the UNet."""
    factor = 2 ** (len(autoencoder.config.block_out_channels) - 1)
    side = int(unet.config.sample_size) if recipe.resolution is None else recipe.resolution // factor
    resolution = side * factor
    step = factor * 2 ** (len(unet.down_blocks) - 1)
    if resolution % step or (recipe.resolution and recipe.resolution != resolution):
        raise AnywordError(
            f"backbone {recipe.id}: resolution {recipe.resolution or resolution} is not a multiple of {step}.",
            remedy=f"Choose {max(step, round((recipe.resolution or resolution) / step) * step)}.",
        )
    return side, side


def choose_layers(layers: Sequence[Layer], side: int, prefixes: Sequence[str] | None, where: str) -> tuple[Layer, ...]:
    """The layers whose name begins with one of `prefixes` (all, if None) and whose grid has this longer side; errors
    name `where`."""
    at = [layer for layer in layers if layer.side == side]
    if prefixes is not None:
        for prefix in prefixes:
            if not any(_begins(layer.name, prefix) for layer in at):
                names = ", ".join(f"{layer.name} ({layer.grid[0]}x{layer.grid[1]})" for layer in layers)
                raise AnywordError(
                    f"{where}: no cross-attention layer at {side}x{side} begins with '{prefix}'.",
                    remedy=f"It has: {names}.",
                )
        at = [layer for layer in at if any(_begins(layer.name, prefix) for prefix in prefixes)]
    if not at:
        sides = sorted({layer.side for layer in layers})
        raise AnywordError(
            f"{where}: no cross-attention layer works at {side}x{side}, only at {sides}.",
            remedy="Choose another image resolution, or one of these as map_resolution.",
        )
    return tuple(at)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def locate(recipe: BackboneRecipe) -> Path:
    """The folder of a backbone: as given, else below the repository, else the hub (its cache only, if offline)."""
    given = recipe.path if recipe.path is not None else "models/backbone" if recipe.kind == "embedded" else None
    if given is None:
        raise AnywordError(f"backbone of kind '{recipe.kind}' needs a path.", remedy="Give a local folder or a hub id.")
    if (single := hub.on_disk(given)) is not None and single.is_file():
        raise AnywordError(
            f"backbone '{given}': a single file, where a folder of diffusers' is read.",
            remedy='Convert it once: python -c "from diffusers import StableDiffusionPipeline as P; '
            f"P.from_single_file('{given}').save_pretrained('backbone')\"",
        )
    weights = ("model.safetensors", "diffusion_pytorch_model.safetensors", "*-of-*.safetensors")
    parts = [f"{part}/{name}" for part in PARTS[recipe.kind] for name in weights]
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
    pipeline = str(index.get("_class_name", ""))
    other = next((family for begin, family in OTHERS.items() if pipeline.startswith(begin)), None)
    if other is None and "transformer" in index and "transformer" not in PARTS[recipe.kind]:
        other = pipeline or "transformer"
    if other is not None or "text_encoder_2" in index:
        raise AnywordError(
            f"{path}: a model of another family, {other or pipeline or 'one with two text encoders'}, which is not "
            "read yet.",
            remedy="Use Stable Diffusion 1.x or 2.x, LDM text-to-image, or the embedded model.",
        )
    missing = [part for part in (*PARTS[recipe.kind], "tokenizer", "scheduler") if part not in index]
    if missing:
        fits = [kind for kind, parts in PARTS.items() if all(part in index for part in parts)]
        raise AnywordError(
            f"{path}: has no {', '.join(missing)}, so it is no backbone of kind '{recipe.kind}'.",
            remedy=f"Its parts fit kind '{fits[-1]}'." if fits else "Choose another model.",
        )
    return index


def advice_of(folder: Path) -> Advice:
    """What the folder itself advises; AnywordError where that cannot be read."""
    path = folder / ADVICE
    if not path.is_file():
        return Advice()
    try:
        return Advice.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise AnywordError(f"{path}: {error.errors()[0]['msg']}.", remedy="Mend or delete it.") from error


def hash_of(folder: Path, parts: Sequence[str]) -> str:
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
