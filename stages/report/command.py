"""Make an experiment's page, or one of two experiments side by side, from everything that they wrote."""

from __future__ import annotations

import csv
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import aside, write_bytes
from stages.artifacts.errors import AnywordError, ArtifactError
from stages.artifacts.failures import grouped
from stages.artifacts.progress import track
from stages.artifacts.recipes import validated
from stages.artifacts.results import Results, shard_name
from stages.artifacts.shard_reader import ShardReader
from stages.artifacts.shard_writer import ShardWriter
from stages.artifacts.shards import Key, Shard, open_shard
from stages.report import about, draw, rows, site, suspicion
from stages.report.contents import Scored, write_samples
from stages.report.plots import write as draw_plots
from stages.report.recipe import STAGE, Page

log = logging.getLogger("anyword")


def run(
    *,
    root: Path,
    experiment: str,
    shards: int,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    beside: str | None = None,
    plots: Path | None = None,
) -> Path:
    """Write the page of `experiment` below `root` (results/{dataset}); returns the path of index.html.

    images: the folder that image paths are relative to, by default each shard's own. beside: a second experiment of
    the dataset, whose samples the page shows beside the first one's. plots: a folder for plots of the first one's
    scores, seconds by stage and failures.

    Raises:
        ArtifactError: a result is missing, damaged, or made from others than these; a score is of other masks.
    """
    chosen = validated("report", recipe, Page)
    names = [experiment] if beside is None else [experiment, beside]
    if experiment == beside:
        raise AnywordError(f"'{experiment}' beside itself shows nothing.", remedy="Name another experiment.")
    results = Results(root)
    opened = [[open_shard(results, name, shard_name(n)) for name in names] for n in range(shards)]
    scores = [_score_of(results.score(name), [one[i] for one in opened]) for i, name in enumerate(names)]
    inputs = _inputs(names, opened, scores)
    ids = [name for one in opened for name in one[0].ids]
    writer = ShardWriter(STAGE, dict(recipe), output, inputs=inputs, ids=ids)
    scored = [_lines(score) if score else {} for score in scores]
    selection = rows.Selection(chosen.max_samples)
    for entry in _survey(opened, scored):
        selection.add(entry)
    entries = selection.chosen()
    columns = rows.columns(entries, beside=beside)
    failed = [one for shards in opened for run in shards for one in run.failures.values()]
    failures = grouped(failed)
    figures = [about.figures(score) for score in scores]
    index = {
        "experiments": names,
        "dataset": root.name,
        "total": selection.total,
        "columns": [vars(one) for one in columns],
        "files": {"rows": site.ROWS_A_FILE, "details": site.DETAILS_A_FILE, "sheet": site.SHEET, "cell": site.CELL},
        "shown": len(entries),
        "colours": [f"#{bytes(one).hex()}" for one in draw.COLOURS],
        "failures": about.failures(failures),
        "provenance": [about.provenance([one[i].inputs for one in opened], score) for i, score in enumerate(scores)],
        "scores": figures,
        "rule": suspicion.rule(),
    }

    def write_data(path: Path) -> None:
        with aside(path) as folder:
            folder.mkdir()
            (folder / "index.js").write_bytes(site.data("index", index))
            for number, first, last in site.parts(len(entries), site.ROWS_A_FILE):
                part = site.table([one.row for one in entries[first:last]], [one.name for one in columns])
                (folder / f"rows-{number:05d}.js").write_bytes(site.data(f"rows-{number:05d}", part))
            write_samples(folder, opened, entries, scored, chosen.picture_size, images)

    writers: dict[str, Any] = {"data": write_data}
    writers |= {f"app/{name}": partial(write_bytes, data=content) for name, content in site.assets().items()}
    writers["index.html"] = partial(write_bytes, data=site.shell(" and ".join(names)))
    writer.publish(writers, summary={"samples": selection.total, "shown": len(entries), "failed": len(failed)})
    if plots is not None:
        draw_plots(plots, [one[0] for one in opened], scored[0], scores[0], figures[0], failures, root.parent)
    log.info("report: %s", writer.folder / "index.html")
    return writer.folder / "index.html"


def _survey(opened: Sequence[Sequence[Shard]], scored: Sequence[Scored]) -> Iterator[rows.Entry]:
    """Every sample's line, with each experiment's figures."""
    order = itertools.count(1)
    counts = [len(shards[0].ids) for shards in opened]
    whole = track(opened, "report: figures", sum(counts), size=lambda shards: len(shards[0].ids))
    for number, shards in enumerate(whole):
        read = [one.unread() for one in shards]
        for position, name in enumerate(read[0].ids):
            lines = [rows.line(one, position, own.get(name, {})) for one, own in zip(read, scored, strict=True)]
            apart = rows.disagreement(read[0], read[1], name) if len(read) > 1 else None
            yield rows.Entry(number, position, next(order), lines, apart)


def _inputs(
    names: Sequence[str], opened: Sequence[Sequence[Shard]], scores: Sequence[ShardReader | None]
) -> dict[str, ShardReader]:
    """All that the page is made of, each under a name of its own, which says whose it is where there are two."""
    found: dict[str, ShardReader] = {}
    for number, (name, score) in enumerate(zip(names, scores, strict=True)):
        behind = f" of {name}" if len(names) > 1 else ""  # or one's score would be held against the other's masks
        for shards in opened:
            found |= {f"{part}/{shards[number].name}{behind}": one for part, one in shards[number].inputs.items()}
        if score is not None:
            found[f"score{behind}"] = score
    return found


def _score_of(path: Path, shards: Sequence[Shard]) -> ShardReader | None:
    """The experiment's score, where its dataset has truth; ArtifactError where it scores other masks than these."""
    if not path.is_file():
        return None
    score = ShardReader(path, "score")
    for one in shards:
        if score.manifest.inputs.get(f"masks/{one.name}") != one.inputs["masks"].sha256:
            raise ArtifactError(
                f"{path}: scores other masks than {one.inputs['masks'].path}.", remedy="Run score again."
            )
    return score


def _lines(score: ShardReader) -> Scored:
    """The lines of scores.csv by sample, kind and index."""
    found: defaultdict[str, dict[Key, dict[str, str]]] = defaultdict(dict)
    with score.file("scores.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            found[line["sample_id"]][line["kind"], int(line["index"])] = line
    return found
