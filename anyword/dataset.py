"""What the workflow made of a dataset, read shard by shard; every file is checked against its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from anyword.sample import Point, Sample, Score, Target
from stages.artifacts.errors import AnywordError
from stages.artifacts.results import Results, datasets


def open(folder: str | Path, *, images: str | Path | None = None) -> Dataset:
    """The results of a dataset.

    folder: results/DATASET, or results/ where it holds one dataset only. images: the folder that image paths are
    relative to (the `root` of its configuration), for `Sample.image`; drawn worlds keep their own images.

    Raises:
        AnywordError: there are no results, or several datasets; the message names them.
    """
    path = Path(folder)
    own = Results(path)
    if not own.experiments():
        found = [one for one in datasets(path) if one.experiments()]
        if len(found) != 1:
            names = ", ".join(str(one.folder) for one in found)
            raise AnywordError(
                f"{path}: holds {'several datasets' if found else 'no results of an experiment'}.",
                remedy=f"Open one of {names}." if found else "Give results/DATASET, once an experiment has run.",
            )
        own = found[0]
    return Dataset(own, Path(images) if images is not None else None)


@dataclass(frozen=True)
class Dataset:
    """A dataset's results; `dataset["NAME"]` is an experiment."""

    results: Results
    images: Path | None = None

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments, finished or not."""
        return self.results.experiments()

    def __getitem__(self, experiment: str) -> Experiment:
        if experiment not in self.experiments:
            raise AnywordError(
                f"{self.results.folder}: no experiment '{experiment}'.",
                remedy=f"It has {', '.join(self.experiments) or 'none'}.",
            )
        return Experiment(self.results, experiment, self.images)


@dataclass(frozen=True)
class Experiment:
    """An experiment's samples, in the dataset's order: by position, by id, or one after another."""

    results: Results
    name: str
    images: Path | None = None

    @cached_property
    def ids(self) -> list[str]:
        return list(self._shards)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Sample]:
        return (self[name] for name in self.ids)

    def __getitem__(self, which: int | str) -> Sample:
        """AnywordError for an id that is not there, IndexError for a position."""
        wanted = self.ids[which] if isinstance(which, int) else which
        shard = self._shards.get(wanted)
        if shard is None:
            raise AnywordError(f"experiment '{self.name}': no sample '{wanted}'.", remedy="See its `ids`.")
        masks = self.results.masks(self.name, shard)
        changed = masks.stat().st_mtime_ns if masks.is_file() else 0
        return _shard(self, shard, changed).sample(wanted)

    @cached_property
    def _shards(self) -> dict[str, str]:
        """Shard of each sample, in order."""
        from stages.artifacts.shard_reader import ShardReader

        return {
            name: shard
            for shard in self.results.shards()
            for name in ShardReader(self.results.samples(shard), "samples").ids
        }

    @cached_property
    def score(self) -> dict[str, Any] | None:
        """All figures of score.json; None where nothing was scored."""
        import json

        from stages.artifacts.shard_reader import ShardReader

        path = self.results.score(self.name)
        return json.loads(ShardReader(path, "score").file("score.json").read_bytes()) if path.is_file() else None

    @cached_property
    def _lines(self) -> Mapping[str, list[Score]]:
        import csv

        from stages.artifacts.shard_reader import ShardReader

        found: dict[str, list[Score]] = {}
        path = self.results.score(self.name)
        if path.is_file():
            with ShardReader(path, "score").file("scores.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    place = int(row["index"]), int(row["start"]), int(row["end"])
                    pointing = {"True": True, "False": False}.get(row["pointing"])
                    one = Score(row["kind"], *place, row["phrase"], float(row["iou"]), pointing)
                    found.setdefault(row["sample_id"], []).append(one)
        return found


class _Shard:
    """One shard of an experiment, its tables read once."""

    def __init__(self, experiment: Experiment, shard: str) -> None:
        from stages.artifacts.shard_reader import ShardReader, check_lineage

        results = experiment.results
        self.experiment = experiment
        self.inputs = {"samples": ShardReader(results.samples(shard), "samples")}
        masks = ShardReader(results.masks(experiment.name, shard), "segment")
        self.inputs["masks"] = masks
        made_from = dict(masks.manifest.inputs)
        if "points" in made_from:
            self.inputs["points"] = ShardReader(results.points(experiment.name, shard), "prompt")
            made_from = {**self.inputs["points"].manifest.inputs, **made_from}
        if "maps" in made_from:  # which attender's they are, the masks know by hash only
            self.inputs["maps"] = ShardReader(results.made(results.maps("*", "*", shard), made_from["maps"]), "attend")
        check_lineage(self.inputs)
        self.ids = self.inputs["samples"].ids

    def sample(self, name: str) -> Sample:
        samples = self.inputs["samples"]
        row = self._rows.get(name)
        failed = next((one.failures[name] for one in self.inputs.values() if name in one.failures), None)
        if row is None:
            return Sample(name, "", Path(), 0, 0, (), failed=failed or "it has no row")
        root = self.experiment.images or samples.path
        targets = () if failed else tuple(self._target(one, row["text"]) for one in self._masks.get(name, ()))
        maps = self._maps.of_sample(self.inputs["maps"].ids.index(name)) if self._maps and not failed else {}
        return Sample(
            name,
            row["text"],
            root / row["image"],
            row["height"],
            row["width"],
            targets,
            tuple(self.experiment._lines.get(name, ())),
            failed,
            _maps=maps,
            _image=(root, row["image"], row["image_sha256"]),
        )

    def _target(self, row: Mapping[str, Any], text: str) -> Target:
        points = self._points.get((row["sample_id"], row["kind"], row["index"]), ())
        return Target(
            row["kind"],
            row["index"],
            text[row["start"] : row["end"]],
            row["start"],
            row["end"],
            row["score"],
            tuple(Point(one["x"], one["y"], one["label"] == 1) for one in points),
            row,
        )

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        return {row["sample_id"]: row for row in self.inputs["samples"].table("samples")}

    @cached_property
    def _masks(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.inputs["masks"].table("masks"):
            found.setdefault(row["sample_id"], []).append(row)
        return found

    @cached_property
    def _points(self) -> dict[tuple[str, str, int], list[dict[str, Any]]]:
        rows = self.inputs["points"].table("points") if "points" in self.inputs else []
        return {(row["sample_id"], row["kind"], row["index"]): row["points"] for row in rows}

    @cached_property
    def _maps(self) -> Any:
        from stages.artifacts.maps import read_maps

        return read_maps(self.inputs["maps"].file("maps.zarr")) if "maps" in self.inputs else None


@lru_cache(maxsize=1)
def _shard(experiment: Experiment, shard: str, changed: int) -> _Shard:
    """The shard that was asked for last stays open, until its masks are written anew (`changed`: when they were)."""
    return _Shard(experiment, shard)
