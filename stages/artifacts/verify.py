"""Whether results are what was written, and still belong together: every file against its manifest, every manifest
against its seal and against what it was made from."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stages.artifacts.atomic import sha256_file
from stages.artifacts.errors import AnywordError, ArtifactError
from stages.artifacts.manifest import NAME, Manifest, read_manifest
from stages.artifacts.publication import COPY, remove
from stages.artifacts.results import SHARD, belongs

_HASHING = 8  # threads; hashlib lets them run side by side


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written."""

    path: Path
    stage: str
    what: str
    spoils: bool = True
    """Whether the result can be used no more; a file too many, or a manifest without its copy, spoils nothing."""

    def __str__(self) -> str:
        return f"{self.path}: {self.stage}: {self.what}"


@dataclass
class Checked:
    """One result: its folder, what its manifest says where that can be read, and what is wrong."""

    folder: Path
    manifest: Manifest | None = None
    hashes: frozenset[str] = frozenset()
    """Of its manifest and of the copy, by which others name what they were made from."""
    files: int = 0
    findings: list[Finding] = field(default_factory=list)


def results_below(folder: Path) -> list[Path]:
    """Every folder, `folder` itself included, that holds a result, finished or taken away by Snakemake."""
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".zarr"))
        if NAME in files or COPY in files:
            found.append(Path(at))
    return found


def checked(folders: list[Path]) -> Iterator[Checked]:
    """Each result by itself, in order, several at a time."""
    with ThreadPoolExecutor(_HASHING) as pool:
        yield from pool.map(check, folders)


def check(folder: Path) -> Checked:
    """One result: manifest, copy, listed files, files that nobody lists."""
    found = sealed(folder)
    say = found.findings
    there = set(_files(folder))
    read: dict[str, Manifest] = {}
    for name in (NAME, COPY):
        path = folder / name
        if name == COPY and NAME in read and len(found.hashes) == 1 and path.is_file():
            continue  # the same bytes
        try:
            read[name] = read_manifest(path)
        except (AnywordError, OSError) as error:
            what = _about(error) if path.is_file() else "is gone."
            if name == COPY and NAME in read and read[NAME].seal is None and not path.is_file():
                continue  # older than copies
            say.append(Finding(path, _stage_of(folder), what, spoils=False))
    if not read:
        return Checked(folder, findings=[Finding(one.path, one.stage, one.what) for one in say])
    # Of two that differ, the one whose files lie here is right.
    name = next((name for name, one in read.items() if one.files.keys() == there), next(iter(read)))
    found.manifest = read.pop(name)
    stage = found.manifest.stage.name
    if read and len(found.hashes) > 1:
        say.append(Finding(folder / next(iter(read)), stage, f"differs from {name} beside it.", spoils=False))
    listed = found.manifest.files
    for name in sorted(there - listed.keys()):
        say.append(Finding(folder / name, stage, "no manifest lists it.", spoils=False))
    for name, record in listed.items():
        path = folder / name
        if name not in there:
            say.append(Finding(path, stage, "is gone."))
        elif path.stat().st_size != record.size:
            say.append(Finding(path, stage, f"has {path.stat().st_size} bytes, not {record.size}."))
        elif sha256_file(path) != record.sha256:
            say.append(Finding(path, stage, "its content was altered."))
    found.files = len(listed)
    return found


def sealed(folder: Path) -> Checked:
    """A result as others were made from it: hashes of its manifest only."""
    paths = [folder / name for name in (NAME, COPY)]
    return Checked(folder, hashes=frozenset(sha256_file(path) for path in paths if path.is_file()))


def lineage(found: list[Checked], every: list[Checked]) -> Iterator[Finding]:
    """The results of `found` that were made from something else than what lies in its place now.

    every: all results of the datasets that they are of.
    """
    places: defaultdict[str, set[Path]] = defaultdict(set)
    for one in every:
        for sha256 in one.hashes:
            places[sha256].add(one.folder)
    for one in found:
        for name, sha256 in (one.manifest.inputs if one.manifest is not None else {}).items():
            if not any(_fits(one.folder, name, place) for place in places.get(sha256, ())):
                what = f"was made from another {name} than there is now."
                yield Finding(one.folder / NAME, one.manifest.stage.name if one.manifest else "", what)


def outlived(
    found: list[Checked], root: Path, replaced: Callable[[str, str, str, Mapping[str, str]], Sequence[str]]
) -> Iterator[Finding]:
    """The results of `found`, below `root`, that were made with other weights than a model has now: `replaced` tells
    which by dataset, stage, name and hashes of models."""
    for one in found:
        if one.manifest is None or not one.manifest.models:
            continue
        made_with = {role: record.sha256 for role, record in one.manifest.models.items()}
        for role in replaced(*belongs(one.folder.resolve(), root), made_with):
            yield Finding(one.folder / NAME, one.manifest.stage.name, f"was made with other weights of its {role}.")


def repair(one: Checked, outdated: bool) -> list[Path]:
    """Remove what is bad of a result, so that the next run makes it again; the paths that went.

    outdated: only what it was made from is another. Its files are right, and what did not change is kept of them.
    """
    bad = [finding.path for finding in one.findings]
    if any(finding.spoils for finding in one.findings):
        bad += [one.folder / NAME, one.folder / COPY]
    elif outdated:
        bad.append(one.folder / NAME)
    gone = [path for path in dict.fromkeys(bad) if path.exists() or path.is_symlink()]
    for path in gone:
        remove(path)
    return gone


def _fits(folder: Path, name: str, place: Path) -> bool:
    """Whether an input called `name` of the result in `folder` may lie at `place`: of the same shard, and maps beside
    the embeddings that they were made with."""
    shard = re.search(rf"[/-]({SHARD})$", name)
    own = shard.group(1) if shard else folder.name
    if re.fullmatch(SHARD, own) and re.fullmatch(SHARD, place.name) and place.name != own:
        return False
    return name != "embeddings" or place.parent.name == folder.parent.parent.name


def _files(folder: Path) -> Iterator[str]:
    """Files of a result by relative path, hidden ones and other results' left out."""
    for at, folders, files in os.walk(folder):
        below = Path(at)
        if below != folder and (NAME in files or COPY in files):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        own = [name for name in files if not name.startswith(".") and (below != folder or name != NAME)]
        yield from ((below / name).relative_to(folder).as_posix() for name in own)


def _stage_of(folder: Path) -> str:
    """A result's stage where its manifest may not say it."""
    for name in (NAME, COPY):
        with contextlib.suppress(ArtifactError, OSError):
            return read_manifest(folder / name).stage.name
    return folder.parent.name if re.fullmatch(SHARD, folder.name) else folder.name


def _about(error: Exception) -> str:
    """What an error says, without the path that stands before it and the remedy after it."""
    text = str(error).partition(": ")[2] or str(error)
    return text.partition(" Take it away")[0]
