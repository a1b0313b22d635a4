"""Models at their sizes, without their weights and on no device: what their calls take can be counted, not computed."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from typing import Any

import torch

from stages import REPOSITORY
from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models.diffusion import advice_of, choose_layers, locate
from stages.models.face import Condition
from stages.models.families import FAMILIES
from stages.models.latent_model import LatentModel, Loaded
from stages.models.memory import counted
from stages.models.published import SHAPES, like
from stages.models.recipe import EMBEDDED_BACKBONE, BackboneRecipe
from stages.models.sam import SegmentAnything

META = torch.device("meta")


@dataclass(frozen=True)
class Outline:
    """A diffusion model."""

    model: LatentModel
    name: str
    """Whose size it has."""
    dtype: str
    """Of its denoiser, as on a GPU that has bfloat16."""

    def rows(self, count: int, *, learn: bool) -> tuple[torch.Tensor, Condition]:
        """What a pass of so many rows is given."""
        model = self.model
        channels = int(model.autoencoder.config.latent_channels)
        latents = torch.empty(1, channels, *model.latent_size, device=META).expand(count, -1, -1, -1)
        said: list[Condition] = []
        with torch.no_grad():  # with fakes, since encoders look at values of masks
            counted(lambda: said.append(model.condition(model.empty, model.embed(model.empty)).repeat(count)))
        context, *others = (
            torch.empty(one.shape, dtype=one.dtype, device=META) for one in (said[0].context, *said[0].extras.values())
        )
        return latents, Condition(context.requires_grad_(learn), dict(zip(said[0].extras, others, strict=True)))


def backbone(recipe: BackboneRecipe, shape: str | None = None) -> Outline:
    """A diffusion model: of its own size by its folder's configurations; or, where it is not on this machine or `shape`
    says so, of that of one of SHAPES."""
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
    family, place = FAMILIES[recipe.kind], folder or REPOSITORY / EMBEDDED_BACKBONE
    index = json.loads((folder / "model_index.json").read_text()) if folder else {}
    denoiser, autoencoder, *_ = family.parts
    modules, tokenizers = {}, {}
    for part in family.held(index) if folder else sizes["parts"]:
        if part not in family.parts:
            continue
        if folder:
            name, options = index[part][1], json.loads((folder / part / "config.json").read_text())
        else:
            name, options = family.parts[part][-1 if recipe.kind == "ldm" else 0], sizes["parts"][part]
        if part in (denoiser, autoencoder):
            with META:
                modules[part] = getattr(diffusers, name).from_config(options)
            continue
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            place / (family.tokenizers[part] if folder else "tokenizer"), local_files_only=True
        )
        if folder is None:
            tokenizer.model_max_length = options.get("max_position_embeddings", 512)  # T5 names none
        ids = {name: getattr(tokenizer, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        with META:
            modules[part] = _encoder(name, {"vocab_size": len(tokenizer), **ids, **options})
        tokenizers[part] = tokenizer
    for one in modules[denoiser].state_dict(keep_vars=True).values():  # as files are loaded: what they hold, no more
        one.data = one.data.to(getattr(torch, _dtype(recipe)))
    advice = advice_of(folder) if folder else None
    module, _, name = family.model.partition(".")
    model: LatentModel = getattr(importlib.import_module(f"stages.models.{module}"), name)(
        Loaded(
            recipe=recipe,
            record=ModelRecord(id=recipe.id, sha256=""),
            folder=place,  # for its scheduler, which takes no memory
            pipeline=str(index.get("_class_name", "")),
            modules=modules,
            tokenizers=tokenizers,
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


def _encoder(name: str, options: dict[str, Any]) -> torch.nn.Module:
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel

    cls: Any = LDMBertModel if name == "LDMBertModel" else getattr(transformers, name)
    encoder: torch.nn.Module = cls(cls.config_class(**options))
    return encoder
