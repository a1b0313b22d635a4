"""`anyword study variance` and `anyword study text-only`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()

Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
Cores = Annotated[int, typer.Option(help="Cores for Snakemake.", min=1)]
Config = Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")]
Like = Annotated[
    str,
    typer.Option(help="The experiment whose recipes are used: inverter, attender, prompter, segmenter, parser."),
]


@app.command(
    epilog="Examples: anyword study variance --samples 200\n\n"
    "anyword study variance --dataset refs --rewriter gpt4o --samples 500 --like photos --config mine.yaml"
)
def variance(
    samples: Annotated[
        int | None, typer.Option(help="Scenes (default 200), or at most so many expressions for a model.", min=1)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="One of the configuration's datasets, instead of embedded scenes: a folder whose table has the "
            "column `group`, or any dataset together with --rewriter."
        ),
    ] = None,
    rewriter: Annotated[
        str | None,
        typer.Option(help="Of the configuration's parsers one of kind openai: that model writes the rewrites."),
    ] = None,
    rewrite: Annotated[str, typer.Option(help="In scenes: the words of the subject, or of all phrases.")] = "subject",
    split: Annotated[str, typer.Option(help="Of scenes: val to tune on, test for figures.")] = "test",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    easy: Annotated[
        str, typer.Option(help="MEAN,DEVIATION. Easy is at least this IoU mean and at most this deviation.")
    ] = "0.7,0.1",
    hard: Annotated[
        str, typer.Option(help="MEAN,DEVIATION. Hard is less than this mean, or more than this deviation.")
    ] = "0.5,0.2",
    like: Like = "truth",
    seed: Annotated[int, typer.Option(help="Of the words, and of how many rewrites a text gets.", min=0)] = 0,
    shard_size: Annotated[int, typer.Option(help="Texts a job.", min=1)] = 64,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """How masks hold when the same thing is said in other words: IoU mean and deviation over 2 to 5 rewrites.

    Each expression is said anew in synonyms (of the embedded thesaurus, of a language model, or the dataset's own),
    and every text is segmented without inversion, with it, and with grammar on top. Tables and the scatter plot go to
    results/studies/variance-…/: variance.md and .csv, expressions.csv, texts.csv, scatter.png and .svg.
    """
    from lab.studies import variance as study
    from lab.studies import variance_data as data
    from lab.studies import variance_output as output
    from lab.studies.scores import read_scores
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_json
    from stages.artifacts.errors import AnywordError
    from stages.config import complete_config

    results = Path("results")
    base = complete_config(config)
    bounds = study.Bounds(*output.pair(easy, "--easy"), *output.pair(hard, "--hard"))
    choice = data.choice_of(base, like)
    about: dict[str, Any] = {"like": like}
    if rewrite not in ("subject", "all"):
        raise AnywordError(f"--rewrite '{rewrite}' is none of subject, all.")
    if dataset is None:
        if rewriter is not None:
            raise AnywordError("--rewriter needs --dataset.", remedy="Scenes are rewritten by the thesaurus.")
        count = samples or 200
        name = (
            f"variance-{split}-{first}-{count}" + ("" if rewrite == "subject" else "-all") + (f"-s{seed}" * bool(seed))
        )
        recipe: dict[str, Any] = {"kind": "rewritten-world", "split": split, "first": first, "count": count}
        recipe |= {"rewrite": rewrite, "seed": seed, "shard_size": shard_size}
    elif rewriter is not None:
        name = f"variance-{dataset}-{rewriter}" + (f"-s{seed}" * bool(seed))
        settings: dict[str, Any] = {
            "most": samples,
            "seed": seed,
            "shard_size": shard_size,
            "config": config,
            "cores": cores,
        }
        recipe, about["rewriter"] = data.let_rewrite(base, dataset, rewriter, results / "studies" / name, **settings)
    elif dataset in base["datasets"]:
        name, recipe = dataset, base["datasets"][dataset]
    else:
        raise AnywordError(f"--dataset '{dataset}' is none of {', '.join(sorted(base['datasets']))}.")
    added, experiments = data.configuration(base, choice, dataset=name, recipe=recipe)
    folder = results / "studies" / (name if name.startswith("variance") else f"variance-{name}")
    run_experiments(base, added, folder=folder, cores=cores)
    texts = data.texts_of(results, name)
    found = {key: study.ious(read_scores(results, name, one), texts) for key, one in experiments.items()}
    spreads = {key: study.spreads(one, texts) for key, one in found.items()}
    if not spreads[study.BASELINE]:
        raise AnywordError(f"dataset '{name}': no expression has two texts with truth.", remedy="Check `group`.")
    figures = study.figures(spreads, bounds) | about | {"dataset": name}
    figures["failed"] = {key: data.failed_of(results, name, one) for key, one in experiments.items()}
    for path in (folder / "variance.json", json):
        if path is not None:
            write_json(path, figures)
    typer.echo(output.write(folder, figures, spreads, found, texts, bounds))


@app.command(
    "text-only",
    epilog="Example: anyword study text-only --dataset grandf --like photos --config mine.yaml "
    "--grounding-dino models/grounding-dino-base",
)
def text_only(
    samples: Annotated[int, typer.Option(help="Scenes of the embedded world.", min=1)] = 200,
    dataset: Annotated[
        str | None, typer.Option(help="One of the configuration's datasets, with truth, instead of embedded scenes.")
    ] = None,
    grounding_dino: Annotated[
        Path | None, typer.Option(help="Folder of a GroundingDINO; default: the configuration's, or the hub's cache.")
    ] = None,
    sam3: Annotated[Path | None, typer.Option(help="Folder of a SAM 3; default: likewise.")] = None,
    split: Annotated[str, typer.Option(help="Of scenes: val to tune on, test for figures.")] = "test",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    like: Like = "truth",
    shard_size: Annotated[int, typer.Option(help="Scenes a job.", min=1)] = 50,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """Points from attention against words alone: GroundingDINO's boxes into SAM, and SAM 3, on the same phrases.

    A method whose weights are not here is a row "not run", and its reason is printed. Weights are folders in
    transformers' layout with safetensors; GroundingDINO's boxes go to the SAM of --like. Tables go to
    results/studies/text-only-…/: text-only.md and .csv.
    """
    from lab.studies import text_only as study
    from lab.studies.scores import markdown
    from lab.studies.variance_data import choice_of
    from lab.studies.workflow import run_experiments
    from lab.studies.written import write_csv
    from stages.artifacts.atomic import write_bytes, write_json
    from stages.artifacts.errors import AnywordError
    from stages.config import complete_config

    base = complete_config(config)
    choice_of(base, like)
    name, data = dataset or f"text-only-{split}-{first}-{samples}", None
    if dataset is None:
        data = {"kind": "world", "split": split, "first": first, "count": samples, "shard_size": shard_size}
    elif dataset not in base["datasets"]:
        raise AnywordError(f"--dataset '{dataset}' is none of {', '.join(sorted(base['datasets']))}.")
    every = study.recipes(base, like, {"grounding-dino": grounding_dino, "sam3": sam3})
    not_run = {kind: reason for kind, recipe in every.items() if (reason := study.lacking(recipe)) is not None}
    chosen = {kind: recipe for kind, recipe in every.items() if kind not in not_run}
    added, experiments = study.configuration(base, like, dataset=name, data=data, chosen=chosen)
    folder = Path("results") / "studies" / (name if name.startswith("text-only") else f"text-only-{name}")
    run_experiments(base, added, folder=folder, cores=cores)
    figures = study.figures(Path("results"), name, experiments, not_run) | {"like": like}
    for path in (folder / "text-only.json", json):
        if path is not None:
            write_json(path, figures)
    write_csv(folder / "text-only.csv", *study.numbers(figures))
    lines = [markdown(*study.table(figures)), "", f"{figures['samples']} samples, {figures['phrases']} phrases."]
    lines += [f"not run: {study.NAMES[kind]}: {reason}" for kind, reason in not_run.items()]
    text = "\n".join(lines)
    write_bytes(folder / "text-only.md", (text + "\n").encode())
    typer.echo(text)
