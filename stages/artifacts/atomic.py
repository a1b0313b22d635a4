"""Files appear whole or not at all: written aside, fsynced, renamed.

A reader on another node sees either the old file or the new one, also when the writer is killed, because the
rename is the last step and happens within one folder (`os.replace` is atomic there, also on Lustre and NFS).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write to in place of `path`, published under its name when the block ends well.

    The caller may make a file or a folder there. On an exception what was written is removed and `path` stays as
    it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        yield partial
        _sync_tree(partial)
        if partial.is_dir() and path.is_dir():
            # A folder cannot replace a filled one in one step. The manifest, not the folder, says what is valid.
            shutil.rmtree(path)
        partial.replace(path)
        sync(path.parent)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    with aside(path) as partial:
        partial.write_bytes(data)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Files by name as one folder, replaced whole, so that none of an earlier run stays among them."""
    with aside(path) as partial:
        partial.mkdir()
        for name, data in files.items():
            (partial / name).write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """JSON for people: sorted keys, two spaces, final newline, so that equal values are equal bytes."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def canonical(value: Any) -> str:
    """The one JSON text of a value, for hashing and for command lines."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_of(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_tree(path: Path) -> None:
    if path.is_dir():
        for child in sorted(path.rglob("*")):
            sync(child)
    sync(path)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
