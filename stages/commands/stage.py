"""`anyword stage NAME`: one stage on one shard, as the workflow's rules call it.

Each command only hands its arguments to `run` of `stages/<stage>/command.py`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.artifacts.claim import claimed
from stages.artifacts.errors import AnywordError
from stages.environment import fix_threads

app = typer.Typer(
    no_args_is_help=True,
    help="""Run one stage on one shard: what the workflow's rules call, also by hand.

    A shard is a folder with a `manifest.json`. Inputs and output are named by it, and it is written last. A killed
    stage, started again with the same arguments, goes on after its last finished batch; parse, invert, attend, prompt
    and segment keep a result, or those of its samples, that they would only make again (remove its folder to force
    them). One writer works on a folder at a time: a second one waits. The recipe is JSON with a `kind`, as the rule
    prints it (`snakemake -np`) and every manifest keeps it.
    """,
    epilog="Example: anyword stage parse --samples results/demo/samples/00000/manifest.json "
    '--recipe \'{"kind": "spacy"}\' --output out/manifest.json',
)

Samples = Annotated[Path, typer.Option(help="Manifest of the shard's samples.")]
Recipe = Annotated[str, typer.Option(help="The stage's recipe: JSON, or @FILE that holds it.", metavar="JSON")]
Output = Annotated[Path, typer.Option(help="Manifest to write; its files go beside it.")]
Images = Annotated[
    Path | None, typer.Option(help="Folder that image paths are relative to; default: the samples' own.")
]
Adapter = Annotated[
    Path | None, typer.Option(help="Manifest of the text encoder's adapter, where the recipe names one.")
]
BatchSize = Annotated[
    int | None, typer.Option(help="Images a step. Decides memory and speed, never the result.", min=1)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Memory = Annotated[
    float | None,
    typer.Option(help="GiB of the device to use, weights included; default: what is free. Never changes the result."),
]
CheckpointMinutes = Annotated[
    float | None, typer.Option(help="Minutes after which the state is kept, so that a kill costs no more.", min=0)
]
Root = Annotated[Path, typer.Option(help="The dataset's results, with one folder a stage: results/DATASET.")]
Experiment = Annotated[str, typer.Option(help="Name of the experiment.")]
Shards = Annotated[int, typer.Option(help="How many shards the dataset has.", min=0)]


@app.command()
def index(
    recipe: Recipe,
    output: Output,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    texts: Annotated[Path | None, typer.Option(help="CSV or JSONL table of texts.")] = None,
) -> None:
    """List a dataset once: how many shards it has, and which rows each holds."""
    from stages.samples.command import index

    with claimed(output.parent):
        index(recipe=_recipe(recipe), output=output, root=root, texts=texts)


@app.command()
def samples(
    index: Annotated[Path, typer.Option(help="Manifest of the shard's listing.")],
    recipe: Recipe,
    output: Output,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
) -> None:
    """Look at every image of a shard; write its samples and truth. A bad row fails alone, with its reason.

    Batch size and device are for the models that choose candidate classes, where the recipe has a `filter`.
    """
    options = _execution(batch_size, device)
    _run("samples", index=index, recipe=_recipe(recipe), output=output, root=root, **options)


@app.command()
def parse(samples: Samples, recipe: Recipe, output: Output) -> None:
    """Find the phrases of every text: nouns with their adjectives, and the verbs between them."""
    _run("parse", samples=samples, recipe=_recipe(recipe), output=output)


@app.command()
def adapt(
    samples: Annotated[list[Path], typer.Option(help="Manifest of a shard to draw pairs from; may be repeated.")],
    recipe: Recipe,
    output: Output,
    images: Images = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    memory: Memory = None,
    checkpoint_minutes: CheckpointMinutes = None,
) -> None:
    """Fit a small adapter of the text encoder to a dataset's training pairs, so that inversion needs few steps."""
    options = _execution(batch_size, device, memory, checkpoint_minutes)
    _run("adapt", samples=samples, images=images, recipe=_recipe(recipe), output=output, **options)


@app.command()
def invert(
    samples: Samples,
    recipe: Recipe,
    output: Output,
    images: Images = None,
    adapter: Adapter = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    memory: Memory = None,
    checkpoint_minutes: CheckpointMinutes = None,
) -> None:
    """Fit the words' token embeddings to each image under the diffusion loss, encoder and UNet frozen."""
    options = _execution(batch_size, device, memory, checkpoint_minutes)
    _run("invert", samples=samples, images=images, adapter=adapter, recipe=_recipe(recipe), output=output, **options)


@app.command()
def attend(
    samples: Samples,
    embeddings: Annotated[Path, typer.Option(help="Manifest of the shard's fitted embeddings.")],
    recipe: Recipe,
    output: Output,
    images: Images = None,
    adapter: Adapter = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    memory: Memory = None,
) -> None:
    """Average the cross-attention of every word over a DDIM inversion of its image."""
    options = _execution(batch_size, device, memory)
    paths = {"samples": samples, "images": images, "embeddings": embeddings, "adapter": adapter}
    _run("attend", **paths, recipe=_recipe(recipe), output=output, **options)


@app.command()
def prompt(
    samples: Samples,
    phrases: Annotated[Path, typer.Option(help="Manifest of the shard's phrases.")],
    maps: Annotated[Path, typer.Option(help="Manifest of the shard's attention maps.")],
    recipe: Recipe,
    output: Output,
) -> None:
    """Turn maps and phrases into points, inside (1) and outside (0) what each phrase names."""
    _run("prompt", samples=samples, phrases=phrases, maps=maps, recipe=_recipe(recipe), output=output)


@app.command()
def segment(
    samples: Samples,
    recipe: Recipe,
    output: Output,
    points: Annotated[Path | None, typer.Option(help="Manifest of the shard's points.")] = None,
    maps: Annotated[Path | None, typer.Option(help="Manifest of the shard's maps.")] = None,
    phrases: Annotated[Path | None, typer.Option(help="Manifest of the shard's phrases.")] = None,
    images: Images = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    memory: Memory = None,
) -> None:
    """Cut one mask a phrase, each image encoded once. What is read depends on the recipe's kind."""
    reads = {"points": points, "maps": maps, "phrases": phrases}
    options = {name: path for name, path in reads.items() if path} | _execution(batch_size, device, memory)
    _run("segment", samples=samples, images=images, recipe=_recipe(recipe), output=output, **options)


@app.command()
def score(
    root: Root,
    experiment: Experiment,
    shards: Shards,
    recipe: Recipe,
    output: Output,
    parser: Annotated[str | None, typer.Option(help="Parser: its referred phrase answers an expression.")] = None,
    inverter: Annotated[str | None, typer.Option(help="Inverter, with the attender: score pointing too.")] = None,
    attender: Annotated[str | None, typer.Option(help="Attender: its maps are held against truth.")] = None,
) -> None:
    """Hold an experiment's masks against the dataset's truth, over all shards."""
    names = {"parser": parser, "inverter": inverter, "attender": attender}
    places = {"root": root, "experiment": experiment, "shards": shards}
    _run("score", **places, **names, recipe=_recipe(recipe), output=output)


@app.command()
def report(
    root: Root,
    experiment: Experiment,
    shards: Shards,
    recipe: Recipe,
    output: Output,
    images: Images = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for plots (SVG) of scores, seconds by stage and failures.")
    ] = None,
) -> None:
    """Write the experiment's offline page: a gallery of all samples, and each one's words, maps, points and masks."""
    places = {"root": root, "experiment": experiment, "shards": shards, "images": images, "plots": plots}
    _run("report", **places, recipe=_recipe(recipe), output=output)


def _run(room: str, *, output: Path, **arguments: Any) -> None:
    fix_threads()
    command = importlib.import_module(f"stages.{room}.command")
    with claimed(output.parent):
        command.run(output=output, **arguments)


def _execution(
    batch_size: int | None, device: str, memory: float | None = None, checkpoint_minutes: float | None = None
) -> dict[str, Any]:
    """Options of execution; the stage's own default stands where nothing was given."""
    given = {"batch_size": batch_size, "memory": memory, "checkpoint_minutes": checkpoint_minutes}
    return {"device": device} | {name: value for name, value in given.items() if value is not None}


def _recipe(text: str) -> dict[str, Any]:
    """The recipe as plain values; AnywordError where it is no JSON object."""
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise AnywordError(f"--recipe: {path} cannot be read ({error.strerror}).") from None
    try:
        recipe = json.loads(text)
    except json.JSONDecodeError as error:
        raise AnywordError(f"--recipe: no JSON ({error}).", remedy="Give an object such as {}.") from None
    if not isinstance(recipe, dict):
        raise AnywordError(f"--recipe: {text:.60} is no JSON object.", remedy='Give {"kind": …}.')
    return recipe
