"""Loading frozen text-to-image diffusion models, of the families in `families.py`.

A backbone is a folder (or hub id) in diffusers' own layout, so anything that a diffusers pipeline saved can be used.
Weights are frozen, in eval mode, read from safetensors only, and hashed for the manifest.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.artifacts import ModelRecord
from stages.artifacts.errors import AnywordError
from stages.models import hub
from stages.models.families import FAMILIES, kind_of
from stages.models.file_hashes import hash_of_file
from stages.models.pretrained import pretrained
from stages.models.recipe import BackboneRecipe

if TYPE_CHECKING:
    import torch

    from stages.models.face import DiffusionModel, Layer
    from stages.models.latent_model import LatentModel

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

    from stages.models.devices import with_dtype
    from stages.models.latent_model import Loaded
    from stages.models.tokens import check_fast

    # One line a weight file and hints for developers would drown a stage's log.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    recipe = with_dtype(recipe, torch.device(device))
    folder = locate(recipe)
    family, index = FAMILIES[recipe.kind], _index(folder, recipe)
    denoiser_part, autoencoder_part, *_ = family.parts
    held = family.held(index)
    modules: dict[str, Any] = {}
    for part, choice in family.parts.items():
        if part not in held:
            continue
        name = index[part][1]
        if name not in choice:
            raise AnywordError(
                f"{folder}: its {part} is a {name}, which is not supported.",
                remedy=f"Supported: {', '.join(choice)}.",
            )
        own = getattr(torch, recipe.dtype) if part == denoiser_part else torch.float32
        modules[part] = pretrained(_class(name), folder / part, dtype=own)
    tokenizers = {}
    for part, name in family.tokenizers.items():
        if part in modules:
            tokenizers[part] = transformers.AutoTokenizer.from_pretrained(folder / name, local_files_only=True)
            check_fast(tokenizers[part], str(folder))
    advice = advice_of(folder)
    module, _, name = family.model.partition(".")
    cls = getattr(importlib.import_module(f"stages.models.{module}"), name)
    _check_channels(folder, modules[denoiser_part], modules[autoencoder_part], cls.channels_a_latent)
    model: LatentModel = cls(
        Loaded(
            recipe=recipe,
            record=record(recipe),
            folder=folder,
            pipeline=str(index.get("_class_name", "")),
            modules=modules,
            tokenizers=tokenizers,
            device=torch.device(device),
            world=advice.world,
        )
    )
    side = recipe.map_resolution or advice.map_resolution or model.usual_side
    prefixes = recipe.layers if recipe.layers is not None else advice.cross_attention_layers
    model.read_by_default = choose_layers(model.layers, side, prefixes, f"backbone {recipe.id}")
    return model


def _class(name: str) -> Any:
    """A class of the libraries, by its name in `model_index.json`; only those in `families.py` are asked for."""
    import diffusers
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel

    if name == "LDMBertModel":
        return LDMBertModel
    return getattr(diffusers, name, None) or getattr(transformers, name)


def _check_channels(folder: Path, denoiser: Any, autoencoder: Any, packed: int) -> None:
    taken, made = denoiser.config.in_channels, autoencoder.config.latent_channels * packed
    if taken != made:
        raise AnywordError(
            f"{folder}: its denoiser takes {taken} channels and latents have {made}, so it wants more than a text "
            "(inpainting, depth).",
            remedy="Choose the text-to-image model of that family.",
        )


def record(recipe: BackboneRecipe) -> ModelRecord:
    """What a manifest says of a backbone, from its files alone: nothing is loaded."""
    folder = locate(recipe)
    sha256 = hash_of(folder, FAMILIES[recipe.kind].held(_index(folder, recipe)))
    return ModelRecord(id=recipe.id, revision=recipe.revision, sha256=sha256)


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
    family = FAMILIES[recipe.kind]
    parts = [f"{part}/{name}" for part in family.parts for name in weights]
    return hub.locate(
        given,
        recipe.revision,
        offline=recipe.offline,
        what="backbone",
        holds="model_index.json",
        wanted=("*.json", *(f"{name}/*" for name in family.tokenizers.values()), *parts),
    )


def _index(folder: Path, recipe: BackboneRecipe) -> dict[str, Any]:
    """`model_index.json`, checked to name what this family needs."""
    path = folder / "model_index.json"
    try:
        index: Any = json.loads(path.read_text())
        if not isinstance(index, dict):
            raise ValueError
    except (OSError, ValueError) as error:
        raise AnywordError(
            f"{path}: not readable ({type(error).__name__}).",
            remedy="Save the model as a diffusers pipeline folder.",
        ) from error
    found = kind_of(index)
    if found is None:
        raise AnywordError(
            f"{path}: a model of another family, {index.get('_class_name') or 'without a name'}, which is not read.",
            remedy=f"Read are: {', '.join(kind for kind in FAMILIES if kind != 'embedded')}.",
        )
    family = FAMILIES[recipe.kind]
    if FAMILIES[found].parts != family.parts:
        raise AnywordError(f"{path}: no backbone of kind '{recipe.kind}'.", remedy=f"It is of kind '{found}'.")
    if missing := family.lacking(index):
        raise AnywordError(
            f"{path}: has no {', '.join(missing)}, so it is no backbone of kind '{recipe.kind}'.",
            remedy="Choose another model.",
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
        digest.update(f"{path.relative_to(folder).as_posix()} {hash_of_file(path)}\n".encode())
    return digest.hexdigest()
