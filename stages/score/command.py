"""Score an experiment over all shards of a dataset.

Writes score.json (figures), scores.csv (a line a truth), samples.csv (a line a sample), extra.csv (predictions that
answer no truth) and, with a dataset's own figures, official.csv (what they count: images, expressions or classes).
"""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import write_bytes, write_json
from stages.artifacts.errors import AnywordError, ArtifactError
from stages.artifacts.maps import WordMaps, read_maps
from stages.artifacts.progress import track
from stages.artifacts.recipes import validated
from stages.artifacts.results import Results, shard_name
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.shard_writer import ShardWriter
from stages.score import grounding
from stages.score.collector import Case, collector_of
from stages.score.recipe import STAGE, ScorerRecipe
from stages.score.table import text_table

log = logging.getLogger("anyword")

_TARGET = ("sample_id", "kind", "index", "start", "end", "phrase")
RECORD_COLUMNS = (*_TARGET, "tags", "answer", "intersection", "union", "iou", "iou_matched", "score", "pointing")
SAMPLE_COLUMNS = ("sample_id", "state", "reason", "phrases", "answered", "miou", "predictions", "extra")
EXTRA_COLUMNS = (*_TARGET, "score")


@dataclass(frozen=True)
class _Shard:
    name: str
    samples: ShardReader
    masks: ShardReader
    phrases: ShardReader | None
    maps: ShardReader | None

    @property
    def inputs(self) -> dict[str, ShardReader]:
        found = {"samples": self.samples, "masks": self.masks, "phrases": self.phrases, "maps": self.maps}
        return {name: folder for name, folder in found.items() if folder is not None}


def run(
    *,
    root: Path,
    experiment: str,
    shards: int,
    recipe: Mapping[str, Any],
    output: Path,
    parser: str | None = None,
    inverter: str | None = None,
    attender: str | None = None,
) -> dict[str, Any]:
    """Score `experiment` below `root` (results/{dataset}) over its shards; returns what score.json holds.

    With `parser` the expression's referred phrase is the parser's own; with `inverter` and `attender` the words'
    maps are held against the truth too (pointing).
    """
    chosen = validated("score", recipe, ScorerRecipe)
    opened = [_open(root, experiment, number, parser, inverter, attender) for number in range(shards)]
    inputs = {f"{name}/{one.name}": folder for one in opened for name, folder in one.inputs.items()}
    ids = [sample_id for one in opened for sample_id in one.samples.ids]
    writer = ShardWriter(STAGE, recipe, output, inputs=inputs, ids=ids)
    failures = {
        sample_id: reason
        for one in opened
        for folder in one.inputs.values()
        for sample_id, reason in folder.failures.items()
    }
    collector = collector_of(chosen)
    scored: list[grounding.Sample] = []
    texts: dict[str, str] = {}
    for one in track(
        opened, "score", sum(len(one.samples.ids) for one in opened), size=lambda one: len(one.samples.ids)
    ):
        for case, maps in _cases(one, failures):
            name = case.sample["sample_id"]
            texts[name] = case.sample["text"]
            try:
                scored.append(grounding.score_sample(name, case.truth, case.predictions, maps))
                if collector is not None:
                    collector.add(case)
            except ArtifactError as error:
                raise ArtifactError(f"shard {one.name}, sample '{name}': {error}") from None
    records = [record for sample in scored for record in sample.records]
    if not records and collector is None:
        raise AnywordError(
            f"{root}: its truth tables are empty.", remedy="Score needs samples with masks of their own."
        )
    score = _score(experiment, ids, failures, scored, chosen)
    files: dict[str, Callable[[Path], None]] = {}
    if collector is not None:
        score["official"] = {"kind": recipe["kind"], **collector.figures()}
        files["official.csv"] = partial(_write_csv, columns=collector.columns, rows=list(collector.rows()))
    writer.publish(
        {
            "score.json": lambda path: write_json(path, score),
            "scores.csv": lambda path: _write_csv(path, RECORD_COLUMNS, _record_rows(records, texts)),
            "samples.csv": lambda path: _write_csv(path, SAMPLE_COLUMNS, _sample_rows(ids, scored, failures)),
            "extra.csv": lambda path: _write_csv(path, EXTRA_COLUMNS, _extra_rows(scored, texts)),
            **files,
        },
        summary={"phrases": score["phrases"]["count"], "miou": score["phrases"]["miou"]["value"]},
    )
    log.info("%s", text_table(score))
    return score


def _open(
    root: Path, experiment: str, number: int, parser: str | None, inverter: str | None, attender: str | None
) -> _Shard:
    name = shard_name(number)
    results = Results(root)
    shard = _Shard(
        name=name,
        samples=ShardReader(results.samples(name), "samples"),
        masks=ShardReader(results.masks(experiment, name), "segment"),
        phrases=ShardReader(results.phrases(parser, name), "parse") if parser else None,
        maps=ShardReader(results.maps(inverter, attender, name), "attend") if inverter and attender else None,
    )
    check_lineage(shard.inputs)
    return shard


def _cases(shard: _Shard, failures: Mapping[str, str]) -> Iterator[tuple[Case, grounding.Maps | None]]:
    """The shard's samples in order, each with its truth, its predictions and its words' maps."""
    truth, masks = _by_sample(shard.samples.table("truth")), _by_sample(shard.masks.table("masks"))
    about = {row["sample_id"]: row["referred"] for row in shard.phrases.table("phrases")} if shard.phrases else {}
    maps: WordMaps | None = read_maps(shard.maps.file("maps.zarr")) if shard.maps else None
    position = {sample_id: i for i, sample_id in enumerate(shard.maps.ids)} if shard.maps else {}
    for sample in shard.samples.table("samples"):
        name = sample["sample_id"]
        failed = name in failures
        case = Case(sample, truth.get(name, []), [] if failed else masks.get(name, []), about.get(name))
        yield case, None if maps is None or failed else maps.of_sample(position[name])


def _score(
    experiment: str,
    ids: Sequence[str],
    failures: Mapping[str, str],
    scored: Sequence[grounding.Sample],
    recipe: ScorerRecipe,
) -> dict[str, Any]:
    options = {"replicates": recipe.replicates, "seed": recipe.seed}
    score: dict[str, Any] = {
        "experiment": experiment,
        "samples": len(ids),
        "failed": len(failures),
        "failures": [{"sample_id": one, "reason": failures[one]} for one in ids if one in failures],
        "predictions": sum(sample.predictions for sample in scored),
        "extra": sum(len(sample.extra) for sample in scored),
        "bootstrap": {**options, "level": 0.95},
    }
    for kind, name in (("phrase", "phrases"), ("predicate", "predicates")):
        records = [record for sample in scored for record in sample.records if record.kind == kind]
        score[name] = {**grounding.summary(records, **options), "tags": grounding.by_tag(records, **options)}
    return score


def _record_rows(records: Iterable[grounding.Record], texts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for one in records:
        row = {name: getattr(one, name) for name in RECORD_COLUMNS if name != "phrase"}
        yield {**row, "phrase": texts[one.sample_id][one.start : one.end], "tags": " ".join(one.tags)}


def _sample_rows(
    ids: Sequence[str], scored: Sequence[grounding.Sample], failures: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    found = {sample.sample_id: sample for sample in scored}
    for name in ids:
        row: dict[str, Any] = {
            "sample_id": name,
            "state": "failed" if name in failures else "done",
            "reason": failures.get(name),
        }
        if name in found:
            phrases = [one for one in found[name].records if one.kind == "phrase"]
            row |= {
                "phrases": len(phrases),
                "answered": sum(one.answer is not None for one in phrases),
                "miou": sum(one.iou for one in phrases) / len(phrases) if phrases else None,
                "predictions": found[name].predictions,
                "extra": len(found[name].extra),
            }
        yield row


def _extra_rows(scored: Iterable[grounding.Sample], texts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for sample in scored:
        for one in sample.extra:
            yield {**one, "phrase": texts[sample.sample_id][one["start"] : one["end"]]}


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """CSV in UTF-8, fractions to six places."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{one:.6f}" if isinstance(one, float) else one for key, one in row.items()})
    write_bytes(path, text.getvalue().encode())


def _by_sample(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["sample_id"]].append(row)
    return grouped
