"""The paper's Table 8: the dataset's own text against captions that were generated, or have a captioner's mistakes.

A source of captions is a dataset of its own (the same images, other texts), so its words are parsed, inverted and
attended anew. What is found is held against the truth of the dataset's own text: by IoU, which asks nothing of the
words, and by words, since the spans of one text mean nothing in another.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.options import (
    STUDIES,
    Config,
    Cores,
    Dataset,
    First,
    Json,
    Samples,
    ShardSize,
    Similarity,
    Split,
    chosen_dataset,
)
from lab.studies.table import Figure, Table, keep, save
from lab.studies.table import Row as Line
from lab.studies.workflow import run_experiments, run_present, shipped
from stages.artifacts.atomic import write_bytes
from stages.artifacts.errors import AnywordError, ArtifactError
from stages.artifacts.language import Parse
from stages.artifacts.masks import overlap, rle_of
from stages.artifacts.results import RESULTS, Results, shard_name
from stages.artifacts.shard_reader import ShardReader

Row = Mapping[str, Any]
TRUTH = "truth text"
LABELS = ("captions", "mistaken")
COLUMNS = ("AP50", "AP50_real_scores", "mAP", "mIoU", "recall", "mIoU_by_words", "mIoU_by_iou", "unanswered")
DRAWN = ("mAP", "mIoU", "recall", "mIoU_by_words", "mIoU_by_iou")
_ARTICLES = frozenset(("a", "an", "the"))


@dataclass(frozen=True)
class Source:
    """Captions by sample, and how many of them are known to be mistaken (None: not known)."""

    name: str
    captions: Mapping[str, tuple[str, Parse | None]]
    mistaken: int | None = None


@dataclass(frozen=True)
class Shard:
    """One shard of the dataset whose texts are replaced."""

    name: str
    samples: ShardReader


def configuration(
    base: Mapping[str, Any],
    *,
    like: str,
    parser: str,
    dataset: str,
    texts: Path | None = None,
    root: str = "",
    size: int,
) -> dict[str, Any]:
    """What one source adds to the configuration: an experiment `{dataset}-{parser}` and, with `texts`, its dataset.

    root: folder of the images. size: samples a shard.
    """
    if like not in base["experiments"]:
        raise AnywordError(f"--like '{like}' is none of {', '.join(base['experiments'])}.")
    name = f"{dataset}-{parser}"
    added: dict[str, Any] = {
        "experiments": {name: {**base["experiments"][like], "dataset": dataset, "parser": parser}},
        "targets": [name],
    }
    if texts is not None:
        added["datasets"] = {dataset: {"kind": "folder", "root": root, "texts": str(texts), "shard_size": size}}
    return added


def shards(results: Path, dataset: str) -> list[Shard]:
    """The finished shards of a dataset; AnywordError where there are none."""
    made = Results(results / dataset)
    if not made.shards():
        raise AnywordError(f"{made.folder}: has no samples.", remedy="Run one of its experiments first.")
    return [Shard(name, ShardReader(made.samples(name), "samples")) for name in made.shards()]


def with_mistake(rows: Iterable[Row], mistake: str) -> Source:
    """A captioner's captions of embedded scenes, with one kind of mistake."""
    from lab.studies.captioner import said

    captions: dict[str, tuple[str, Parse | None]] = {}
    mistaken = 0
    for row in rows:
        split, _, index = row["sample_id"].partition("-")
        one = said(split, int(index), mistake)
        captions[row["sample_id"]] = (one.text, one.parse)
        mistaken += one.mistaken
    return Source(mistake, captions, mistaken)


def read_captions(path: Path, known: Iterable[str]) -> Source:
    """A captioner's own captions: JSONL of {"id", "text"} (phrases are taken as `anyword parse` writes them), or CSV
    with the columns id and text.

    Raises:
        AnywordError: not such a file, a bad line, or no id of it is one of the dataset's.
    """
    captions: dict[str, tuple[str, Parse | None]] = {}
    for name, text, parse in _csv(path) if path.suffix.lower() == ".csv" else _jsonl(path):
        if name in captions:
            raise AnywordError(f"{path}: has two captions of '{name}'.", remedy="Keep one.")
        captions[name] = (text, parse)
    ids = set(known)
    kept = {name: one for name, one in captions.items() if name in ids}
    if not kept:
        some = ", ".join(sorted(ids)[:2])
        raise AnywordError(f"{path}: none of its {len(captions)} ids is the dataset's ({some}, …).")
    return Source(path.stem, kept)


def _jsonl(path: Path) -> Iterable[tuple[str, str, Parse | None]]:
    from stages.parse.parser import ParseRequest
    from stages.parse.texts import read_texts

    for one in read_texts(path):
        if not isinstance(one, ParseRequest):
            raise AnywordError(str(one[1]))
        yield one.id, one.text, one.given


def _csv(path: Path) -> Iterable[tuple[str, str, Parse | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"id", "text"} <= set(reader.fieldnames or ()):
                raise AnywordError(f"{path}: lacks the columns id and text.")
            for row in reader:
                yield row["id"], row["text"] or "", None
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnywordError(f"{path}: not a CSV table in UTF-8 ({error}).") from None


def write_texts(path: Path, given: Sequence[Shard], source: Source, *, drawn: bool) -> int:
    """The dataset's images with the source's captions, as a `folder` dataset reads them; how many samples.

    drawn: images lie beside their shard's tables, and paths begin with the shard. The file is left as it is where
    nothing changes, so that a study that is started again makes nothing anew.
    """
    from stages.parse.texts import as_line

    lines = []
    for shard in given:
        for row in shard.samples.table("samples"):
            if row["sample_id"] not in source.captions:
                continue
            text, parse = source.captions[row["sample_id"]]
            image = f"{shard.name}/{row['image']}" if drawn else row["image"]
            value: dict[str, Any] = {"id": row["sample_id"], "image": image, "text": text}
            if parse is not None:
                value["phrases"] = [_given(one) for one in parse.phrases]
            lines.append(as_line(value) + "\n")
    data = "".join(lines).encode()
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)
    return len(lines)


def _given(phrase: Any) -> dict[str, Any]:
    """A phrase as the folder reader takes it."""
    return {
        "start": phrase.span.start,
        "end": phrase.span.end,
        "root_start": phrase.root.start,
        "root_end": phrase.root.end,
        "adjectives": [[one.start, one.end] for one in phrase.adjectives],
    }


def figures(
    results: Path, given: Sequence[Shard], dataset: str, experiment: str, *, recipe: Mapping[str, Any]
) -> dict[str, Figure]:
    """The columns of one source: masks of `experiment` on `dataset`, held against the truth of the given shards.

    A sample without a caption, or that failed on the way, counts as one without masks. recipe: a GranDf scorer's.
    """
    from stages.score.bootstrap import means
    from stages.score.collector import Case
    from stages.score.grandf import GranDfFigures
    from stages.score.grounding import score_sample
    from stages.score.recipe import GranDf

    chosen = GranDf.model_validate(dict(recipe))
    collector = GranDfFigures(chosen)
    texts, masks = _found(results, dataset, experiment)
    by_words: list[float] = []
    by_iou: list[float] = []
    images: list[str] = []
    for shard in given:
        truth = _by_sample(shard.samples.table("truth"))
        for sample in shard.samples.table("samples"):
            name = sample["sample_id"]
            wanted = [row for row in truth.get(name, ()) if row["kind"] == "phrase"]
            predictions = [row for row in masks.get(name, ()) if row["kind"] == "phrase"]
            said = texts.get(name, "")
            try:
                collector.add(Case(sample, wanted, predictions, None), said)
                records = score_sample(name, wanted, predictions).records
            except ArtifactError as error:
                raise ArtifactError(f"sample '{name}' of {dataset}: {error}") from None
            answers = by_the_words(sample["text"], wanted, said, predictions)
            pairs = zip(wanted, answers, strict=True)
            by_words += [0.0 if at is None else _iou(row, predictions[at]) for row, at in pairs]
            by_iou += [record.iou_matched for record in records]
            images += [name] * len(wanted)
    official = collector.figures()
    options = {"replicates": chosen.replicates, "seed": chosen.seed}
    own = means({"mIoU_by_words": by_words, "mIoU_by_iou": by_iou}, images, **options)
    found: dict[str, Figure] = {key: official[key] for key in COLUMNS[:5]}
    count = sum(len(shard.samples.table("samples")) for shard in given)
    answered = sum(one["sample_id"] in masks for shard in given for one in shard.samples.table("samples"))
    return found | {name: one.json() for name, one in own.items()} | {"unanswered": count - answered}


def by_the_words(text: str, wanted: Sequence[Row], said: str, predictions: Sequence[Row]) -> list[int | None]:
    """For each truth the position of the prediction whose phrase says the same, or None.

    First phrases that agree word for word (articles and case aside), then those with the same noun, in their order;
    each prediction answers once. Nothing is compared but words: a mask cannot look for a truth that it fits.
    """
    found: list[int | None] = [None] * len(wanted)
    free = dict.fromkeys(range(len(predictions)))
    for part in (_phrase, _noun):
        for position, row in enumerate(wanted):
            if found[position] is None:
                at = next((i for i in free if part(said, predictions[i]) == part(text, row)), None)
                if at is not None:
                    found[position] = at
                    del free[at]
    return found


def _phrase(text: str, row: Row) -> tuple[str, ...]:
    return tuple(one for one in text[row["start"] : row["end"]].lower().split() if one not in _ARTICLES)


def _noun(text: str, row: Row) -> tuple[str, ...]:
    return (text[row["root_start"] : row["root_end"]].lower(),)


def _iou(one: Row, other: Row) -> float:
    inside, either = overlap(rle_of(one), rle_of(other))
    return inside / either if either else 0.0


def _found(results: Path, dataset: str, experiment: str) -> tuple[dict[str, str], dict[str, list[Row]]]:
    """Texts and masks of an experiment by sample; a sample that failed on the way has no masks."""
    texts: dict[str, str] = {}
    masks: dict[str, list[Row]] = {}
    for shard in shards(results, dataset):
        texts |= {row["sample_id"]: row["text"] for row in shard.samples.table("samples")}
        folder = ShardReader(Results(results / dataset).masks(experiment, shard.name), "segment")
        masks |= {one: [] for one in folder.ids if one not in folder.failures}
        for row in folder.table("masks"):
            if row["sample_id"] in masks:
                masks[row["sample_id"]].append(row)
    return texts, masks


def _by_sample(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["sample_id"], []).append(row)
    return found


def captions(
    samples: Samples = 200,
    json: Json = None,
    split: Split = "test",
    first: First = 0,
    dataset: Dataset = "",
    captions: Annotated[
        list[Path] | None,
        typer.Option(help="A captioner's texts: JSONL or CSV with id and text; may be repeated."),
    ] = None,
    mistakes: Annotated[
        str,
        typer.Option(help="Mistakes in captions of scenes, comma-separated: mixed is any of them. '' for none."),
    ] = "another,left-out,wrong-adjective,wrong-noun,absent-object",
    like: Annotated[str, typer.Option(help="The experiment whose other recipes are used.")] = "truth",
    parser: Annotated[str, typer.Option(help="Whose phrases, of the dataset's text and of captions alike.")] = "spacy",
    similarity: Similarity = "",
    shard_size: ShardSize = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """The dataset's own text against captions of the same images, generated or mistaken (the paper's Table 8)."""
    from lab.studies.captioner import MISTAKES
    from stages.config import Workflow, complete_config, merged

    base = complete_config(config)
    name, recipe = chosen_dataset(base, dataset, split, first, samples, shard_size)
    base = merged(base, {"datasets": {name: recipe}})
    embedded = recipe.get("kind") == "world"
    kinds = [one.strip() for one in mistakes.split(",") if one.strip()] if embedded else []
    unknown = [one for one in kinds if one not in MISTAKES]
    if unknown:
        raise AnywordError(f"--mistakes '{unknown[0]}' is none of {', '.join(MISTAKES)}.")
    folder = STUDIES / f"captions-{name}-{parser}"
    size = recipe.get("shard_size", 64)
    added = configuration(base, like=like, parser=parser, dataset=name, size=size)
    missing = run_present(base, added, folder=folder, cores=cores)
    rows = []
    if missing:
        rows = [Line([one, ""], {}, next(iter(missing.values()))) for one in (TRUTH, *map(str, captions or ()))]
    else:
        scorer = {"kind": "grandf", **({"similarity": similarity} if similarity else {})}
        given = shards(RESULTS, name)
        own = [row for shard in given for row in shard.samples.table("samples")]
        rows.append(Line([TRUTH, ""], figures(RESULTS, given, name, f"{name}-{parser}", recipe=scorer)))
        sources = [with_mistake(own, one) for one in kinds]
        sources += [read_captions(path, [row["sample_id"] for row in own]) for path in captions or ()]
        place = Workflow(merged(base, added)).data_location(name).get("root")
        for source in sources:
            said = f"{name}-said-{re.sub('[^A-Za-z0-9_.-]+', '-', source.name)[:24]}"
            texts = folder / f"{said}.jsonl"
            root = place or str(Results(RESULTS / name).drawn)
            count = write_texts(texts, given, source, drawn=place is None)
            one = configuration(base, like=like, parser=parser, dataset=said, texts=texts, root=root, size=size)
            masks = [
                str(Results(RESULTS / said).masks(f"{said}-{parser}", shard_name(number)))
                for number in range(-(-count // size))
            ]
            run_experiments(base, one, folder=folder / said, cores=cores, targets=masks)
            measured = figures(RESULTS, given, said, f"{said}-{parser}", recipe=scorer)
            known = "" if source.mistaken is None else f"{source.mistaken} of {len(own)}"
            rows.append(Line([source.name, known], measured))
    if not dataset:
        rows.append(Line(["captions of a real captioner on GranDf", ""], {}, shipped("grandf", "grandf")))
    table = Table(LABELS, COLUMNS, rows)
    text = save(folder, "captions", table, drawn=DRAWN, title=f"Captions on {name}, parser {parser}")
    keep({"dataset": name, "like": like, "parser": parser, "rows": table.json()}, folder / "captions.json", json)
    typer.echo(text)
