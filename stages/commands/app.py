"""`anyword app`: the one-image job in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def app(
    backbone: Annotated[str | None, typer.Option(help="Diffusion model, as for `anyword segment`.")] = None,
    sam: Annotated[str | None, typer.Option(help="SAM, as for `anyword segment`.")] = None,
    inverter: Annotated[str | None, typer.Option(help="A name of `inverters`.")] = None,
    experiment: Annotated[str, typer.Option(help="Experiment whose recipes are used where nothing is said.")] = "spacy",
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    offline: Annotated[
        bool, typer.Option(help="Take hub ids from the local cache only; --no-offline lets them be fetched.")
    ] = True,
    port: Annotated[int, typer.Option(help="Of 127.0.0.1; nothing else on the network sees it.")] = 7860,
) -> None:
    """Open a page on 127.0.0.1: drop an image, write a sentence, look at every word's map, take the masks.

    Needs Gradio: pip install 'segment-anyword[app]'. Nothing is shared or sent; images and results are deleted when it
    ends (Ctrl-C).
    """
    from anyword.app import serve
    from stages.environment import fix_threads

    fix_threads()  # as the workflow's jobs, so that the bytes are theirs
    options = {"backbone": backbone, "sam": sam, "inverter": inverter, "experiment": experiment}
    serve({**options, "config": config, "device": device, "offline": offline}, port)
