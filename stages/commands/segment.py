"""`anyword segment`: one image, one sentence, every mask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def segment(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    text: Annotated[str, typer.Argument(help="The sentence whose words are to be found in it.")],
    out: Annotated[Path, typer.Option(help="Folder for masks, overlay, COCO JSON and page.")] = Path("out"),
    backbone: Annotated[
        str | None,
        typer.Option(help="Diffusion model: folder or hub id, or a name in the configuration. Default: embedded."),
    ] = None,
    sam: Annotated[
        str | None,
        typer.Option(help="SAM checkpoint: a file, or a segmenter's name in the configuration. Default: embedded."),
    ] = None,
    parser: Annotated[str | None, typer.Option(help="A parser's name in the configuration.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of inversion; 0: none. Default: the recipe's.", min=0)
    ] = None,
    experiment: Annotated[str, typer.Option(help="Whose recipes to start from.")] = "spacy",
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    online: Annotated[bool, typer.Option("--online", help="Allow fetching a hub id that is not in the cache.")] = False,
) -> None:
    """Segment every word of a sentence in one image: masks (PNG), overlay, COCO JSON and an offline page.

    With `--backbone` the papers' settings are used (1100 steps, 8 draws: minutes on a GPU); give `--steps` for a
    quicker look. What is unchanged from an earlier run into the same folder is kept.

    Example: anyword segment photo.jpg "a black cat on a red sofa" --out out/ --backbone models/sd15 --sam sam_vit_h.pth
    """
    from stages.single import chosen_models, knows_only_the_embedded_world, segment
    from stages.studies.workflow import complete_config

    complete = complete_config(config)
    complete = chosen_models(
        complete, experiment, backbone=backbone, sam=sam, parser=parser, steps=steps, online=online
    )
    if knows_only_the_embedded_world(complete, experiment):
        typer.echo("note: the embedded backbone knows only the embedded world; photographs need --backbone.", err=True)
    page = segment(image, text, out, config=complete, experiment=experiment, device=device)
    typer.echo(
        f"masks:   {out / 'masks'}\noverlay: {out / 'overlay.png'}\nCOCO:    {out / 'coco.json'}\npage:    {page}"
    )
