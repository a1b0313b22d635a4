"""Models at their sizes, without their weights and on no device: what their calls take can be counted, not computed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages import REPOSITORY
from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models.diffusion import advice_of, choose_layers, locate
from stages.models.face import Condition
from stages.models.families import FAMILIES
from stages.models.latent_model import Loaded
from stages.models.published import SHAPES, like
from stages.models.recipe import EMBEDDED_BACKBONE, BackboneRecipe
from stages.models.sam import SegmentAnything
from stages.models.unet import UNetModel

META = torch.device("meta")


@dataclass(frozen=True)
class Outline:
    """A diffusion model."""

    model: UNetModel
    name: str
    """Whose size it has."""
    dtype: str
    """Of its UNet, as on a GPU that has bfloat16."""

    def rows(self, count: int, *, learn: bool) -> tuple[torch.Tensor, Condition]:
        """What a pass of so many rows is given."""
        config = self.model.unet.config
        latents = torch.empty(1, config.in_channels, *self.model.latent_size, device=META).expand(count, -1, -1, -1)
        columns = self.model.empty.encodings[0].input_ids.shape[1]
        context = torch.empty(count, columns, config.cross_attention_dim, device=META)
        return latents, Condition(context.requires_grad_(learn))


def backbone(recipe: BackboneRecipe, shape: str | None = None) -> Outline:
    """A diffusion model of the OUTLINED: of its own size by its folder's configurations; or, where it is not on this
    machine or `shape` says so, of that of one of SHAPES."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    folder, sizes = None, SHAPES[shape or like(recipe.kind, recipe.id)]
    if shape is None:
        try:
            folder = locate(recipe.model_copy(update={"offline": True}))
        except AnywordError:
            folder = None
    options = _of_folder(folder, recipe.kind) if folder else sizes
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder / "tokenizer" if folder else REPOSITORY / EMBEDDED_BACKBONE / "tokenizer", local_files_only=True
    )
    if folder is None:
        tokenizer.model_max_length = options["encoder"]["max_position_embeddings"]
    with META:
        unet = diffusers.UNet2DConditionModel.from_config(options["unet"]).to(getattr(torch, _dtype(recipe)))
        kind = diffusers.VQModel if recipe.kind == "ldm" else diffusers.AutoencoderKL
        autoencoder = kind.from_config(options["autoencoder"])
        ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        encoder = _encoder(recipe.kind, {"vocab_size": len(tokenizer), **ids, **options["encoder"]})
    advice = advice_of(folder) if folder else None
    model = UNetModel(
        Loaded(
            recipe=recipe,
            record=ModelRecord(id=recipe.id, sha256=""),
            folder=folder or REPOSITORY / EMBEDDED_BACKBONE,  # for its scheduler, which takes no memory
            pipeline="",
            modules=dict(zip(FAMILIES[recipe.kind].parts, (unet, autoencoder, encoder), strict=True)),
            tokenizers={tuple(FAMILIES[recipe.kind].parts)[2]: tokenizer},
            device=META,
            world=advice.world if advice else None,
        )
    )
    model.device = torch.device("cpu")  # where fakes are; it was built as for a GPU
    prefixes = recipe.layers or (advice.cross_attention_layers if advice else None)
    side = recipe.map_resolution or (advice.map_resolution if advice else None) or model.usual_side
    model.read_by_default = choose_layers(model.layers, side, prefixes, f"backbone {recipe.id}")
    return Outline(model, recipe.id if folder else str(sizes["name"]), _dtype(recipe))


def segment_anything(kind: str) -> SegmentAnything:
    """A SAM of the registry."""
    from segment_anything import sam_model_registry

    with META:
        model = sam_model_registry[kind]()
    return SegmentAnything(id=kind, weights_sha256="", model=model.eval().requires_grad_(False))


def _dtype(recipe: BackboneRecipe) -> str:
    auto = "float32" if recipe.kind == "embedded" else "bfloat16"
    return auto if recipe.dtype == "auto" else recipe.dtype


def _of_folder(folder: Path, kind: str) -> dict[str, Any]:
    names = zip(("unet", "autoencoder", "encoder"), FAMILIES[kind].parts, strict=True)
    return {name: json.loads((folder / part / "config.json").read_text()) for name, part in names}


def _encoder(kind: str, options: dict[str, Any]) -> torch.nn.Module:
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    if kind == "ldm":
        bert: torch.nn.Module = LDMBertModel(LDMBertConfig(**options))
        return bert
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**options))
