"""An experiment's results on one shard, each found by what the next was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stages.artifacts.embeddings import DRIFT
from stages.artifacts.embeddings import NAME as EMBEDDINGS
from stages.artifacts.errors import ArtifactError
from stages.artifacts.failures import FailedSample, failed_samples
from stages.artifacts.language import Parse
from stages.artifacts.maps import WordMaps, read_maps
from stages.artifacts.results import Results
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.tables import parse_of

if TYPE_CHECKING:
    import numpy as np

Row = Mapping[str, Any]
Key = tuple[str, int]
"""kind and index of a target or a truth."""
ORDER = ("samples", "phrases", "embeddings", "maps", "points", "masks")
"""A shard's results in the order of the stages; maps, points and embeddings only where masks come of them."""


@dataclass(frozen=True)
class Shard:
    """What an experiment made of one shard; tables are read, and verified, when they are first asked for."""

    name: str
    inputs: dict[str, ShardReader]

    def unread(self) -> Shard:
        """The same with no table in memory."""
        return Shard(self.name, self.inputs)

    @cached_property
    def failures(self) -> dict[str, FailedSample]:
        return failed_samples(self.inputs)

    @property
    def ids(self) -> list[str]:
        return self.inputs["samples"].ids

    @cached_property
    def rows(self) -> dict[str, Row]:
        return {row["sample_id"]: row for row in self.inputs["samples"].table("samples")}

    @cached_property
    def parses(self) -> dict[str, Parse]:
        return {row["sample_id"]: parse_of(row) for row in self.inputs["phrases"].table("phrases")}

    @cached_property
    def masks(self) -> dict[str, dict[Key, Row]]:
        return _grouped(self.inputs["masks"].table("masks"))

    @cached_property
    def truth(self) -> dict[str, dict[Key, Row]]:
        return _grouped(self.inputs["samples"].table("truth"))

    @cached_property
    def points(self) -> dict[str, dict[Key, Row]]:
        return _grouped(self.inputs["points"].table("points")) if "points" in self.inputs else {}

    @cached_property
    def maps(self) -> WordMaps | None:
        if "maps" not in self.inputs:
            return None
        return read_maps(self.inputs["maps"].file("maps.zarr"), parts=True)

    @cached_property
    def losses(self) -> np.ndarray | None:
        """Loss [samples, steps] of the inversion, NaN where no step was taken; None without an inversion."""
        if "embeddings" not in self.inputs or EMBEDDINGS not in self.inputs["embeddings"].manifest.files:
            return None
        from safetensors import safe_open

        with safe_open(self.inputs["embeddings"].file(EMBEDDINGS), framework="numpy") as file:
            return file.get_tensor("loss")

    @cached_property
    def drift(self) -> dict[str, dict[tuple[int, int], float]]:
        """Of each sample's tokens that learned, by their characters, how far their vectors went; where it was kept."""
        if "embeddings" not in self.inputs or DRIFT not in self.inputs["embeddings"].manifest.files:
            return {}
        found: defaultdict[str, dict[tuple[int, int], float]] = defaultdict(dict)
        for row in self.inputs["embeddings"].table("drift"):
            found[row["sample_id"]][row["start"], row["end"]] = row["drift"]
        return dict(found)


def open_shard(results: Results, experiment: str, name: str) -> Shard:
    """The shard's results, from the masks back to the samples.

    Raises:
        ArtifactError: one is not there any more, or was made from others than these.
    """
    found = {
        "samples": ShardReader(results.samples(name), "samples"),
        "masks": ShardReader(results.masks(experiment, name), "segment"),
    }
    made_from = dict(found["masks"].manifest.inputs)
    if "points" in made_from:
        found["points"] = ShardReader(results.points(experiment, name), "prompt")
        made_from = {**found["points"].manifest.inputs, **made_from}
    if "maps" in made_from:
        found["maps"] = ShardReader(results.made(results.maps("*", "*", name), made_from["maps"]), "attend")
        # Only for loss, drift and the recipe's name: embeddings may have been cleared away, maps hold all the rest.
        wanted = found["maps"].manifest.inputs.get("embeddings")
        try:
            path = results.made(results.embeddings("*", name), wanted)
            found["embeddings"] = ShardReader(path, "invert")
        except ArtifactError:
            pass
    parsed = made_from.get("phrases")
    found["phrases"] = ShardReader(results.made(results.phrases("*", name), parsed), "parse")
    check_lineage(found)
    return Shard(name, {part: found[part] for part in ORDER if part in found})


def _grouped(rows: Iterable[Row]) -> dict[str, dict[Key, Row]]:
    found: defaultdict[str, dict[Key, Row]] = defaultdict(dict)
    for row in rows:
        found[row["sample_id"]][row["kind"], row["index"]] = row
    return found
