"""`anyword segment`: one image and one sentence, through every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def segment(
    image: Annotated[Path, typer.Argument(help="The image.")],
    text: Annotated[str, typer.Argument(help="What it shows, in a sentence.")],
    out: Annotated[Path, typer.Option(help="Folder for masks/, overlay.png, coco.json, index.html.")] = Path("out"),
    backbone: Annotated[
        str | None,
        typer.Option(help="Diffusion model: a local folder, a hub id (owner/name), or a name of `backbones`."),
    ] = None,
    sam: Annotated[
        str | None, typer.Option(help="SAM: a local checkpoint (.pth, .safetensors), or a name of `segmenters`.")
    ] = None,
    parser: Annotated[str | None, typer.Option(help="A name of `parsers`.")] = None,
    inverter: Annotated[str | None, typer.Option(help="A name of `inverters`.")] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Trained adapter of the text encoder: its folder, results/DATASET/adapt/NAME.")
    ] = None,
    experiment: Annotated[str, typer.Option(help="Experiment whose recipes are used where nothing is said.")] = "spacy",
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    offline: Annotated[
        bool, typer.Option(help="Take hub ids from the local cache only; --no-offline lets them be fetched.")
    ] = True,
) -> None:
    """Segment every phrase of a sentence in an image.

    Writes a mask a phrase (PNG), an overlay, a COCO JSON and an offline page with every word's map.

    Example: anyword segment photo.jpg "a black cat on a red sofa" --out out/
    --backbone stable-diffusion-v1-5/stable-diffusion-v1-5 --sam sam_vit_h_4b8939.pth
    """
    from stages.choice import with_models
    from stages.single import segment as run

    models = {"backbone": backbone, "sam": sam, "parser": parser, "inverter": inverter}
    whole = with_models(image, experiment=experiment, config=config, offline=offline, **models)
    page = run(image, text, out, config=whole, experiment=experiment, adapter=adapter, device=device)
    typer.echo(
        f"masks:   {out / 'masks'}\noverlay: {out / 'overlay.png'}\ncoco:    {out / 'coco.json'}\npage:    {page}"
    )
