"""`anyword segment`: one image and one sentence, through every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def segment(
    image: Annotated[Path, typer.Argument(help="The image.")],
    text: Annotated[str | None, typer.Argument(help="What it shows, in a sentence.")] = None,
    classes: Annotated[
        str, typer.Option(help="Instead of a sentence: classes by commas; every pixel gets one of them.")
    ] = "",
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
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            "--method",
            help="Experiment whose recipes are used where nothing is said. Default: spacy (Segment Anyword); for "
            "classes, invseg.",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    offline: Annotated[
        bool, typer.Option(help="Take hub ids from the local cache only; --no-offline lets them be fetched.")
    ] = True,
) -> None:
    """Segment every phrase of a sentence in an image, or share its pixels out between classes.

    Writes a mask a phrase (PNG), an overlay, a COCO JSON and an offline page with every word's map; for classes also
    labels.png, whose values are their numbers.

    Examples: anyword segment photo.jpg --classes "sky, grass, dog" --method invseg

    anyword segment photo.jpg "a black cat on a red sofa" --out out/
    --backbone stable-diffusion-v1-5/stable-diffusion-v1-5 --sam sam_vit_h_4b8939.pth
    """
    from stages.artifacts.errors import AnywordError
    from stages.choice import with_models
    from stages.environment import fix_threads
    from stages.single import segment as run

    names = list(dict.fromkeys(one.strip() for one in classes.split(",") if one.strip()))
    if (text is None) != bool(names):
        raise AnywordError(
            "a sentence and --classes: give one of them.", remedy='Such as "a dog on grass", or --classes "dog, grass".'
        )
    experiment = experiment or ("invseg" if names else "spacy")
    if text is None:
        text, parser = ", ".join(names), parser or "truth"  # the list itself says what its phrases are
    fix_threads()  # as the workflow's jobs, so that the bytes are theirs
    models = {"backbone": backbone, "sam": sam, "parser": parser, "inverter": inverter}
    whole = with_models(image, experiment=experiment, config=config, offline=offline, **models)
    page = run(image, text, out, classes=names, config=whole, experiment=experiment, adapter=adapter, device=device)
    typer.echo(
        f"masks:   {out / 'masks'}\noverlay: {out / 'overlay.png'}\ncoco:    {out / 'coco.json'}\npage:    {page}"
    )
