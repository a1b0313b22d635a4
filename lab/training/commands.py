"""`anyword world`: the embedded world drawn, its models trained and measured."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError

app = typer.Typer(no_args_is_help=True, help="The embedded world: show its scenes, train and measure its models.")
train = typer.Typer(
    help="Train the embedded models anew: all of them, or the one that is named. Stop at any time: the same command "
    "goes on from the newest checkpoint.",
)
app.add_typer(train, name="train")

RUNS = Path("runs/world")
MODELS = Path("models")

Minutes = Annotated[float | None, typer.Option(min=0.1, help="Stop after this long; the same command goes on later.")]
Seed = Annotated[int, typer.Option(help="Where all random draws start.")]
Runs = Annotated[Path, typer.Option(help="Folder of checkpoints and rendered scenes (ignored by git).")]
Start = Annotated[
    Path | None, typer.Option(help="A trained model to go on from where there is no checkpoint, at a lower rate.")
]
Out = Annotated[Path, typer.Option(help="Where the model is written.")]
Treebank = Annotated[
    Path | None, typer.Option(help="Folder of UD English EWT (its three .conllu files); the parser learns from it.")
]


@train.callback(invoke_without_command=True)
def everything(context: typer.Context, treebank: Treebank = None, minutes: Minutes = None, seed: Seed = 0) -> None:
    """Train all embedded models one after another: autoencoder, backbone, SAM, parser.

    `--minutes` is each model's share of time. The defaults together take about three hours on two cores.
    """
    if context.invoked_subcommand is not None:
        return
    if treebank is None:
        logging.getLogger("anyword").warning("the parser is left out: %s", _WHERE_THE_TREEBANK_IS)
    vae(minutes=minutes, seed=seed)
    backbone(minutes=minutes, seed=seed)
    sam(minutes=minutes, seed=seed)
    if treebank is not None:
        parser(treebank, minutes=minutes, seed=seed)


_WHERE_THE_TREEBANK_IS = (
    "it needs UD English EWT; get it from https://github.com/UniversalDependencies/UD_English-EWT "
    "and name its folder (make train TREEBANK=FOLDER, or --treebank FOLDER)."
)


@train.command()
def vae(out: Out = RUNS / "out" / "vae", minutes: Minutes = None, seed: Seed = 0, runs: Runs = RUNS) -> None:
    """The autoencoder: the encoder is final after seconds, the decoder learns for a quarter of an hour."""
    from lab.training.train_vae import train as run

    run(out, minutes, seed=seed, runs=runs)


@train.command()
def backbone(
    out: Out = MODELS / "backbone",
    autoencoder: Annotated[Path, typer.Option(help="The trained autoencoder.")] = RUNS / "out" / "vae",
    minutes: Minutes = None,
    seed: Seed = 0,
    runs: Runs = RUNS,
    start: Start = None,
    nouns: Annotated[
        bool, typer.Option("--nouns", help="The second training: the model of --start learns to read nouns.")
    ] = False,
) -> None:
    """The diffusion model with its text encoder and tokenizer, on the autoencoder's latents."""
    from lab.training.train_backbone import CURRICULUM
    from lab.training.train_backbone import train as run
    from lab.training.train_nouns import PHASES

    phases = CURRICULUM
    if nouns:
        start = start or MODELS / "backbone"
        autoencoder, runs, phases = start / "vae", runs / "nouns", PHASES

    if not (autoencoder / "config.json").is_file():
        raise AnywordError(f"{autoencoder}: no autoencoder lies here.", remedy="Run `anyword world train vae` first.")
    run(out, autoencoder, minutes, seed=seed, runs=runs, start=start, phases=phases)


@train.command()
def sam(
    out: Out = MODELS / "sam", minutes: Minutes = None, seed: Seed = 0, runs: Runs = RUNS, start: Start = None
) -> None:
    """The embedded Segment Anything."""
    from lab.training.train_sam import train as run

    run(minutes, out, folder=runs / "sam", seed=seed, start=start)


@train.command()
def parser(
    treebank: Treebank = None,
    out: Out = MODELS / "parser",
    minutes: Minutes = None,
    seed: Seed = 0,
    runs: Runs = RUNS,
) -> None:
    """The embedded spaCy pipeline, on a treebank and on template captions."""
    from lab.training.train_parser import train as run

    if treebank is None:
        raise AnywordError("No treebank is named:", remedy=_WHERE_THE_TREEBANK_IS)
    try:
        run(treebank, minutes, out, seed=seed, checkpoint=runs / "parser")
    except FileNotFoundError as error:
        raise AnywordError(str(error)) from error


@app.command()
def evaluate(
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file, too.")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="How many test scenes.")] = 300,
    models: Annotated[Path, typer.Option(help="Folder of the embedded models.")] = Path("models"),
) -> None:
    """Measure the embedded models on test scenes, beside the bars they have to reach."""
    from rich.console import Console
    from rich.table import Table

    from lab.training.evaluate import BARS, PRINTED, everything, write
    from lab.training.evaluate_nouns import BARS as NOUNS

    figures = everything(models, scenes)
    table = Table("figure", "value", "bar", "")
    for key in (*BARS, *PRINTED):
        if key in figures:
            bar = BARS.get(key)
            verdict = "" if bar is None else "reached" if figures[key] >= bar else "missed"
            table.add_row(key, f"{figures[key]:.3f}", "" if bar is None else f"{bar:g}", verdict)
    nouns = Table("that nouns are read", "value", "bar", "")
    for key, (least, most) in NOUNS.items():
        wanted = f"{least:g}" + (f" to {most:g}" if most < 1 else "")
        nouns.add_row(key, f"{figures[key]:.3f}", wanted, "reached" if least <= figures[key] <= most else "missed")
    console = Console()
    console.print(table)
    console.print(nouns)
    for line in figures.get("missing", ()):
        console.print(f"not measured: {line}")
    if json is not None:
        write(figures, json)


@app.command()
def show(
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("scene.png"),
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    index: Annotated[int, typer.Option(min=0, help="Which scene of the split.")] = 0,
    scale: Annotated[int, typer.Option(min=1, max=16, help="Pixels of the picture a pixel of the scene.")] = 4,
) -> None:
    """Draw one scene, its caption, and the truth of each phrase."""
    from lab.training.sheet import sheet
    from stages.world.sample import sample

    try:
        item = sample(split, index)
    except ValueError as error:
        raise AnywordError(str(error)) from error
    sheet(item, scale).save(out)
    typer.echo(item.text)
    for truth in item.truth:
        part = item.parse.phrases if truth.kind == "phrase" else item.parse.predicates
        tags = f"  ({', '.join(truth.tags)})" if truth.tags else ""
        typer.echo(f"  {part[truth.number].span.of(item.text)}{tags}")
    typer.echo(f"wrote {out}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="New folder to write to.")],
    form: Annotated[
        str, typer.Option("--format", help="grandf, grefcoco, refcoco, voc, context or coco-object.")
    ] = "grandf",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    first: Annotated[int, typer.Option(min=0, help="Number of the first scene.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 50,
) -> None:
    """Write scenes as a published dataset is: a stand-in for it, in its own folders and files."""
    from lab.training.published import export as write
    from stages.artifacts.errors import AnywordError

    try:
        lines = write(form, out, split, first, count)
    except AnywordError:
        raise
    except ValueError as error:
        raise AnywordError(str(error)) from error
    typer.echo(f"wrote {count} scenes to {out}. As a dataset of the configuration:")
    typer.echo("\n".join(f"  {line}" for line in lines))
