"""How far results have come, stage by stage: counted from manifests, claims and benchmarks, whether a run is on or not.

Nothing is checked here but what costs nothing: `verify` does that.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from stages.artifacts import claim
from stages.artifacts.atomic import sha256_of
from stages.artifacts.manifest import NAME
from stages.artifacts.publication import COPY, PARTS
from stages.artifacts.results import LOGS, RESULTS, SHARD, WHOLE, Results, datasets, log_of, seconds_of

T = TypeVar("T")
Replaced = Callable[[str, str, str, Mapping[str, str]], Sequence[str]]

_READING = 16  # threads
_FIRST = 100  # results that tell how far away a disk is
_NEAR = 0.0005  # seconds a result
_READ = 1 << 18  # bytes of a manifest at once; most are smaller
_BENCHMARKS = 50  # shards whose seconds are looked at


@dataclass
class Progress:
    """One stage of one dataset by one recipe (or experiment)."""

    dataset: str
    stage: str
    name: str
    """Of the recipe or experiment: 'paper', 'paper/direct', 'photos'; empty of the samples."""
    shards: int
    done: int = 0
    running: int = 0
    stopped: int = 0
    """Begun, and nobody works on them."""
    stale: int = 0
    """Of those done: made from something else than there is now, with other models, or by another version of the
    stage."""
    samples: int = 0
    """Done."""
    failed: int = 0
    """Samples, in the shards done."""
    failing: list[str] = field(default_factory=list)
    """Shards that have such."""
    seconds_a_sample: float | None = None
    """Median over finished shards."""
    eta: float | None = None
    """Seconds until the rest is done with as many at work as now."""


@dataclass(frozen=True)
class Worker:
    """A claim on a result."""

    folder: Path
    who: str
    host: str
    pid: int
    job: str
    alive: bool
    """Whether it is known or seen to be at work: its claim was touched not long ago."""


@dataclass
class _Shard:
    """One result as it lies there."""

    sha256: str = ""
    version: str = ""
    inputs: frozenset[str] = frozenset()
    models: Mapping[str, str] = field(default_factory=dict)
    """Hash of each that took part."""
    summary: Mapping[str, int] = field(default_factory=dict)
    samples: int = 0
    """Done."""
    failed: int = 0
    worker: Worker | None = None
    begun: bool = False


def status(
    root: Path = RESULTS,
    *,
    logs: Path | None = None,
    versions: Mapping[str, str] | None = None,
    replaced: Replaced = lambda *_: (),
) -> list[Progress]:
    """Every stage of every dataset below `root` (results/) that was begun.

    logs: where the rules' benchmarks lie, by default beside `root`. versions: of the stages now, by name; what another
    version made counts as stale. replaced: tells by dataset, stage, name and hashes of models which of them are others
    now; what was made with such counts as stale too.
    """
    every = datasets(root)
    adapters = {_hash(path) for one in every for path in one.existing(one.adapter("*"))}  # other datasets use them
    found: list[Progress] = []
    for results in every:
        found += _dataset(results, root, logs or root.with_name(LOGS.name), versions or {}, adapters, replaced)
    return found


def workers(root: Path = RESULTS) -> list[Worker]:
    """All claims on results below `root`."""
    folders: list[str] = []
    for results in datasets(root):
        folders.append(str(results.index.parent))
        for _, _, folder in results.stages():
            folders += [str(folder), *_numbered(folder)]
    return [one for one in _each(_worker, folders) if one is not None]


def _dataset(
    results: Results,
    root: Path,
    logs: Path,
    versions: Mapping[str, str],
    adapters: set[str],
    replaced: Replaced,
) -> Iterator[Progress]:
    shards = _read(str(results.index.parent)).summary.get("shards", len(results.shards()))
    known = adapters | {_hash(results.index), *_each(_hash_in, _numbered(results.index.parent))}
    for stage, name, folder in results.stages():
        whole = stage in (*WHOLE, "adapt")
        one = Progress(results.folder.name, stage, name, 1 if whole else shards)
        own = [str(folder)] if whole else _numbered(folder, shards)
        read = dict(zip(own, _each(_read, own), strict=True))
        for path, shard in read.items():
            _count(one, shard)
            if shard.failed:
                one.failing.append(Path(path).name)
            if shard.sha256:
                old = versions.get(stage, shard.version) != shard.version or not shard.inputs <= known
                one.stale += old or bool(replaced(results.folder.name, stage, name, shard.models))
        known |= {shard.sha256 for shard in read.values() if shard.sha256}
        _time(one, [(path, shard) for path, shard in read.items() if shard.sha256], root, logs)
        yield one


def _count(one: Progress, shard: _Shard) -> None:
    if shard.sha256:
        one.done += 1
        one.failed += shard.failed
        one.samples += shard.samples
    elif shard.worker is not None and shard.worker.alive:
        one.running += 1
    elif shard.begun:
        one.stopped += 1


def _time(one: Progress, done: Sequence[tuple[str, _Shard]], root: Path, logs: Path) -> None:
    seconds = []
    for folder, shard in done[-_BENCHMARKS:]:
        path = log_of(Path(folder, NAME), ".tsv", results=root, logs=logs)
        if (taken := seconds_of(path)) is not None:
            seconds.append(taken / max(1, shard.samples + shard.failed))
    if seconds:
        one.seconds_a_sample = statistics.median(seconds)
        left = (one.samples + one.failed) / one.done * (one.shards - one.done)
        one.eta = left * one.seconds_a_sample / max(1, one.running)


# Ten thousand shards are tens of thousands of files: paths are strings here, and of a manifest only a few lines are
# parsed.


def _numbered(folder: Path, shards: int | None = None) -> list[str]:
    """Folders of the first `shards` shards, or of all, in order."""
    try:
        names = [name for name in os.listdir(folder) if re.fullmatch(SHARD, name)]  # noqa: PTH208
    except OSError:
        return []
    numbers = sorted((int(name), name) for name in names)
    return [f"{folder}/{name}" for number, name in numbers if shards is None or number < shards]


def _each(function: Callable[[str], T], folders: Sequence[str]) -> list[T]:
    """What the function says of each folder. Where the first answers come slowly, since the disk is far away, several
    are asked for at a time; on a near one threads only wait for one another."""
    began = time.monotonic()
    found = [function(folder) for folder in folders[:_FIRST]]
    rest = folders[_FIRST:]
    if time.monotonic() - began < _FIRST * _NEAR:
        return found + [function(folder) for folder in rest]
    with ThreadPoolExecutor(_READING) as pool:
        return found + list(pool.map(function, rest))


def _read(folder: str) -> _Shard:
    """A result; one whose manifest cannot be read counts as not made."""
    try:
        data = _bytes(f"{folder}/{NAME}")
        manifest, states = _parsed(data)
        return _Shard(
            sha256=sha256_of(data),
            version=manifest["stage"]["version"],
            inputs=frozenset(manifest["inputs"].values()),
            models={role: record["sha256"] for role, record in manifest.get("models", {}).items()},
            summary=manifest.get("summary", {}),
            samples=states["done"],
            failed=states["failed"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        begun = any(os.path.lexists(f"{folder}/{name}") for name in (PARTS, COPY, claim.NAME))
        return _Shard(worker=_worker(folder), begun=begun)


def _parsed(data: bytes) -> tuple[dict[str, Any], Mapping[str, int]]:
    """A manifest, and how many of its samples are in each state. The list of them, which is most of it, is not parsed
    where it is found by the lines that `write_manifest` writes: a string of JSON holds no line break."""
    begin, end = data.find(b'\n  "samples": [\n'), data.rfind(b"\n  ],\n")
    if 0 <= begin < end:
        begin = data.index(b"[", begin) + 1
        states = {one: data.count(f'\n      "state": "{one}"\n'.encode(), begin, end) for one in ("done", "failed")}
        return json.loads(data[:begin] + data[end:]), states
    manifest = json.loads(data)
    return manifest, Counter(sample["state"] for sample in manifest.get("samples", ()))


def _bytes(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        data = part = os.read(file, _READ)
        while len(part) == _READ:
            part = os.read(file, _READ)
            data += part
        return data
    finally:
        os.close(file)


def _hash(manifest: Path) -> str:
    return _hash_in(str(manifest.parent))


def _hash_in(folder: str) -> str:
    """Of a result's manifest; empty where it cannot be read."""
    try:
        return sha256_of(_bytes(f"{folder}/{NAME}"))
    except OSError:
        return ""


def _worker(folder: str) -> Worker | None:
    path = f"{folder}/{claim.NAME}"
    if not os.path.lexists(path):
        return None
    found = claim.read(Path(path))
    if found is None:
        return None
    try:
        quiet = time.time() - Path(path).stat().st_mtime
    except OSError:
        return None
    alive = not claim.gone(found) and quiet < claim.STALE_AFTER
    return Worker(Path(folder), str(found), found.host, found.pid, found.job, alive)
