"""Hashes of models' files, each content hashed once where there is a file to remember them in.

A checkpoint has gigabytes, and what asks whether weights changed under their path asks often. A content is remembered
by place, size and date.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path

from stages.artifacts.atomic import sha256_file, write_json


class FileHashes:
    """Hashes of files, remembered in the JSON file `memory`."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory

    def of(self, path: Path) -> str:
        whole = path.resolve()
        state = whole.stat()
        key = f"{whole} {state.st_size} {state.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = sha256_file(whole)
            with contextlib.suppress(OSError):  # a folder that cannot be written to only costs hashing anew
                write_json(self._memory, self._known)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self._memory.read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


_remembered: ContextVar[FileHashes | None] = ContextVar("remembered", default=None)


@contextlib.contextmanager
def remembering(memory: Path) -> Iterator[None]:
    """Within it `hash_of_file` reads no content twice. Only for who asks whether weights changed: a stage reads them
    anyway."""
    token = _remembered.set(FileHashes(memory))
    try:
        yield
    finally:
        _remembered.reset(token)


def hash_of_file(path: Path) -> str:
    """The sha256 of a model's file."""
    known = _remembered.get()
    return sha256_file(path) if known is None else known.of(path)
