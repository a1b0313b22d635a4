"""`anyword run` and `anyword init`: the workflow from any folder, beside one's images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError

IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
TABLES = ("texts.csv", "texts.jsonl")


def run(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="Your configuration, laid over the repository's config.yaml.")],
) -> None:
    """Run the workflow in the folder of a configuration: paths in it, and results/, are relative to that folder.

    Snakemake does the work, on all cores unless told otherwise; its options go behind. Status 1 where every sample of
    an experiment failed, now or before.

    Examples: anyword run photos/mine.yaml · anyword run mine.yaml -- -n · anyword run mine.yaml -- -c4 --keep-going
    """
    import re
    import subprocess
    import sys

    from stages import REPOSITORY

    if not config.is_file():
        raise AnywordError(
            f"{config}: no such file.", remedy="`anyword init FOLDER` writes one for a folder of images."
        )
    snakefile = REPOSITORY / "Snakefile"
    if not snakefile.is_file():
        raise AnywordError(f"{snakefile}: no workflow here.", remedy="Install from a checkout: pip install -e .")
    mine, profile = config.resolve(), REPOSITORY / "workflow" / "profiles" / "local"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "all"]
    command += ["--profile", str(profile), "--directory", str(mine.parent), "--configfile", str(mine)]
    status = subprocess.run([*command, *context.args], check=False).returncode
    if status == 0 and not any(re.fullmatch(r"-\w*n\w*|--dry-?run", one) for one in context.args):
        status = _nothing_done(mine)  # of a run with nothing to do, Snakemake says nothing
    raise typer.Exit(status)


def _nothing_done(config: Path) -> int:
    """1 where results are there and an experiment has no sample that went through; says so."""
    from stages.artifacts.results import RESULTS, Results
    from stages.artifacts.summary import lifeless, summary
    from stages.config import Workflow, complete_config

    workflow = Workflow(complete_config(config))
    root = config.parent / RESULTS
    data = {name: Results(root / workflow.experiment(name).dataset) for name in workflow.config.targets}
    found = [summary(results, name) for name, results in data.items() if results.index.is_file()]
    if said := lifeless(found):
        typer.echo("\n".join(line for one in found if one.nothing_done for line in one.lines()), err=True)
        typer.echo(said, err=True)
    return int(bool(said))


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of images.")],
    out: Annotated[Path | None, typer.Option(help="The file; default: mine.yaml in the folder.")] = None,
) -> None:
    """Write a configuration, every line explained, for a folder of images; and the table of their texts, to fill in.

    A table that is there (texts.csv, texts.jsonl) is taken, and a text file beside an image (photo.txt for photo.jpg)
    becomes its text. Nothing is overwritten.
    """
    if not folder.is_dir():
        raise AnywordError(f"{folder}: no such folder.", remedy="Give the folder that holds your images.")
    path = out or folder / "mine.yaml"
    if path.exists():
        raise AnywordError(f"{path}: is there already.", remedy="Name another file with --out, or remove it.")
    images = sorted(one for one in folder.rglob("*") if one.suffix.lower() in IMAGES and one.is_file())
    if not images:
        raise AnywordError(f"{folder}: no images below it.", remedy=f"It looks for {', '.join(sorted(IMAGES))}.")
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    empty = 0
    if table is None:
        table = folder / TABLES[0]
        empty = _write_texts(table, folder, images)
        typer.echo(f"wrote {table}: {len(images)} images, {empty} of them without a text yet")
    place = _relative(folder, path.parent)
    path.write_text(_TEMPLATE.format(root=place, texts=(Path(place) / table.name).as_posix()), encoding="utf-8")
    typer.echo(f"wrote {path}")
    typer.echo(f"next: {'write what each image shows, then ' if empty else ''}anyword run {path} -- -n")


def _write_texts(table: Path, folder: Path, images: list[Path]) -> int:
    """The table of texts; gives how many are empty."""
    import csv

    empty = 0
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "text"])
        for image in images:
            name = image.relative_to(folder)
            beside = image.with_suffix(".txt")
            text = " ".join(beside.read_text(encoding="utf-8").split()) if beside.is_file() else ""
            empty += not text
            writer.writerow([name.with_suffix("").as_posix().replace("/", "-"), name.as_posix(), text])
    return empty


def _relative(folder: Path, start: Path) -> str:
    import os

    return Path(os.path.relpath(folder.resolve(), start.resolve())).as_posix()


_TEMPLATE = """\
# A run of anyword over a folder of images. Paths are relative to this file's folder.
#   anyword run mine.yaml -- -n     what would run, and what is missing
#   anyword run mine.yaml           run it; results/ appears beside this file
# It is laid over the repository's config.yaml, which explains every key.

datasets:
  photos:
    kind: folder
    root: {root}            # images
    texts: {texts}  # id, image, text; optional columns: split, group, tags, phrases, masks

backbones:
  sd15:
    kind: stable-diffusion
    path: stable-diffusion-v1-5/stable-diffusion-v1-5   # a hub id, or a local folder
    offline: false          # false: fetched once; true: only what is on this machine

inverters:
  sd15:
    kind: textual           # the paper's settings are the defaults: 1100 steps an image, by far the longest stage
    backbone: sd15
    steps: 200              # fewer for a first look

segmenters:
  vit_h:
    kind: segment-anything
    model: vit_h
    checkpoint: sam_vit_h_4b8939.pth   # download it once from Segment Anything's repository; vit_b is smaller

experiments:
  photos:
    dataset: photos
    parser: spacy           # `anyword parsers` says which can run here
    inverter: sd15
    attender: direct
    prompter: papers
    segmenter: vit_h
targets: [photos]

# execution:
#   device: cuda            # auto takes a GPU where there is one
#   batch_size: {{invert: 8}}
"""
