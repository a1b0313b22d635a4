"""What a run came to: samples done and failed, by stage and reason, of one experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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

    def lines(self) -> list[str]:
        """For a terminal; the first line alone where all went well."""
        head = f"experiment {self.experiment}: {self.done} samples done, {len(self.failed)} failed"
        if self.unfinished:
            head += f", {len(self.unfinished)} shards unfinished"
        return [head, *told(grouped(self.failed), self.done)]


def summary(results: Results, experiment: str) -> Summary:
    """What is there of an experiment's results, shard by shard."""
    found = Summary(experiment)
    for name in results.shards():
        try:
            shard = open_shard(results, experiment, name)
        except ArtifactError:
            found.unfinished.append(name)
            continue
        found.done += len(shard.ids) - len(shard.failures)
        found.failed += shard.failures.values()
    return found


def outcome(folder: Path, targets: dict[str, str]) -> list[str]:
    """Lines for the end of a run: every target experiment (by name, with its dataset) below `folder` (results/)."""
    return [line for name, data in targets.items() for line in summary(Results(folder / data), name).lines()]
