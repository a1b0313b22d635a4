"""How far results have come, stage by stage: counted from manifests, claims and benchmarks, whether a run is on or not.

Nothing is checked here but what costs nothing: `verify` does that.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.artifacts import claim
from stages.artifacts.atomic import sha256_of
from stages.artifacts.manifest import NAME
from stages.artifacts.publication import COPY, PARTS
from stages.artifacts.results import LOGS, RESULTS, SHARD, WHOLE, Results, datasets, log_of, seconds_of

_READING = 8  # threads
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
    """Of those done: made from something else than there is now, or by another version of the stage."""
    samples: int = 0
    """Done."""
    failed: int = 0
    """Samples, in the shards done."""
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
    manifest: dict[str, Any] = field(default_factory=dict)
    worker: Worker | None = None
    begun: bool = False


def status(
    root: Path = RESULTS, *, logs: Path | None = None, versions: Mapping[str, str] | None = None
) -> list[Progress]:
    """Every stage of every dataset below `root` (results/) that was begun.

    logs: where the rules' benchmarks lie, by default beside `root`. versions: of the stages now, by name; what another
    version made counts as stale.
    """
    every = datasets(root)
    adapters = {
        _read(path).sha256 for one in every for path in one.existing(one.adapter("*"))
    }  # other datasets use them
    found: list[Progress] = []
    for results in every:
        found += _dataset(results, root, logs or root.with_name(LOGS.name), versions or {}, adapters)
    return found


def workers(root: Path = RESULTS) -> list[Worker]:
    """All claims below `root`."""
    found = (_worker(path.parent) for path in sorted(root.rglob(claim.NAME)))
    return [one for one in found if one is not None]


def _dataset(
    results: Results, root: Path, logs: Path, versions: Mapping[str, str], adapters: set[str]
) -> Iterator[Progress]:
    shards = _read(results.index).manifest.get("summary", {}).get("shards", len(results.shards()))
    known: dict[tuple[str, str], set[str]] = {}
    listings = [results.listing(name.name) for name in results.index.parent.glob("[0-9]*")]
    known["index", ""] = {_read(path).sha256 for path in listings} | {_read(results.index).sha256}
    for stage, name, folder in results.stages():
        one = Progress(results.folder.name, stage, name, 1 if stage in (*WHOLE, "adapt") else shards)
        own = [folder] if one.shards == 1 and stage in (*WHOLE, "adapt") else _numbered(folder, shards)
        with ThreadPoolExecutor(_READING) as pool:
            read = dict(zip(own, pool.map(lambda path: _read(path / NAME), own), strict=True))
        hashes = adapters.union(*known.values())
        for shard in read.values():
            _count(one, shard, hashes, versions)
        known[stage, name] = {shard.sha256 for shard in read.values() if shard.sha256}
        _time(one, [path for path, shard in read.items() if shard.sha256], root, logs)
        yield one


def _count(one: Progress, shard: _Shard, hashes: set[str], versions: Mapping[str, str]) -> None:
    if shard.manifest:
        one.done += 1
        states = [state["state"] for state in shard.manifest.get("samples", ())]
        one.failed += states.count("failed")
        one.samples += states.count("done")
        version = shard.manifest["stage"]["version"]
        made = shard.manifest["inputs"].values()
        one.stale += versions.get(one.stage, version) != version or not set(made) <= hashes
    elif shard.worker is not None and shard.worker.alive:
        one.running += 1
    elif shard.begun:
        one.stopped += 1


def _time(one: Progress, done: list[Path], root: Path, logs: Path) -> None:
    seconds = []
    for folder in done[-_BENCHMARKS:]:
        path = log_of(folder / NAME, ".tsv", results=root, logs=logs)
        samples = len(_read(folder / NAME).manifest.get("samples", ()))
        if (taken := seconds_of(path)) is not None:
            seconds.append(taken / max(1, samples))
    if seconds:
        one.seconds_a_sample = statistics.median(seconds)
        left = (one.samples + one.failed) / one.done * (one.shards - one.done)
        one.eta = left * one.seconds_a_sample / max(1, one.running)


def _numbered(folder: Path, shards: int) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if re.fullmatch(SHARD, path.name) and int(path.name) < shards)


def _read(manifest: Path) -> _Shard:
    """A result; one whose manifest cannot be read counts as not made."""
    folder = manifest.parent
    try:
        data = manifest.read_bytes()
        return _Shard(sha256_of(data), json.loads(data))
    except (OSError, ValueError):
        begun = (folder / PARTS).exists() or (folder / COPY).exists() or (folder / claim.NAME).exists()
        return _Shard(worker=_worker(folder), begun=begun)


def _worker(folder: Path) -> Worker | None:
    path = folder / claim.NAME
    found = claim.read(path)
    if found is None:
        return None
    try:
        quiet = time.time() - path.stat().st_mtime
    except OSError:
        return None
    alive = not claim.gone(found) and quiet < claim.STALE_AFTER
    return Worker(folder, str(found), found.host, found.pid, found.job, alive)
