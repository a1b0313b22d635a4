"""The paper's tables as commands: ablation (6), parsers (7), captions (8), speed (10)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.studies.options import (
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
from stages.artifacts.results import LOGS, RESULTS, Results, shard_name

STUDIES = RESULTS / "studies"


def ablation(
    samples: Samples = 200,
    json: Json = None,
    split: Split = "test",
    first: First = 0,
    dataset: Dataset = "",
    like: Annotated[str, typer.Option(help="The experiment whose recipes are those of the full setting.")] = "truth",
    parser: Annotated[str, typer.Option(help="Another parser than that experiment's.")] = "",
    steps: Annotated[
        str,
        typer.Option(help="Steps of learning: ALL, or FEW,HALF,ALL; '': the inverter's, in the paper's ratios."),
    ] = "",
    settings: Annotated[str, typer.Option(help="Only these settings, comma-separated.")] = "",
    attention: Annotated[str, typer.Option(help="The segmenter of the setting without SAM.")] = "attention",
    adapter: Annotated[str, typer.Option(help="One of the configuration's adapters; '': its lora.")] = "",
    pairs: Annotated[int | None, typer.Option(help="Training pairs of lora, if other than its own.", min=1)] = None,
    adapter_steps: Annotated[int | None, typer.Option(help="Its steps, if other than its own.", min=1)] = None,
    similarity: Similarity = "",
    shard_size: ShardSize = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """What SAM, prompt learning, the two binding rules and a fitted text encoder bring (the paper's Table 6)."""
    from lab.studies import ablation as study
    from lab.studies.absent import run_present, shipped
    from lab.studies.comparison import Row, keep, save
    from stages.artifacts.errors import AnywordError
    from stages.config import complete_config, merged

    base = complete_config(config)
    name, recipe = chosen_dataset(base, dataset, split, first, samples, shard_size)
    names = [one.strip() for one in settings.split(",") if one.strip()]
    unknown = set(names) - {one.name for one in study.SETTINGS}
    if unknown:
        raise AnywordError(
            f"--settings '{sorted(unknown)[0]}' is none of {', '.join(one.name for one in study.SETTINGS)}."
        )
    chosen = [one for one in study.SETTINGS if one.name in names or not names]
    base = merged(base, {"datasets": {name: recipe}})
    if like not in base["experiments"]:
        raise AnywordError(f"--like '{like}' is none of {', '.join(base['experiments'])}.")
    inverter = base["inverters"][base["experiments"][like]["inverter"]]
    if any(one.learning == "few" for one in chosen) and not adapter:
        adapter, lacking = study.fitted(base, inverter, name, pairs, adapter_steps)
        base = merged(base, lacking)
    counts = study.steps_of(steps, inverter.get("steps", 1100))
    choice = study.Choice(like=like, attention=attention, adapter=adapter, parser=parser or None)
    added = study.configuration(base, choice, dataset=name, steps=counts, settings=chosen, similarity=similarity)
    folder = STUDIES / f"ablation-{name}"
    missing = run_present(base, added, folder=folder, cores=cores)
    rows = []
    for one in chosen:
        experiment = study.experiment(name, one)
        ran = experiment not in missing
        figures = study.figures_of(RESULTS, name, experiment) if ran else {}
        rows.append(Row(study.labels(one, counts), figures, missing.get(experiment, "")))
    if not dataset:
        rows.append(Row(["the paper's settings on GranDf", "", "", "", ""], {}, shipped("grandf", "grandf")))
    table = study.table(rows)
    text = save(folder, "ablation", table, drawn=study.DRAWN, title=f"Ablation on {name}")
    keep({"dataset": name, "like": like, "rows": table.json()}, folder / "ablation.json", json)
    typer.echo(text)


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
        typer.Option(help="Spoilt captions of embedded scenes, comma-separated: mixed is any of them. '' for none."),
    ] = "another,left-out,wrong-adjective,wrong-noun,absent-object",
    like: Annotated[str, typer.Option(help="The experiment whose other recipes are used.")] = "truth",
    parser: Annotated[str, typer.Option(help="Whose phrases, of the dataset's text and of captions alike.")] = "spacy",
    similarity: Similarity = "",
    shard_size: ShardSize = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """The dataset's own text against generated or spoilt captions of the same images (the paper's Table 8)."""
    import re

    from lab.studies import captions as study
    from lab.studies.absent import run_present, shipped
    from lab.studies.comparison import Row, Table, keep, save
    from lab.studies.workflow import run_experiments
    from lab.training.captioner import MISTAKES
    from stages.artifacts.errors import AnywordError
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
    added = study.configuration(base, like=like, parser=parser, dataset=name, size=size)
    missing = run_present(base, added, folder=folder, cores=cores)
    rows = []
    if missing:
        rows = [Row([one, ""], {}, next(iter(missing.values()))) for one in (study.TRUTH, *map(str, captions or ()))]
    else:
        scorer = {"kind": "grandf", **({"similarity": similarity} if similarity else {})}
        given = study.shards(RESULTS, name)
        own = [row for shard in given for row in shard.samples.table("samples")]
        rows.append(Row([study.TRUTH, ""], study.figures(RESULTS, given, name, f"{name}-{parser}", recipe=scorer)))
        sources = [study.spoilt(own, one) for one in kinds]
        sources += [study.read_captions(path, [row["sample_id"] for row in own]) for path in captions or ()]
        place = Workflow(merged(base, added)).data_location(name).get("root")
        for source in sources:
            said = f"{name}-said-{re.sub('[^A-Za-z0-9_.-]+', '-', source.name)[:24]}"
            texts = folder / f"{said}.jsonl"
            root = place or str(Results(RESULTS / name).drawn)
            count = study.write_texts(texts, given, source, drawn=place is None)
            one = study.configuration(base, like=like, parser=parser, dataset=said, texts=texts, root=root, size=size)
            masks = [
                str(Results(RESULTS / said).masks(f"{said}-{parser}", shard_name(number)))
                for number in range(-(-count // size))
            ]
            run_experiments(base, one, folder=folder / said, cores=cores, targets=masks)
            figures = study.figures(RESULTS, given, said, f"{said}-{parser}", recipe=scorer)
            known = "" if source.mistaken is None else f"{source.mistaken} of {len(own)}"
            rows.append(Row([source.name, known], figures))
    if not dataset:
        rows.append(Row(["captions of a real captioner on GranDf", ""], {}, shipped("grandf", "grandf")))
    table = Table(study.LABELS, study.COLUMNS, rows)
    text = save(folder, "captions", table, drawn=study.DRAWN, title=f"Captions on {name}, parser {parser}")
    keep({"dataset": name, "like": like, "parser": parser, "rows": table.json()}, folder / "captions.json", json)
    typer.echo(text)


def speed(
    experiments: Annotated[list[str] | None, typer.Argument(help="Finished experiments; default: all.")] = None,
    json: Json = None,
    results: Annotated[Path, typer.Option(help="Where the workflow wrote.")] = RESULTS,
    logs: Annotated[Path, typer.Option(help="Where it keeps logs and benchmark files.")] = LOGS,
) -> None:
    """Seconds an image by stage of finished experiments, beside the figures that the paper prints (its Table 10)."""
    from lab.studies import speed as study
    from lab.studies.comparison import keep, save
    from lab.studies.plots import stacks

    found = [study.times(results, logs, *one) for one in study.chosen(results, experiments or [])]
    folder = results / "studies" / "speed"
    table = study.table(found)
    text = save(folder, "speed", table)
    stacks(
        [one.experiment for one in found],
        study.parts(found),
        "Seconds an image, as run",
        "seconds an image",
        [folder / f"speed.{suffix}" for suffix in ("png", "svg")],
    )
    keep({"rows": table.json()}, folder / "speed.json", json)
    typer.echo(text)
