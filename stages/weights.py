"""What the models that a recipe names by local path hold, so that weights replaced under the same path are seen.

Snakemake runs a job again when one of its params changes; a path stays the same when a checkpoint is trained further.
Files count by their content, not by their date: a copy or a fresh checkout is the same model. A content is hashed once
and remembered by size and date, so planning costs a look at each file. What is not on this machine (a hub id) says
nothing here: pin its `revision`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stages.artifacts import recipes
from stages.artifacts.atomic import canonical, sha256_of
from stages.models.file_hashes import FileHashes
from stages.models.hub import on_disk


class Weights:
    """Fingerprints of recipes' models, their files' hashes remembered in `memory`."""

    def __init__(self, memory: Path) -> None:
        self._hashes = FileHashes(memory)

    def fingerprint(self, recipe: recipes.Options) -> str:
        """A short name of the content of every local model that a recipe names; empty where it names none."""
        contents = sorted(canonical(self._content(path)) for path in set(_on_disk(recipe)))
        return sha256_of(canonical(contents))[:16] if contents else ""

    def _content(self, path: Path) -> dict[str, str]:
        """Hash by name of a model's file, or of the files in its folder, model cards left out."""
        if path.is_file():
            return {"": self._hashes.of(path)}
        files = {one.relative_to(path): one for one in sorted(path.rglob("*")) if one.is_file() and one.suffix != ".md"}
        hidden = [name for name in files if any(part.startswith(".") for part in name.parts)]
        return {name.as_posix(): self._hashes.of(one) for name, one in files.items() if name not in hidden}


def _on_disk(recipe: recipes.Options) -> Iterator[Path]:
    """The local files and folders of a recipe's models; of those that are not on this machine none."""
    for options, name, mark in recipes.marked(recipe, recipes.Weights):
        named = mark.path(options, name)
        found = None if named is None else on_disk(named)
        if found is not None:
            yield found
