"""`anyword backbone`: what a diffusion model was recognised as, before days are spent on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def backbone(
    path: Annotated[str, typer.Argument(help="Local folder or hub id (owner/name); 'embedded' is this repository's.")],
    kind: Annotated[
        str | None, typer.Option(help="embedded, stable-diffusion or ldm; default: by what the folder holds.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub id.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images; default: the model's own.")] = None,
    map_resolution: Annotated[int | None, typer.Option(help="Side of the maps; default: 16.")] = None,
    few_step: Annotated[
        str | None, typer.Option(help="Local file or folder of a few-step adapter (LCM-LoRA, Hyper-SD) to merge.")
    ] = None,
    scheduler: Annotated[str, typer.Option(help="The sampler of that adapter: lcm, tcd or ddim.")] = "lcm",
    offline: Annotated[
        bool, typer.Option(help="Take hub ids from the local cache only; --no-offline lets them be fetched.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a diffusion backbone is: resolution, prediction type, text encoder, window, layers that are read."""
    from pydantic import ValidationError

    from stages.artifacts.errors import AnywordError
    from stages.commands.segment import backbone_kind
    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe

    embedded = path == "embedded" or kind == "embedded"
    try:
        recipe = BackboneRecipe.model_validate(
            {
                "kind": "embedded" if embedded else kind or backbone_kind(path),
                "path": None if path == "embedded" else path,
                "revision": revision,
                "resolution": resolution,
                "map_resolution": map_resolution,
                "few_step": {"path": few_step, "scheduler": scheduler} if few_step else None,
                "offline": offline,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise AnywordError(f"backbone: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    facts = describe(load(recipe), recipe.kind)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for line, item in enumerate(lines):
            typer.echo(f"{name if line == 0 else '':{width}}  {item}")


def describe(model: Any, kind: str) -> dict[str, Any]:
    """What is said of a loaded DiffusionBackbone, in words and numbers."""
    from stages.models.attention import attention_layers

    chosen = {layer.name for layer in model.layers}
    every = attention_layers(model.model, model.latent_size)
    count = sum(parameter.numel() for parameter in model.model.parameters())
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    channels = model.model.config.in_channels
    return {
        "kind": kind,
        "id": str(Path(model.id)) if model.id.startswith(("/", ".")) else model.id,
        "sha256": model.weights_sha256,
        "images": f"{model.resolution}x{model.resolution} pixels",
        "latents": f"{model.latent_size}x{model.latent_size}x{channels} ({type(model.autoencoder).__name__})",
        "unet": f"{count / 1e6:.1f} M parameters",
        "predicts": model.scheduler.config.prediction_type,
        "noise schedule": f"{model.scheduler.config.beta_schedule}, "
        f"{model.scheduler.config.num_train_timesteps} timesteps",
        "sampler": type(model.scheduler).__name__,
        "few steps": f"{model.few_step.id} ({model.few_step.sha256})" if model.few_step else "no adapter",
        "text encoder": f"{type(model.encoder).__name__}, {encoder / 1e6:.1f} M parameters, "
        f"embeddings {model.table.shape[0]}x{model.table.shape[1]} of spread {float(model.table.std()):.4g}",
        "window": f"{model.window} tokens",
        "maps": f"{model.map_resolution}x{model.map_resolution}",
        "cross-attention": [
            f"{layer.name} ({layer.resolution}x{layer.resolution}{', read' if layer.name in chosen else ''})"
            for layer in every
        ],
        "knows": "only the embedded world" if model.world == "embedded" else "what it was trained on",
    }
