"""How a result appears: made aside, whole, and put in place in one short step that a kill cannot leave half done.

A stage writes its files into `.new/` of the shard's folder, their manifest last. From then on the result stands: what
moves it into the folder (`settle`) does the rest of the moving when it is called again. Beside `manifest.json` lies a
copy under a hidden name: Snakemake deletes a job's outputs before it runs the job again, and what was published and
still fits is not computed twice for that.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from stages.artifacts.atomic import sha256_file, sha256_of, sync, write_bytes
from stages.artifacts.errors import AnywordError, ArtifactError
from stages.artifacts.manifest import NAME, FileRecord, Manifest, files_of, read_manifest, write_manifest
from stages.artifacts.shard_reader import ShardReader

COPY = ".published.json"
"""The manifest again, where Snakemake does not look."""
NEW = ".new"
"""A result that is being written, or is whole and not yet in its place."""
PARTS = ".parts"
"""Finished batches of a result that is not whole."""


def published(output: Path, stage: str) -> ShardReader | None:
    """What stands published at the manifest `output`, whether or not Snakemake took the manifest away; None where
    there is nothing of this stage that can be read."""
    sweep(output.parent)
    settle(output.parent)
    return _standing(output.parent, stage)


def sweep(folder: Path) -> None:
    """Remove what a killed writer had begun to write aside."""
    for path in folder.glob(".*.partial"):
        remove(path)


def _standing(folder: Path, stage: str) -> ShardReader | None:
    for name in (NAME, COPY):
        try:
            return ShardReader(folder / name, stage)
        except (AnywordError, OSError):
            continue
    return None


def restore(found: ShardReader) -> None:
    """Give what is published its manifest back where Snakemake took it away, or a disk damaged it."""
    names = (NAME, COPY)
    right = [one for one in names if (found.path / one).is_file() and sha256_file(found.path / one) == found.sha256]
    for name in set(names) - set(right):
        write_bytes(found.path / name, (found.path / right[0]).read_bytes())


def publish(
    folder: Path, writers: Mapping[str, Callable[[Path], None]], manifest: Callable[[dict[str, FileRecord]], Manifest]
) -> Manifest:
    """A result in its place: files, each by its writer, and what `manifest` makes of their records. An equal result
    that is there already stays untouched."""
    new = folder / NEW
    sweep(folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name, write in writers.items():
        write(new / name)
    made = manifest(files_of(new))
    write_manifest(new / NAME, made)
    settle(folder)
    return made


def settle(folder: Path) -> None:
    """Put a result that stands whole in `.new/` in its place. What lay there before goes, its manifest first.

    Nothing is touched where the very same result is there already, so that no reader ever misses it.
    """
    new = folder / NEW
    if not (new / NAME).is_file():
        shutil.rmtree(new, ignore_errors=True)
        return
    data = (new / NAME).read_bytes()
    try:
        manifest = read_manifest(new / NAME)
    except ArtifactError:
        shutil.rmtree(new)
        return
    if _is_there(folder, manifest, data):
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        shutil.rmtree(new)
        return
    earlier = _standing(folder, manifest.stage.name)
    moving = {path.name for path in new.iterdir()} - {NAME}
    old = _top(earlier.manifest) - _top(manifest) if earlier is not None else set()
    (folder / NAME).unlink(missing_ok=True)
    for name in sorted(moving | old):
        remove(folder / name)
    for name in sorted(moving):
        (new / name).replace(folder / name)
    sync(folder)
    write_bytes(folder / COPY, data)  # its list of files stood till now, for whoever does the rest after a kill
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    (new / NAME).replace(folder / NAME)
    sync(folder)
    new.rmdir()


def _is_there(folder: Path, manifest: Manifest, data: bytes) -> bool:
    """Whether exactly this manifest and all its files are in place."""
    found = _standing(folder, manifest.stage.name)
    if found is None or found.sha256 != sha256_of(data):
        return False
    try:
        for one in found.manifest.files:
            found.file(one)
    except ArtifactError:
        return False
    restore(found)
    return True


def _top(manifest: Manifest) -> set[str]:
    """Names in a result's folder itself: files, and folders of files. What a manifest says is data: it leads nowhere
    else."""
    return {name.partition("/")[0] for name in manifest.files} - {"", ".", ".."}


def remove(path: Path) -> None:
    """A file, a link, a whole folder, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
