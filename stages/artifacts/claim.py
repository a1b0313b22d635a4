"""One writer a result: a file `.claim` beside it says who works on it.

It needs no lock of the filesystem's (`flock` does nothing on some Lustre mounts): to make a file that is not there is
one step on every filesystem that clusters use. Its writer touches it now and then. Whoever comes second waits, and
takes over when the first is seen to be gone: its process, where that ran here; else when the file has not changed for
`STALE_AFTER` of the waiter's own seconds, so that no two clocks are compared.

What is correct does not rest on this: results are published whole, and their readers check them. A claim keeps work
from being done twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger("anyword")

NAME = ".claim"
BEAT = 15.0
"""Seconds between two touches."""
STALE_AFTER = 120.0
"""Seconds without one after which a writer elsewhere counts as dead."""
_LOOK = 1.0  # seconds between two looks of one that waits
_TOLD = 60.0  # seconds between two lines of one that waits


@dataclass(frozen=True)
class Claim:
    """Who writes a result."""

    token: str
    host: str
    """Name of the machine."""
    machine: str
    """Which start of which machine, and which process numbers count there."""
    pid: int
    started: str
    """When the process did, as the kernel counts: process numbers are given out again."""
    job: str
    """SLURM's job id, or empty."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", SLURM job {self.job}" if self.job else "")


def mine() -> Claim:
    """This process's own."""
    pid = os.getpid()
    job = os.environ.get("SLURM_JOB_ID", "")
    return Claim(uuid.uuid4().hex, socket.gethostname(), _machine(), pid, _started(pid), job)


def read(path: Path) -> Claim | None:
    """The claim in a file; None where there is none, or one that is half written."""
    try:
        return Claim(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def gone(claim: Claim) -> bool:
    """Whether the writer is known to be dead: it ran on this machine, and does no more."""
    return claim.machine == _machine() and _started(claim.pid) != claim.started


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder's claim; another writer's is waited for, and taken over once that one is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    path, own = folder / NAME, mine()
    _acquire(path, own)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, own, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        if read(path) == own:
            path.unlink(missing_ok=True)


def _acquire(path: Path, own: Claim) -> None:
    seen: tuple[Claim | None, int] | None = None
    since = told = time.monotonic()
    first = True
    while not _make(path, own):
        now = time.monotonic()
        state = _state(path)
        if state is None:
            continue
        if state != seen:
            seen, since = state, now
        there = state[0]
        if (there is not None and gone(there)) or now - since > STALE_AFTER:
            _take_over(path, there, own)
            continue
        if first or now - told > _TOLD:
            log.info("%s: %s works on it; waiting", path.parent, there or "another process")
            first, told = False, now
        time.sleep(_LOOK)


def _make(path: Path, own: Claim) -> bool:
    """Write the claim where there is none."""
    try:
        with path.open("x") as file:
            json.dump(asdict(own), file)
    except FileExistsError:
        return False
    return True


def _state(path: Path) -> tuple[Claim | None, int] | None:
    """Whose claim lies there and when it was touched last; None where it went away."""
    try:
        return read(path), path.stat().st_mtime_ns
    except OSError:
        return None


def _take_over(path: Path, there: Claim | None, own: Claim) -> None:
    """Move a dead writer's claim away. Another waiter may have done so and made its own: that one is given back."""
    log.info("%s: %s is gone; taking over", path.parent, there or "its writer")
    aside = path.with_name(f"{NAME}.{own.token}.old")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    other = read(aside)
    if other is not None and other != there:
        _make(path, other)
    aside.unlink()


def _beat(path: Path, own: Claim, done: threading.Event) -> None:
    while not done.wait(BEAT):
        with contextlib.suppress(OSError):
            if read(path) == own:
                os.utime(path)


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where it does not run (or nothing can be known)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "?"


def _machine() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            os.readlink("/proc/self/ns/pid"),  # noqa: PTH115 (no path of a file)
        ]
    return " ".join(parts)
