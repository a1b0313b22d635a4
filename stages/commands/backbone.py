"""`anyword backbone`: what a diffusion model was recognised as, before days are spent on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stages.models.face import DiffusionModel


def backbone(
    path: Annotated[str, typer.Argument(help="Local folder or hub id (owner/name); 'embedded' is this repository's.")],
    kind: Annotated[str | None, typer.Option(help="Family, as in a recipe; default: by what the folder holds.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub id.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images; default: the model's own.")] = None,
    map_resolution: Annotated[
        int | None, typer.Option(help="Longer side of the maps; default: the family's own.")
    ] = None,
    offline: Annotated[
        bool, typer.Option(help="Take hub ids from the local cache only; --no-offline lets them be fetched.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a diffusion backbone is: resolution, prediction type, text encoder, window, layers that are read.

    It is tried first: one pass over a small grey image, and its gradients back to the words.
    """
    from pydantic import ValidationError

    from stages.artifacts.errors import AnywordError
    from stages.choice import backbone_kind
    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe
    from stages.models.trial import attempt

    embedded = path == "embedded" or kind == "embedded"
    try:
        recipe = BackboneRecipe.model_validate(
            {
                "kind": "embedded" if embedded else kind or backbone_kind(path),
                "path": None if path == "embedded" else path,
                "revision": revision,
                "resolution": resolution,
                "map_resolution": map_resolution,
                "offline": offline,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise AnywordError(f"backbone: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    model = load(recipe)
    attempt(model)
    facts = describe(model, recipe.kind)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for line, item in enumerate(lines):
            typer.echo(f"{name if line == 0 else '':{width}}  {item}")


def describe(model: DiffusionModel, kind: str) -> dict[str, str | list[str]]:
    """What is said of a loaded model, in words and numbers."""
    read = model.read_by_default
    name = str(Path(model.record.id)) if model.record.id.startswith(("/", ".")) else model.record.id
    return {
        "kind": kind,
        "id": name,
        "sha256": model.record.sha256,
        **model.facts(),
        "maps": "{}x{}".format(*read[0].grid),
        "cross-attention": [
            f"{layer.name} ({layer.grid[0]}x{layer.grid[1]}{', read' if layer in read else ''})"
            for layer in model.layers
        ],
        "knows": "only the embedded world" if model.world == "embedded" else "what it was trained on",
    }
