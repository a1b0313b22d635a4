"""Errors that a user can act on: one line that names the place, the value, the rule and the remedy."""

from __future__ import annotations


class AnywordError(ValueError):
    """Something a user can mend. Its message is one line; commands print it without a traceback."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        line = " ".join(message.split())
        super().__init__(f"{line} {' '.join(remedy.split())}".strip())


class SampleError(AnywordError):
    """One sample cannot be processed: it becomes a failed row, and its shard goes on."""


class ArtifactError(AnywordError):
    """A file between two stages is missing, damaged, or belongs to other inputs."""
