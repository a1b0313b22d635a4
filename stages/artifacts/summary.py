"""What a run came to: samples done and failed, by stage and reason, of one experiment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stages.artifacts.errors import ArtifactError
from stages.artifacts.failures import FailedSample, grouped, told
from stages.artifacts.results import Results
from stages.artifacts.shards import open_shard


@dataclass
class Summary:
    """How the samples of an experiment fared."""

    experiment: str
    done: int = 0
    failed: list[FailedSample] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    """Shards whose masks are not there, or were made from what is not there any more."""

    @property
    def nothing_done(self) -> bool:
        return not self.done and bool(self.failed)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        groups = grouped(self.failed)
        reasons = [
            {"stage": one.stage, "kind": one.kind, "count": len(one.samples), "command": one.command} for one in groups
        ]
        return {
            "experiment": self.experiment,
            "done": self.done,
            "failed": len(self.failed),
            "reasons": reasons,
        }

    def lines(self) -> list[str]:
        """For a terminal; the first line alone where all went well."""
        head = f"experiment {self.experiment}: {self.done} samples done, {len(self.failed)} failed"
        if self.unfinished:
            head += f", {len(self.unfinished)} shards unfinished"
        return [head, *told(grouped(self.failed), self.done)]


def summary(results: Results, experiment: str, shards: Iterable[str] | None = None) -> Summary:
    """What is there of an experiment's results, shard by shard; of these shards only, where some are named."""
    found = Summary(experiment)
    for name in results.shards() if shards is None else shards:
        try:
            shard = open_shard(results, experiment, name)
        except ArtifactError:
            found.unfinished.append(name)
            continue
        found.done += len(shard.ids) - len(shard.failures)
        found.failed += shard.failures.values()
    return found


def lifeless(found: Iterable[Summary]) -> str:
    """What to say where an experiment has no sample that went through, which must not read as success; else empty."""
    names = [one.experiment for one in found if one.nothing_done]
    return f"No sample went through: {', '.join(names)}." if names else ""
