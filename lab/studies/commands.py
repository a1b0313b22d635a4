"""`anyword study`: one command a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies import commands_variance, paper
from lab.studies.commands_no_target import no_target
from lab.studies.inversion_commands import batches, inversion
from lab.studies.options import Config, Cores, Json, Samples, ShardSize
from stages.artifacts.results import RESULTS, Results

app = typer.Typer(
    no_args_is_help=True,
    help="""Compare experiments: each study writes a configuration, lets Snakemake run it, and tabulates.

    Results go below results/ of the current folder and are shared between studies; one that is started again goes
    on where it stopped.
    """,
)

app.command()(paper.ablation)
app.command()(paper.captions)
app.command()(paper.speed)
app.command()(inversion)
app.command()(batches)
app.registered_commands.extend(commands_variance.app.registered_commands)
app.command("no-target")(no_target)


@app.command()
def ladder(
    samples: Annotated[int, typer.Option(help="Scenes of the embedded world.", min=1)] = 200,
    json: Json = None,
    split: Annotated[str, typer.Option(help="val to tune on, test for figures.")] = "test",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    parser: Annotated[str, typer.Option(help="Whose phrases: one of the configuration's parsers.")] = "truth",
    shard_size: Annotated[int, typer.Option(help="Scenes a job.", min=1)] = 50,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """mIoU over noun phrases of four settings: attention alone, SAM, inversion, and grammar on top."""
    from lab.studies import ladder as study
    from lab.studies.options import scenes
    from lab.studies.scores import read_scores
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_json
    from stages.config import complete_config
    from stages.score.bootstrap import paired_difference

    base = complete_config(config)
    dataset, _ = scenes(split, first, samples, shard_size)
    choice = study.Choice(parser=parser)
    dataset += "" if parser == "truth" else f"-{parser}"
    added = study.configuration(
        base, choice, dataset=dataset, split=split, first=first, samples=samples, shard_size=shard_size
    )
    folder = Path("results") / "studies" / f"ladder-{dataset}"
    run_experiments(base, added, folder=folder, cores=cores)
    scores = {
        rung: read_scores(Path("results"), dataset, study.experiment(dataset, rung))
        for rung in (*study.RUNGS, "attention_only_half")
    }
    figures = study.figures(
        {rung: one.ious for rung, one in scores.items()},
        scores["full"].tags,
        lambda a, b: paired_difference(a, b, replicates=2000).json(),
    )
    figures |= {"split": split, "first": first, "parser": parser}
    for path in (folder / "ladder.json", json):
        if path is not None:
            write_json(path, figures)
    table = study.table(figures)
    (folder / "ladder.md").write_text(table + "\n", encoding="utf-8")
    typer.echo(table)


@app.command()
def thresholds(
    samples: Annotated[int, typer.Option(help="Validation scenes.", min=1)] = 64,
    values: Annotated[str, typer.Option(help="Thresholds to try, comma-separated.")] = "0.3,0.4,0.5,0.6,0.7,0.8,0.9",
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """Which thresholds serve best on validation scenes: of attention alone, and of the regions points come from."""
    from lab.studies import thresholds as study
    from lab.studies.scores import markdown, read_scores
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_json
    from stages.config import complete_config

    base = complete_config(config)
    dataset = f"thresholds-val-{samples}"
    tried = [float(value) for value in values.split(",")]
    added, experiments = study.configuration(base, dataset=dataset, samples=samples, values=tried)
    run_experiments(base, added, folder=Path("results") / "studies" / dataset, cores=cores)
    found: dict[str, Any] = {
        setting: {str(value): read_scores(Path("results"), dataset, name).miou for value, name in by_value.items()}
        for setting, by_value in experiments.items()
    }
    if json is not None:
        write_json(json, found)
    rows = [[value, *(found[setting][str(value)] for setting in found)] for value in tried]
    typer.echo(markdown(["threshold", *found], [[str(row[0]), *row[1:]] for row in rows]))


@app.command()
def parsing(
    parsers: Annotated[str, typer.Option(help="Recipes by name, comma-separated; default: all that are known.")] = "",
    part: Annotated[str, typer.Option(help="test (kept for the figure), dev, or all.")] = "test",
    gold: Annotated[Path | None, typer.Option(help="Gold captions of your own, in the same form.")] = None,
    json: Json = None,
    config: Config = None,
) -> None:
    """F1 of nouns, of (noun, adjective) and of (verb, subject, object) on gold captions, clean and under noise.

    Without --gold, a second set of captions, of another hand, is reported beside it.
    """
    from lab.studies import parsing as study
    from lab.studies.gold import FILE, SECOND, read_gold
    from lab.studies.scores import markdown
    from stages.artifacts.atomic import write_json
    from stages.artifacts.errors import AnywordError
    from stages.parse.catalogue import recipe_named, recipes

    if part not in ("test", "dev", "all"):
        raise AnywordError(f"--part '{part}' is none of test, dev, all.")
    golds = [one for one in read_gold(gold or FILE) if part in ("all", one.part)]
    if not golds:
        raise AnywordError(f"{gold or FILE}: holds no captions of part '{part}'.", remedy="Use --part all.")
    others = [one for one in read_gold(SECOND) if part in ("all", one.part)] if gold is None else []
    names = [name.strip() for name in parsers.split(",") if name.strip()]
    chosen = {name: recipe_named(name, config) for name in names} if names else recipes(config)
    found = study.study(chosen, golds, others) | {"part": part}
    if json is not None:
        write_json(json, found)
    typer.echo(markdown(["parser", "text", *study.FIGURES, "seconds"], study.table(found)))
    for name, reason in found["not_run"].items():
        typer.echo(f"not run: {name}: {reason}")


@app.command()
def treebank(
    data: Annotated[Path, typer.Option(help="Folder of UD English EWT (its .conllu files).")],
    pipeline: Annotated[str, typer.Option(help="embedded, or a pipeline's name or folder.")] = "embedded",
    json: Json = None,
) -> None:
    """UPOS, UAS and LAS of the embedded parser on the treebank's test part."""
    from lab.studies import treebank as study
    from lab.studies.scores import markdown
    from stages.artifacts.atomic import write_json

    figures = study.study(data, pipeline)
    if json is not None:
        write_json(json, figures)
    typer.echo(markdown(list(figures), [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in figures.values()]]))


@app.command()
def parsers(
    samples: Samples = 200,
    first: Annotated[int, typer.Option(help="Number of the first test scene.", min=0)] = 0,
    noise: Annotated[str, typer.Option(help="Kinds of noise, comma-separated: each is inverted anew. '' for none.")] = (
        "typos,broken_grammar,capitals"
    ),
    ask: Annotated[str, typer.Option(help="Language models to ask, by recipe, comma-separated: this costs.")] = "",
    like: Annotated[str, typer.Option(help="The experiment whose other recipes are used.")] = "truth",
    shard_size: ShardSize = 50,
    port: Annotated[int, typer.Option(help="Port of the scripted server on this machine.", min=0)] = 8763,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """mIoU, seconds and cost by parser, IoU of predicates' masks, and mIoU under noise (the paper's Table 7, G.2)."""
    from lab.studies import parsers as study
    from lab.studies.comparison import Figure, keep, save, score_of
    from lab.studies.scripted import server
    from lab.studies.workflow import run_experiments
    from stages.artifacts.shard_reader import ShardReader
    from stages.config import complete_config
    from stages.parse.catalogue import recipes
    from stages.parse.parser import lacking

    base = complete_config(config)
    asked = {one.strip() for one in ask.split(",") if one.strip()}
    known = {name: recipe for name, recipe in recipes(config).items() if recipe["kind"] != "vocabulary"}
    missing = {name: reason for name, recipe in known.items() if (reason := lacking(recipe)) is not None}
    for name, recipe in known.items():
        if recipe["kind"] == "openai" and name not in asked:
            missing.setdefault(name, f"a language model, asked with --ask {name} only")
    chosen = {name: recipe for name, recipe in known.items() if name not in missing}
    kinds = [kind.strip() for kind in noise.split(",") if kind.strip()]
    truths = study.truths(samples, first)
    with server(truths, port) as url:
        chosen[study.SCRIPTED] = {"kind": "openai", "model": "scripted", "base_url": url, **study.PRICES}
        added = study.configuration(
            base, scenes=samples, first=first, shard_size=shard_size, parsers=chosen, like=like, noise=kinds
        )
        clean = next(iter(added["datasets"]))
        folder = RESULTS / "studies" / f"parsers-{clean}"
        run_experiments(base, added, folder=folder, cores=cores)
        timed = {name: recipe for name, recipe in chosen.items() if recipe["kind"] != "truth" and name not in asked}
        seconds = {name: study.seconds_of(recipe, list(truths)) for name, recipe in timed.items()}
    found: dict[str, Any] = {"samples": samples, "not_run": missing, "noise": {}}
    rows: dict[str, dict[str, Figure]] = {}
    for name in chosen:
        score = score_of(RESULTS, clean, f"{clean}-{name}")
        made = Results(RESULTS / clean)
        parses = [ShardReader(made.phrases(name, shard), "parse") for shard in made.shards()]
        rows[name] = {
            "mIoU": study.miou(score),
            "predicates' mIoU": study.miou(score, "predicates"),
            "seconds": seconds.get(name),
            "cost": sum(one.manifest.summary.get("cost", 0.0) for one in parses),
        }
        found[name] = {
            "miou": score["phrases"]["miou"]["value"],
            "predicate_iou": score["predicates"]["miou"]["value"],
            "seconds": seconds.get(name),
            "cost": rows[name]["cost"],
            "scripted": name == study.SCRIPTED,
        }
    texts = {"clean": clean} | {one["noise"]: name for name, one in added["datasets"].items() if name != clean}
    noisy = {
        kind: {name: study.miou(score_of(RESULTS, one, f"{one}-{name}")) for name in study.UNDER_NOISE}
        for kind, one in texts.items()
    }
    found["noise"] = {
        kind: {name: one["value"] if isinstance(one, dict) else one for name, one in by_parser.items()}
        for kind, by_parser in noisy.items()
        if kind != "clean"
    }
    keep(found, folder / "parsers.json", json)
    drawn = ["mIoU", "predicates' mIoU"]
    typer.echo(save(folder, "parsers", study.table(rows, missing), drawn=drawn, title=f"Parsers on {clean}"))
    if kinds:
        noises = study.noise_table(noisy)
        typer.echo("\n" + save(folder, "noise", noises, drawn=noises.columns, title=f"Noise in texts of {clean}"))
