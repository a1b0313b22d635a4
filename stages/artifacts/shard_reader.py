"""A finished shard as its readers see it: every file checked against the manifest before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.artifacts.atomic import sha256_file
from stages.artifacts.errors import ArtifactError
from stages.artifacts.manifest import NAME, Manifest, read_manifest
from stages.artifacts.tables import read_table


class ShardReader:
    """One stage's result for one shard (or, for score and report, for all of them)."""

    def __init__(self, manifest: Path, stage: str) -> None:
        """Open by the path of the folder or of its manifest; ArtifactError if it is not `stage`'s."""
        manifest = manifest / NAME if manifest.is_dir() else manifest
        self.path = manifest.parent
        self.stage = stage
        self.manifest: Manifest = read_manifest(manifest, stage)
        self.sha256 = sha256_file(manifest)

    def file(self, name: str) -> Path:
        """The path of a file or, for a Zarr group, of a folder, once its size and hash are those recorded."""
        records = self.manifest.files
        wanted = [one for one in records if one == name or one.startswith(name + "/")]
        if not wanted:
            raise ArtifactError(f"{self.path}: its manifest lists no '{name}'.", remedy=self._remedy)
        for one in wanted:
            path = self.path / one
            if not path.is_file():
                raise ArtifactError(f"{path}: is gone, though its manifest lists it.", remedy=self._remedy)
            if path.stat().st_size != records[one].size or sha256_file(path) != records[one].sha256:
                raise ArtifactError(f"{path}: is not the file that its manifest describes.", remedy=self._remedy)
        return self.path / name

    def table(self, table: str) -> list[dict[str, Any]]:
        """The rows of `{table}.parquet`, verified."""
        return read_table(self.file(f"{table}.parquet"), table)

    def images(self, elsewhere: Path | None) -> Path:
        """The folder that the samples' image paths are relative to: `elsewhere`, where it is given, or the shard's own,
        once the images that were drawn there are those recorded."""
        if elsewhere is not None:
            return elsewhere
        for name in {name.partition("/")[0] for name in self.manifest.files if "/" in name}:
            self.file(name)
        return self.path

    @property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.manifest.samples]

    @property
    def keys(self) -> dict[str, str]:
        """Key by id of the samples whose results have an identity of their own."""
        return {sample.id: sample.key for sample in self.manifest.samples if sample.key is not None}

    @property
    def failures(self) -> dict[str, str]:
        """Reason by id of the samples that failed here or before."""
        return {s.id: s.reason or "no reason given" for s in self.manifest.samples if s.state == "failed"}

    @property
    def _remedy(self) -> str:
        return f"Take it away with `anyword verify {self.path} --repair` and run {self.stage} again."


def check_lineage(inputs: dict[str, ShardReader]) -> None:
    """ArtifactError where two inputs were not made from the same thing.

    Whatever an input says it was made from, and which is itself an input here, must be that very manifest: maps of
    other samples, or points of another parse, are refused by name.
    """
    for name, folder in inputs.items():
        for origin, sha256 in folder.manifest.inputs.items():
            if origin in inputs and inputs[origin].sha256 != sha256:
                raise ArtifactError(
                    f"{folder.path}: this {name} was made from another {origin} than {inputs[origin].path}.",
                    remedy=f"Run {folder.stage} again on that {origin}.",
                )
