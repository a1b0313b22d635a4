"""A stage's work on one shard: in batches, resumable, one sample's failure its own.

writer = ShardWriter(STAGE, recipe, output, inputs={"samples": samples})
outcomes = writer.run(process, batch_size=8)          # finished batches are found again after a kill
writer.publish({"masks.parquet": lambda path: write_table(path, "masks", rows)})
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.atomic import sha256_of, write_bytes
from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.kept import MINUTES, Kept
from stages.artifacts.manifest import FileRecord, Manifest, ModelRecord, SampleState, Stage, fingerprint
from stages.artifacts.progress import track, within
from stages.artifacts.publication import PARTS, publish, published, restore
from stages.artifacts.sample_keys import content_key, made_keys
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.stopping import Stopped, stop_if_asked

log = logging.getLogger("anyword")


@dataclass(frozen=True)
class Outcome:
    """What a stage makes of one sample: table rows (JSON values) and arrays by name."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a stage made nothing of one sample, in one line."""

    reason: str
    usage: Mapping[str, float] = field(default_factory=dict)
    """What the failure took (tokens, cost), which sums over samples."""


Result = Outcome | Failure
Process = Callable[[Sequence[int]], Sequence[Result]]
"""Positions of a batch's samples in the shard to their results, in the same order."""
Earlier = Callable[[ShardReader], Callable[[int], Outcome]]
"""Opens an earlier result of the same stage; what it gives tells a sample's outcome by its position there."""


def unchanged(
    stage: Stage,
    recipe: Mapping[str, Any],
    output: Path,
    *,
    inputs: Mapping[str, ShardReader],
    models: Callable[[], Mapping[str, ModelRecord]] = dict,
    ids: Sequence[str] | None = None,
) -> bool:
    """Whether what stands published at `output` is what this stage would publish, whole: asked before models are
    loaded. Its manifest is put back where Snakemake, about to run the job again, took it away.

    models: gives the records of what would be loaded; asked only where there is a result of the same stage. A result
    in which a sample failed here, not before, is not kept: the cause may be mended.
    """
    there = published(output, stage.name)
    if there is None:
        return False
    try:
        found = ShardWriter(stage, recipe, output, inputs=inputs, models=models(), ids=ids)
        if there.manifest.fingerprint != found.fingerprint:
            return False
        before = {found.ids[position] for position in found.results}
        if not there.failures.keys() <= before:
            return False
        for name in there.manifest.files:
            there.file(name)
        restore(there)
    except (AnywordError, OSError):
        return False  # what is wrong shows, with its remedy, when the stage runs
    log.info("%s: unchanged, kept", stage.name)
    return True


def attempt(function: Callable[..., Outcome], *arguments: Any) -> Result:
    """`function(*arguments)`, a SampleError turned into that sample's Failure."""
    try:
        return function(*arguments)
    except SampleError as error:
        return Failure(str(error))


class ShardWriter:
    """One stage on one shard: identity, batches, publication."""

    def __init__(
        self,
        stage: Stage,
        recipe: Mapping[str, Any],
        output: Path,
        *,
        inputs: Mapping[str, ShardReader],
        models: Mapping[str, ModelRecord] | None = None,
        ids: Sequence[str] | None = None,
        observed: bool = False,
    ) -> None:
        """`output` is the path of the manifest to write.

        ids: of the samples, by default those of the first input. With ids of its own a result is not one of each
        sample: it is kept, or made again, as a whole. observed: see `sample_keys`.
        """
        check_lineage(dict(inputs))
        self.stage = stage
        self.recipe = dict(recipe)
        self.output = output
        self.folder = output.parent
        self.models = dict(models or {})
        self.inputs = {name: one.sha256 for name, one in inputs.items()}
        self.fingerprint = fingerprint(stage, self.recipe, self.models, self.inputs)
        self.ids = list(ids) if ids is not None else next(iter(inputs.values())).ids
        self.observed = observed
        self.made: list[str | None] = [None] * len(self.ids)
        if ids is None and not observed:
            self.made = made_keys(stage, self.recipe, self.models, inputs, self.ids)
        self.results: dict[int, Result] = {}
        places = {sample_id: position for position, sample_id in enumerate(self.ids)}
        for one in inputs.values():
            for sample_id, reason in one.failures.items():
                if sample_id in places:
                    self.results.setdefault(places[sample_id], Failure(_once(one.stage, reason)))

    def run(
        self, process: Process, *, batch_size: int, description: str | None = None, earlier: Earlier | None = None
    ) -> list[Result]:
        """Every sample's result in order, batch by batch; batches that an earlier run finished are read back, and with
        `earlier` the samples of the result published here whose keys are the same.

        A SampleError belongs to its sample and must be returned by `process` as a Failure (see `attempt`). Any other
        exception is this program's or the machine's fault and ends the job; its finished batches stay.
        """
        if earlier is not None:
            self.results.update(self._kept(earlier))
        pending = [position for position in range(len(self.ids)) if position not in self.results]
        batches = [pending[i : i + batch_size] for i in range(0, len(pending), batch_size)]
        found = self._read_parts()
        todo = [batch for batch in batches if not all(position in found for position in batch)]
        if found:
            log.info("%s: %d of %d samples found from an earlier run", self.stage.name, len(found), len(pending))
        self.results.update({position: found[position] for position in pending if position in found})
        try:
            done = len(self.ids) - sum(map(len, todo))
            name = f"{description or self.stage.name} {self.folder.name}"
            for batch in track(todo, name, len(self.ids), size=len, done=done):
                results = process(batch)
                if len(results) != len(batch):
                    raise RuntimeError(f"{self.stage.name}: {len(results)} results for a batch of {len(batch)}")
                self._write_part(batch, results)
                self.kept(batch).forget()
                self.results.update(zip(batch, results, strict=True))
                stop_if_asked()
        except Stopped as stopped:
            stopped.done.insert(0, f"{len(self.results)} of {len(self.ids)} images")
            raise
        return [self.results[position] for position in range(len(self.ids))]

    def kept(self, batch: Sequence[int], *, minutes: float = MINUTES) -> Kept:
        """How far the computation of a batch has come, for `process` to keep and to find again."""
        if not batch:
            return Kept(self._parts / "state", "whole", minutes=minutes)
        return Kept(self._parts / "state", f"{batch[0]:06d}", minutes=minutes, tell=within)

    def publish(
        self, writers: Mapping[str, Callable[[Path], None]], *, summary: Mapping[str, Any] | None = None
    ) -> Manifest:
        """Write the shard's files and its manifest, and put them in their place; an equal result stays untouched."""
        states = []
        for position, sample_id in enumerate(self.ids):
            result = self.results.get(position, Outcome())
            if isinstance(result, Failure):
                log.warning("%s: sample '%s' failed: %s", self.stage.name, sample_id, result.reason)
                states.append(SampleState(id=sample_id, state="failed", reason=result.reason))
            else:
                key = content_key(result.rows) if self.observed else self.made[position]
                states.append(SampleState(id=sample_id, state="done", key=key))

        def manifest(files: dict[str, FileRecord]) -> Manifest:
            return Manifest(
                stage=self.stage,
                recipe=self.recipe,
                models=self.models,
                inputs=self.inputs,
                fingerprint=self.fingerprint,
                samples=tuple(states),
                files=files,
                summary=dict(summary or {}),
            )

        return publish(self.folder, writers, manifest)

    @property
    def outcomes(self) -> dict[int, Outcome]:
        """The results of the samples that did not fail, by position."""
        return {p: r for p, r in sorted(self.results.items()) if isinstance(r, Outcome)}

    def _kept(self, earlier: Earlier) -> dict[int, Outcome]:
        """Outcomes, by position here, of the samples whose published results were made from the same."""
        there = published(self.output, self.stage.name)
        if there is None:
            return {}
        places = {sample_id: position for position, sample_id in enumerate(there.ids)}
        keys = there.keys
        same = [
            position
            for position, (sample_id, made) in enumerate(zip(self.ids, self.made, strict=True))
            if made is not None and position not in self.results and keys.get(sample_id) == made
        ]
        if not same:
            return {}
        try:
            read = earlier(there)
        except (AnywordError, OSError) as error:
            log.warning("%s: what is published cannot be used: %s", self.stage.name, error)
            return {}
        log.info("%s: %d of %d samples are unchanged, kept", self.stage.name, len(same), len(self.ids))
        return {position: read(places[self.ids[position]]) for position in same}

    # Parts: a finished batch as one safetensors file, named by its own hash, so a torn or foreign one is not used.

    @property
    def _parts(self) -> Path:
        return self.folder / PARTS / self.fingerprint[:16]

    def _write_part(self, batch: Sequence[int], results: Sequence[Result]) -> None:
        from safetensors.numpy import save

        records, tensors = [], {}
        for position, result in zip(batch, results, strict=True):
            if isinstance(result, Failure):
                records.append({"position": position, "failed": result.reason, "usage": dict(result.usage)})
            else:
                records.append({"position": position, "rows": result.rows})
                for name, value in result.tensors.items():
                    tensors[f"{position}/{name}"] = np.ascontiguousarray(value)
        data = save(tensors, metadata={"records": json.dumps(records)})
        write_bytes(self._parts / f"{batch[0]:06d}-{sha256_of(data)[:32]}.safetensors", data)

    def _read_parts(self) -> dict[int, Result]:
        from safetensors import safe_open

        found: dict[int, Result] = {}
        for path in sorted(self._parts.glob("*.safetensors")) if self._parts.is_dir() else ():
            if sha256_of(path.read_bytes())[:32] != path.stem.rpartition("-")[2]:
                log.warning("%s: damaged, its batch is computed again", path)
                continue
            with safe_open(path, framework="numpy") as part:
                tensors: dict[int, dict[str, np.ndarray]] = {}
                for key in part.keys():  # noqa: SIM118 (safe_open is no mapping)
                    position, _, name = key.partition("/")
                    tensors.setdefault(int(position), {})[name] = part.get_tensor(key)
                for record in json.loads(part.metadata()["records"]):
                    position = record["position"]
                    if "failed" in record:
                        found[position] = Failure(record["failed"], record.get("usage", {}))
                    else:
                        found[position] = Outcome(record["rows"], tensors.get(position, {}))
        return found


def _once(stage: str, reason: str) -> str:
    """A reason carried on from the stage where it arose, named once."""
    return reason if reason.startswith("in ") else f"in {stage}: {reason}"
