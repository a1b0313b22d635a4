"""Where results lie. Every path below `results/` and `logs/` is spelled here, once: for the rules, for the commands,
and for whoever reads what they wrote.

A result is a folder, and the `manifest.json` in it, written last, stands for it. A name may also be a wildcard of
Snakemake's or a pattern of glob's, so the same lines say what rules make and what a reader looks for:

>>> Results(RESULTS / "{dataset}").masks("{experiment}", "{shard}").as_posix()
'results/{dataset}/experiments/{experiment}/segment/{shard}/manifest.json'
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.atomic import sha256_file
from stages.artifacts.errors import ArtifactError
from stages.artifacts.manifest import NAME, read_manifest

RESULTS = Path("results")
"""Where the workflow writes, below its folder."""
LOGS = Path("logs")
"""Its jobs' logs and benchmarks, laid out as the results are."""
SHARD = r"[0-9]{5}[0-9]*"
"""What a shard's name is like, as a regular expression."""
WHOLE = ("score", "report")
"""Stages that make one result of all shards."""
WEIGHTS = ".weights.json"
"""Below RESULTS: hashes of model files, remembered between runs of the workflow."""


def shard_name(number: int) -> str:
    """Shards are numbered from 0.

    >>> shard_name(7)
    '00007'
    """
    return f"{number:05d}"


@dataclass(frozen=True)
class Results:
    """The results of one dataset; what a method gives is the path of a manifest."""

    folder: Path
    """results/DATASET."""

    @property
    def index(self) -> Path:
        return self._manifest("samples", "index")

    def listing(self, shard: str) -> Path:
        """Which rows of the dataset the shard holds."""
        return self._manifest("samples", "index", shard)

    def samples(self, shard: str) -> Path:
        return self._manifest("samples", shard)

    def phrases(self, parser: str, shard: str) -> Path:
        return self._manifest("parse", parser, shard)

    def adapter(self, adapter: str) -> Path:
        return self._manifest("adapt", adapter)

    def embeddings(self, inverter: str, shard: str) -> Path:
        return self._manifest("invert", inverter, shard)

    def maps(self, inverter: str, attender: str, shard: str) -> Path:
        return self._manifest("attend", inverter, attender, shard)

    def points(self, experiment: str, shard: str) -> Path:
        return self._manifest("experiments", experiment, "prompt", shard)

    def masks(self, experiment: str, shard: str) -> Path:
        return self._manifest("experiments", experiment, "segment", shard)

    def score(self, experiment: str) -> Path:
        return self._manifest("experiments", experiment, "score")

    def report(self, experiment: str) -> Path:
        return self._manifest("experiments", experiment, "report")

    def page(self, experiment: str) -> Path:
        """The report's first page."""
        return self.report(experiment).with_name("index.html")

    @property
    def drawn(self) -> Path:
        """The folder below which images lie that the samples stage drew itself, each shard's below its name."""
        return self.folder / "samples"

    def shards(self) -> list[str]:
        """Names of the shards that the index lists, in order, finished or not; where results came without their index,
        of those that are there. Shards of an earlier, longer listing are none of the dataset's any more."""
        if self.index.is_file():
            return [shard_name(number) for number in range(read_manifest(self.index, "index").summary["shards"])]
        found = [path.name for path in (self.folder / "samples").glob("[0-9]*") if path.is_dir()]
        return sorted(found, key=lambda name: (len(name), name))

    def experiments(self) -> list[str]:
        """Names of the experiments that have results, finished or not."""
        return sorted(path.name for path in (self.folder / "experiments").glob("*") if path.is_dir())

    def stages(self) -> Iterator[tuple[str, str, Path]]:
        """What the dataset has, in the order in which it is made: stage, name of its recipe or experiment (none of the
        samples), and the folder that holds its shards, or itself is the result of a stage that makes one of all."""
        yield "samples", "", self.folder / "samples"
        for stage, depth in (("adapt", 1), ("parse", 1), ("invert", 1), ("attend", 2)):
            for folder in sorted((self.folder / stage).glob("/".join("*" * depth))):
                yield stage, folder.relative_to(self.folder / stage).as_posix(), folder
        for experiment in self.experiments():
            for stage in ("prompt", "segment", *WHOLE):
                folder = self.folder / "experiments" / experiment / stage
                if folder.is_dir():
                    yield stage, experiment, folder

    def existing(self, pattern: Path) -> list[Path]:
        """The manifests that a path with stars for names stands for, such as `maps("*", "*", shard)`."""
        return sorted(self.folder.glob(pattern.relative_to(self.folder).as_posix()))

    def made(self, pattern: Path, sha256: str | None) -> Path:
        """Of these manifests the one with that hash, as another names what it was made from.

        Raises:
            ArtifactError: there is none.
        """
        for path in self.existing(pattern):
            if sha256_file(path) == sha256:
                return path
        raise ArtifactError(
            f"{pattern}: what a later result was made from is not there any more.",
            remedy="Let Snakemake bring the experiment up to date.",
        )

    def _manifest(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts, NAME)


def root_of(folder: Path) -> Path | None:
    """The folder of all datasets' results that a result, a dataset, or that folder itself belongs to; None where it
    belongs to none."""
    folder = folder.resolve()
    if any((one / "samples").is_dir() for one in folder.iterdir() if one.is_dir()):
        return folder
    return next((one.parent for one in (folder, *folder.parents) if (one / "samples").is_dir()), None)


def belongs(folder: Path, root: Path) -> tuple[str, str, str]:
    """Dataset, stage, and name of the recipe or experiment, as `Results.stages` gives them, of a result below `root`.

    >>> belongs(Results(RESULTS / "demo").maps("paper", "direct", "00000").parent, RESULTS)
    ('demo', 'attend', 'paper/direct')
    >>> belongs(Results(RESULTS / "demo").score("spacy").parent, RESULTS)
    ('demo', 'score', 'spacy')
    """
    dataset, stage, *parts = folder.relative_to(root).parts
    if stage == "experiments":
        return dataset, parts[1], parts[0]
    if stage == "adapt":
        return dataset, stage, parts[0]
    return dataset, stage, "/".join(parts[:-1])


def datasets(root: Path) -> list[Results]:
    """The datasets that have results below `root` (results/), by name."""
    found = [Results(path) for path in sorted(root.glob("*")) if path.is_dir()]
    return [one for one in found if one.shards() or one.experiments()]


def log_of(manifest: Path, suffix: str = ".log", *, results: Path = RESULTS, logs: Path = LOGS) -> Path:
    """The log of the job that writes a manifest; suffix .tsv: its benchmark (seconds and memory), which lies there
    because it differs from run to run.

    >>> log_of(Results(RESULTS / "demo").samples("00000")).as_posix()
    'logs/demo/samples/00000.log'
    """
    folder = manifest.parent.relative_to(results)
    return logs / folder.parent / f"{folder.name}{suffix}"


def seconds_of(benchmark: Path) -> float | None:
    """How long a job took, by its benchmark; None where there is none that can be read."""
    try:
        with benchmark.open(newline="") as file:
            return float(next(csv.DictReader(file, delimiter="\t"))["s"])
    except (OSError, KeyError, ValueError, StopIteration):
        return None


def stage_of_log(path: Path, logs: Path = LOGS) -> str:
    """Which stage's job left a log or benchmark.

    >>> stage_of_log(log_of(Results(RESULTS / "demo").masks("spacy", "00000")))
    'segment'
    """
    _, *parts = path.relative_to(logs).with_suffix("").parts
    if parts == ["samples", "index"]:
        return "index"
    return parts[2] if parts[0] == "experiments" else parts[0]
