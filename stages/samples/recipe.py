"""What `datasets:` in the configuration may hold, one model a `kind`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.artifacts.manifest import Stage

INDEX = Stage(name="index", version="1")
STAGE = Stage(name="samples", version="1")

ROOT_KEYS = frozenset({"root", "texts"})
"""Where the data lies on this machine. They are arguments of the command, never part of a recipe: a dataset that
moves to another disk keeps its results."""


class _Dataset(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    shard_size: int = Field(
        64, ge=1, le=100_000, description="Samples a shard: one job of the workflow, so that a model loads once."
    )


class WorldDataset(_Dataset):
    """Scenes of the embedded world, drawn from their number alone; truth is exact."""

    kind: Literal["world"] = "world"
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes.")


class FolderDataset(_Dataset):
    """A folder of images and one table of texts (CSV or JSONL)."""

    kind: Literal["folder"] = "folder"
    root: str = Field(description="Folder of the images; relative to where snakemake runs.")
    texts: str = Field(
        description="CSV or JSONL file with the columns id, image (path below root) and text; optional: split, "
        "tags (JSON list), phrases (JSON list of strings or of {start, end, root_start, root_end, adjectives}), "
        "masks (JSON list of mask image paths below root, one a phrase, null where there is none)."
    )


Dataset = WorldDataset | FolderDataset
