"""What several studies share: options, where they write, and scenes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.results import RESULTS

STUDIES = RESULTS / "studies"

Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
Cores = Annotated[int, typer.Option(help="Cores for Snakemake.", min=1)]
Config = Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")]
Samples = Annotated[int, typer.Option(help="Scenes of the embedded world.", min=1)]
Split = Annotated[str, typer.Option(help="val to tune on, test for figures.")]
First = Annotated[int, typer.Option(help="Number of the first scene.", min=0)]
ShardSize = Annotated[int, typer.Option(help="Scenes a job.", min=1)]
Dataset = Annotated[str, typer.Option(help="One of the configuration's datasets, instead of embedded scenes.")]
Like = Annotated[
    str,
    typer.Option(help="The experiment whose recipes are used: inverter, attender, prompter, segmenter, parser."),
]
Similarity = Annotated[
    str, typer.Option(help="Local folder of a BERT for GranDf's similarity of phrases; '': equality of strings.")
]


def scenes(split: str, first: int, samples: int, shard_size: int) -> tuple[str, dict[str, Any]]:
    """Name and recipe of a run of embedded scenes. Studies over the same scenes share the name, and so what the
    workflow makes of them: parses, inversions, maps."""
    recipe = {"kind": "world", "split": split, "first": first, "count": samples, "shard_size": shard_size}
    return f"scenes-{split}-{first}-{samples}", recipe


def chosen_dataset(
    base: Mapping[str, Any], name: str, split: str, first: int, samples: int, shard_size: int
) -> tuple[str, dict[str, Any]]:
    """The configuration's dataset of that name, or scenes where none is named.

    Raises:
        AnywordError: the configuration has no such dataset.
    """
    if not name:
        return scenes(split, first, samples, shard_size)
    if name not in base["datasets"]:
        raise AnywordError(
            f"--dataset '{name}' is none of {', '.join(base['datasets'])}.",
            remedy="Name it under `datasets` in a file given by --config.",
        )
    return name, base["datasets"][name]


def numbers(text: str, option: str) -> list[int]:
    """The whole numbers that an option lists, in order; AnywordError names `option`."""
    try:
        found = sorted({int(one) for one in text.split(",") if one.strip()})
    except ValueError:
        found = []
    if not found or found[0] < 0:
        raise AnywordError(f"{option} '{text}' is no list of numbers.", remedy="Give such as 0,8,16.")
    return found
