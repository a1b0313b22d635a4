"""Where models lie (a path, the repository, the hub), what a folder of transformers' holds, and one hash of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages import REPOSITORY
from stages.artifacts.errors import AnywordError
from stages.models.file_hashes import hash_of_file

_DECIDING = {".json", ".txt", ".safetensors"}
_WANTED = tuple(f"*{suffix}" for suffix in sorted(_DECIDING))


def on_disk(path: str) -> Path | None:
    """A model's file or folder on this machine: as given, else below the repository; None where it is neither."""
    return next((one for one in (Path(path).expanduser(), REPOSITORY / path) if one.exists()), None)


def locate(
    path: str,
    revision: str | None = None,
    *,
    offline: bool = True,
    what: str = "model",
    holds: str = "config.json",
    wanted: Iterable[str] = _WANTED,
) -> Path:
    """The folder of a model: as given, else below the repository, else the hub (its cache only, if offline).

    holds: the file by which a user knows the folder. wanted: patterns of the files that are fetched from the hub.

    Raises:
        AnywordError: it is nowhere, or the hub cannot be had.
    """
    folder = on_disk(path)
    if folder is not None and folder.is_dir():
        return folder
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise AnywordError(f"{what} '{path}': no such folder.", remedy=f"Give the folder that holds {holds}.")
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(path, revision=revision, local_files_only=offline, allow_patterns=list(wanted))
    except (OSError, ValueError) as error:  # huggingface_hub's errors derive from these
        how = "in the hub cache (offline: true)" if offline else "on the hub"
        raise AnywordError(
            f"{what} '{path}': neither a folder nor {how} ({type(error).__name__}).",
            remedy="Give a local folder, or set offline: false once to fetch it.",
        ) from None
    return Path(found)


def check(folder: Path, kinds: tuple[str, ...], what: str) -> str:
    """The `model_type` of the folder's model; AnywordError unless it is one of these."""
    path = folder / "config.json"
    try:
        config: Any = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AnywordError(f"{path}: not readable ({type(error).__name__}).", remedy="Fetch the model again.") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in kinds:
        raise AnywordError(f"{folder}: holds a {kind}, no {what}.", remedy="Choose another model.")
    return str(kind)


def hash_of(folder: Path) -> str:
    """One hash of a model's configuration, tokenizer and weights, by name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _DECIDING:
            digest.update(f"{path.relative_to(folder).as_posix()} {hash_of_file(path)}\n".encode())
    return digest.hexdigest()
