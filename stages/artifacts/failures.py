"""Failed samples, told apart by the stage that gave them up and the kind of reason, with what to do about them.

A reason names its sample's file and values; its kind is the same text without them, so that a thousand missing images
are one line:

>>> kind("image 'a/7.jpg' cannot be read (No such file or directory). Restore it.")
'image … cannot be read (No such file or directory). Restore it.'
>>> kind("the encoder's 77 tokens are too few for 'the boy's red shirt'.")
"the encoder's … tokens are too few for …."
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.shard_reader import ShardReader

_VALUES = re.compile(r"(?<!\w)'.*?'(?!\w)|\"[^\"]*\"|\b0x[0-9a-fA-F]+\b|\b\d+(?:[.x]\d+)*\b")
_CARRIED = re.compile(r"in (\w+): (.*)", re.DOTALL)
_NAMED = 4
"""Manifests that a command names one by one; of more, it names the rule."""


@dataclass(frozen=True)
class FailedSample:
    id: str
    stage: str
    """Where it was given up."""
    reason: str
    manifest: Path
    """Of that stage's shard."""


@dataclass(frozen=True)
class FailureGroup:
    stage: str
    kind: str
    samples: tuple[FailedSample, ...]

    @property
    def command(self) -> str:
        """What runs the failed shards again once the cause is mended; the stages after them follow by themselves."""
        manifests = sorted({one.manifest.as_posix() for one in self.samples})
        forced = manifests if len(manifests) <= _NAMED else [self.stage]
        return shlex.join(["snakemake", "-c2", "--forcerun", *forced])


def kind(reason: str) -> str:
    """A reason without what differs from sample to sample: quoted names, numbers, addresses."""
    return re.sub(r"…(?:, …)+", "…", _VALUES.sub("…", reason))


def failed_samples(inputs: Mapping[str, ShardReader]) -> dict[str, FailedSample]:
    """The failed samples of one shard by id; `inputs` are its results in the order of the stages.

    A stage says of a sample that failed before it "in STAGE: reason", so each is laid to the stage where it arose.
    """
    found: dict[str, FailedSample] = {}
    manifests = {one.stage: one.path / "manifest.json" for one in inputs.values()}
    for one in inputs.values():
        for sample, reason in one.failures.items():
            carried = _CARRIED.fullmatch(reason)
            stage, why = carried.groups() if carried else (one.stage, reason)
            found.setdefault(sample, FailedSample(sample, stage, why, manifests.get(stage, manifests[one.stage])))
    return found


def grouped(failed: Iterable[FailedSample]) -> list[FailureGroup]:
    """By stage and kind of reason, the most frequent first."""
    groups: dict[tuple[str, str], list[FailedSample]] = {}
    for one in failed:
        groups.setdefault((one.stage, kind(one.reason)), []).append(one)
    found = [FailureGroup(stage, why, tuple(own)) for (stage, why), own in groups.items()]
    return sorted(found, key=lambda one: (-len(one.samples), one.stage, one.kind))


def told(groups: Sequence[FailureGroup], done: int, shown: int = 5) -> list[str]:
    """Lines for a terminal: how many failed, where and why, and the command; none where nothing failed.

    done: samples that went through. shown: groups that are told, the most frequent ones.
    """
    failed = sum(len(one.samples) for one in groups)
    if not failed:
        return []
    head = f"{failed} of {failed + done} samples failed" if done else f"EVERY sample failed, all {failed}"
    lines = [f"{head}:"]
    for one in groups[:shown]:
        first = one.samples[0]
        lines.append(f"  {len(one.samples)} in {one.stage}: {one.kind} For instance '{first.id}'.")
        lines.append(f"    once mended, with your --configfile: {one.command}")
    if len(groups) > shown:
        lines.append(f"  and {len(groups) - shown} more reasons; the page lists all.")
    return lines
