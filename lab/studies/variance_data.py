"""The data of the variance study: rewritten scenes, rewrites that a language model makes of any dataset, or rewrites
that a dataset brings itself; and which texts belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.studies import paraphraser as rewriter
from lab.studies.ladder import Choice
from lab.studies.ladder import configuration as ladder_configuration
from lab.studies.ladder import experiment as rung_of
from lab.studies.variance import SETTINGS, TAG, Text
from lab.studies.workflow import run_targets
from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.atomic import write_bytes
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.recipes import Recipe, validated
from stages.artifacts.results import RESULTS, Results, shard_name
from stages.artifacts.tables import parse_of
from stages.parse.catalogue import recipe_named
from stages.parse.parser import lacking
from stages.parse.recipe import OpenaiParser


def configuration(
    base: Mapping[str, Any], choice: Choice, *, dataset: str, recipe: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the study adds to the configuration, and the experiment of each setting: the ladder's rungs, on `recipe`."""
    added = ladder_configuration(base, choice, dataset=dataset, split="test", first=0, samples=1, shard_size=1)
    experiments = {setting: rung_of(dataset, rung) for setting, rung in SETTINGS.items()}
    chosen = {name: added["experiments"][name] for name in experiments.values()}
    added |= {"datasets": {dataset: dict(recipe)}, "experiments": chosen, "targets": list(chosen)}
    return added, experiments


def choice_of(base: Mapping[str, Any], like: str) -> Choice:
    """The recipes of an experiment; AnywordError where there is none of that name."""
    chosen = base["experiments"].get(like)
    if chosen is None:
        raise AnywordError(f"--like '{like}' is none of {', '.join(sorted(base['experiments']))}.")
    return Choice(**{key: chosen[key] for key in ("inverter", "attender", "prompter", "segmenter", "parser")})


def let_rewrite(
    base: Mapping[str, Any],
    dataset: str,
    name: str,
    folder: Path,
    *,
    most: int | None,
    seed: int,
    shard_size: int,
    config: Path | None,
    cores: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rewrites of a dataset by the model of the parser recipe `name`, as a folder dataset below `folder`: its recipe,
    and what `write_rewritten` returns."""
    results = RESULTS
    recipe = validated("parse", recipe_named(name, config), Recipe)
    if not isinstance(recipe, OpenaiParser):
        raise AnywordError(f"--rewriter '{name}' is no language model.", remedy="Name a parser of kind openai.")
    missing = lacking(recipe.model_dump())
    if missing is not None:
        raise AnywordError(f"rewriter: {missing}")
    if dataset not in base["datasets"]:
        raise AnywordError(f"--dataset '{dataset}' is none of {', '.join(sorted(base['datasets']))}.")
    made = Results(results / dataset)
    run_targets(base, {}, [str(made.index)], folder=folder, cores=cores)
    shards = ShardReader(made.index, "index").manifest.summary["shards"]
    paths = [str(made.samples(shard_name(number))) for number in range(shards)]
    run_targets(base, {}, paths, folder=folder, cores=cores)
    root = base["datasets"][dataset].get("root")
    table = folder / "texts.jsonl"
    model = rewriter.Rewriter(recipe, seed=seed)
    found = write_rewritten(results, dataset, model, table, drawn=root is None, most=most)
    place = {"root": root or str(made.drawn), "texts": str(table)}
    return {"kind": "folder", **place, "shard_size": shard_size}, found


def failed_of(results: Path, dataset: str, experiment: str) -> int:
    """How many samples of an experiment failed on the way."""
    folder = ShardReader(Results(results / dataset).score(experiment), "score")
    return int(json.loads(folder.file("score.json").read_bytes())["failed"])


def samples_of(results: Path, dataset: str) -> Iterator[tuple[str, ShardReader]]:
    """The shards of a dataset's samples in order, each with its name."""
    made = Results(results / dataset)
    for shard in made.shards():
        yield shard, ShardReader(made.samples(shard), "samples")


def texts_of(results: Path, dataset: str) -> list[Text]:
    """Every sample that has a group; AnywordError where none has."""
    found = []
    for _, folder in samples_of(results, dataset):
        if "groups.parquet" not in folder.manifest.files:
            continue
        rows = {row["sample_id"]: row for row in folder.table("samples")}
        for one in folder.table("groups"):
            row = rows[one["sample_id"]]
            found.append(Text(one["group"], one["sample_id"], row["image_sha256"], row["text"]))
    if not found:
        raise AnywordError(
            f"dataset '{dataset}': no sample says which expression it rewrites.",
            remedy="Add the column `group` to its table, or let a model rewrite it (--rewriter).",
        )
    return found


def write_rewritten(
    results: Path, dataset: str, model: rewriter.Rewriter, output: Path, *, drawn: bool, most: int | None
) -> dict[str, Any]:
    """A table of a dataset's expressions and a model's rewrites of them, for a folder dataset: `output`, JSON lines.

    The referred phrase is rewritten, else the first that has truth; phrases beside it are kept, those inside it are
    not. drawn: the images lie in the samples' own folders, by shard, not below the dataset's root. most: at most so
    many expressions. Returns what it took, and why which expressions have no rewrites.
    """
    chosen: dict[str, tuple[dict[str, Any], Parse, int, dict[int, dict[str, Any]]]] = {}
    failed: dict[str, str] = {}
    for shard, folder in samples_of(results, dataset):
        masks: dict[str, dict[int, dict[str, Any]]] = {}
        for row in folder.table("truth"):
            if row["kind"] == "phrase":
                masks.setdefault(row["sample_id"], {})[row["index"]] = row
        for row in folder.table("samples"):
            if most is not None and len(chosen) == most:
                break
            parse, own = parse_of(row), masks.get(row["sample_id"], {})
            about = parse.referred if parse.referred in own else next(iter(sorted(own)), None)
            if about is None:
                failed[row["sample_id"]] = "no phrase of it has a mask to score against."
                continue
            image = f"{shard}/{row['image']}" if drawn else row["image"]
            chosen[row["sample_id"]] = ({**row, "image": image}, parse, about, own)
    asked = {name: (row["text"], parse.phrases[about].span) for name, (row, parse, about, _) in chosen.items()}
    if not asked:
        raise AnywordError(f"dataset '{dataset}': no sample has a phrase with a mask.", remedy="Choose another one.")
    said, refused, usage = rewriter.rewrites(model, asked)
    lines = []
    for name, rewrites in said.items():
        row, parse, about, own = chosen[name]
        lines.append(_line(name, name, row, row["text"], _given(parse.phrases, about, own)))
        for number, one in enumerate(rewrites, start=1):
            phrases = _moved(parse.phrases, about, one)
            lines.append(_line(f"{name}~{number}", name, row, one.text, _given(phrases, about, own)))
    if not lines:
        raise AnywordError(
            f"rewriter: no expression got {rewriter.FEWEST} usable rewrites; the first: {next(iter(refused.values()))}",
            remedy="Choose another model.",
        )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_bytes(output, text.encode())
    return {"expressions": len(said), "usage": usage, "not_rewritten": failed | refused}


def _moved(phrases: tuple[Phrase, ...], about: int, made: rewriter.Rewrite) -> tuple[Phrase | None, ...]:
    """The phrases of the old text in the new one; None for those that touched the rewritten words."""
    old = phrases[about].span
    shift = (made.phrase.end - made.phrase.start) - (old.end - old.start)

    def place(span: Span) -> Span:
        by = shift if span.start >= old.end else 0
        return Span(start=span.start + by, end=span.end + by)

    moved: list[Phrase | None] = []
    for index, one in enumerate(phrases):
        parts = (one.span, one.root, *one.adjectives)
        if index == about:
            moved.append(Phrase(span=made.phrase, root=rewriter.root_of(made)))
        elif any(part.overlaps(old) for part in parts):
            moved.append(None)
        else:
            moved.append(
                Phrase(span=place(one.span), root=place(one.root), adjectives=tuple(map(place, one.adjectives)))
            )
    return tuple(moved)


def _given(
    phrases: tuple[Phrase | None, ...] | tuple[Phrase, ...], about: int, masks: Mapping[int, Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """Phrases and masks as a folder dataset's table has them."""
    given: list[dict[str, Any]] = []
    found: list[dict[str, Any] | None] = []
    for index, one in enumerate(phrases):
        if one is None:
            continue
        given.append(
            {
                "start": one.span.start,
                "end": one.span.end,
                "root_start": one.root.start,
                "root_end": one.root.end,
                "adjectives": [[span.start, span.end] for span in one.adjectives],
                "tags": [TAG] if index == about else [],
            }
        )
        mask = masks.get(index)
        found.append(None if mask is None else {"size": [mask["height"], mask["width"]], "counts": mask["counts"]})
    return given, found


def _line(
    name: str, group: str, row: Mapping[str, Any], text: str, given: tuple[list[Any], list[Any]]
) -> dict[str, Any]:
    phrases, masks = given
    return {
        "id": name,
        "image": row["image"],
        "text": text,
        "split": row["split"],
        "group": group,
        "phrases": phrases,
        "masks": masks,
    }
