"""`manifest.json`: what a shard's folder holds, what it was made from, and how each sample fared.

It is written last, so its presence says that the folder is whole. It holds no times and no absolute paths: the
same result is the same bytes, and a rerun that changes nothing changes no content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.artifacts.atomic import canonical, json_bytes, sha256_file, sha256_of, write_bytes
from stages.artifacts.errors import ArtifactError

SCHEMA: Literal[1] = 1
NAME = "manifest.json"
_NO_SEAL = "0" * 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Strict):
    """A stage's name and version. The version changes when, and only when, the stage's results change."""

    name: str
    version: str


class SampleState(_Strict):
    id: str
    state: Literal["done", "failed"]
    reason: str | None = None
    key: str | None = None
    """What this sample's own result was made from: see `sample_keys`. None where it failed, and of a stage whose
    results are not a sample's own."""


class FileRecord(_Strict):
    size: int
    sha256: str


class ModelRecord(_Strict):
    """Weights that took part: the id as the user wrote it, and the hash of what was loaded."""

    id: str
    revision: str | None = None
    sha256: str


class Manifest(_Strict):
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    stage: Stage
    recipe: dict[str, Any]
    models: dict[str, ModelRecord] = {}
    inputs: dict[str, str]
    """Name of each input to the sha256 of its manifest."""
    fingerprint: str
    """Hash of stage, recipe, models and inputs: what decides the result."""
    samples: tuple[SampleState, ...] = ()
    files: dict[str, FileRecord] = {}
    summary: dict[str, Any] = {}
    seal: str | None = None
    """Hash of the file's bytes, with zeros for the seal; None in memory, and in files older than it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def fingerprint(stage: Stage, recipe: dict[str, Any], models: dict[str, ModelRecord], inputs: dict[str, str]) -> str:
    """The identity of a result before it exists."""
    return sha256_of(
        canonical(
            {
                "schema": SCHEMA,
                "stage": stage.model_dump(),
                "recipe": recipe,
                "models": {name: model.model_dump() for name, model in models.items()},
                "inputs": inputs,
            }
        )
    )


def files_of(folder: Path) -> dict[str, FileRecord]:
    """Every file below a folder but the manifest and hidden ones (parts of unfinished work), by relative path."""
    records = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and name.as_posix() != NAME:
            records[name.as_posix()] = FileRecord(size=path.stat().st_size, sha256=sha256_file(path))
    return records


def write_manifest(path: Path, manifest: Manifest) -> None:
    data = json_bytes({**manifest.model_dump(mode="json", by_alias=True), "seal": _NO_SEAL})
    write_bytes(path, _with_seal(data, _NO_SEAL, sha256_of(data)))


def _with_seal(data: bytes, old: str, new: str) -> bytes:
    return data.replace(f'\n  "seal": "{old}"'.encode(), f'\n  "seal": "{new}"'.encode())


def read_manifest(path: Path, stage: str | None = None) -> Manifest:
    """The manifest at `path`; ArtifactError if it is missing, broken, altered, or of another stage than `stage`."""
    if path.is_dir():
        path = path / NAME
    try:
        data = path.read_bytes()
        manifest = Manifest.model_validate_json(data)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no {stage or 'manifest'} here.", remedy="Run that stage first.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(
            f"{path}: not a manifest of this version ({where or 'file'}: {first['msg']}).", remedy=_remedy(path)
        ) from None
    if stage is not None and manifest.stage.name != stage:
        raise ArtifactError(f"{path}: a manifest of stage '{manifest.stage.name}' where '{stage}' is expected.")
    if not _as_written(data, manifest):
        raise ArtifactError(f"{path}: was altered after it was written.", remedy=_remedy(path))
    return manifest


def _as_written(data: bytes, manifest: Manifest) -> bool:
    """Whether a manifest says what it said when it was written: its fingerprint is that of what it names, and, where
    it bears a seal, every byte is as it was."""
    named = fingerprint(manifest.stage, manifest.recipe, manifest.models, manifest.inputs)
    if manifest.fingerprint != named:
        return False
    if manifest.seal is None:
        return True
    return sha256_of(_with_seal(data, manifest.seal, _NO_SEAL)) == manifest.seal


def _remedy(path: Path) -> str:
    return f"Take it away with `anyword verify {path.parent} --repair`, then run the workflow again."
