"""`anyword study inversion` (what each option brings and costs) and `batches` (whether company changes masks)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.variants import PARTS


def inversion(
    part: Annotated[str, typer.Option(help=f"{', '.join(PARTS)} (several with commas), or all.")] = "all",
    samples: Annotated[int, typer.Option(help="Scenes of the embedded world.", min=1)] = 64,
    split: Annotated[str, typer.Option(help="val to choose by, test for figures.")] = "val",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    synonyms: Annotated[
        float | None,
        typer.Option(
            help="Chance of a phrase of unseen synonyms in a caption that can have one; default: 0.46.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    inverter: Annotated[str, typer.Option(help="The base: one of the configuration's inverters.")] = "embedded",
    attender: Annotated[str, typer.Option(help="The base: one of the configuration's attenders.")] = "direct",
    prompter: Annotated[
        str, typer.Option(help="unbound (the noun alone: shows inversion most), or one of the configuration's.")
    ] = "unbound",
    segmenter: Annotated[str, typer.Option(help="One of the configuration's segmenters.")] = "embedded",
    parser: Annotated[str, typer.Option(help="Whose phrases: one of the configuration's parsers.")] = "truth",
    counts: Annotated[str, typer.Option("--steps", help="Part steps: how many, comma-separated.")] = "0,8,16,32,64,100",
    few: Annotated[
        int | None, typer.Option(help="Part lora: the few steps; default: a tenth of the base's.", min=0)
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(help="Part lora: training pairs; default: as the configuration's `lora` says.", min=1),
    ] = None,
    shard_size: Annotated[int, typer.Option(help="Scenes a job.", min=1)] = 64,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    cores: Annotated[int, typer.Option(help="Cores for Snakemake.", min=1)] = 2,
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
) -> None:
    """mIoU and seconds of inversion and attention, one option changed at a time.

    Each variant's mIoU over noun phrases, over phrases of unseen synonyms and over small objects, with 95 % intervals
    and the difference from the base on the same phrases. Tables, CSV and a plot of the steps go below results/studies/.
    """
    from lab.studies import inversion as study
    from lab.studies import inversion_tables as tables
    from lab.studies.ladder import Choice
    from lab.studies.scores import read_scores
    from lab.studies.variants import parts as variants_of
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_json
    from stages.artifacts.errors import AnywordError
    from stages.config import Workflow, complete_config

    names = list(PARTS) if part == "all" else [one.strip() for one in part.split(",") if one.strip()]
    for one in names:
        if one not in PARTS:
            raise AnywordError(f"--part '{one}' is unknown.", remedy=f"Use {', '.join(PARTS)} or all.")
    base = complete_config(config)
    recipes = Workflow(base).recipes
    for section, name in (("inverters", inverter), ("attenders", attender)):
        if name not in recipes[section]:
            raise AnywordError(
                f"--{section[:-1]}: '{name}' is not in `{section}` of the configuration.",
                remedy=f"Use one of {', '.join(sorted(recipes[section]))}.",
            )
    chosen = recipes["inverters"][inverter]
    if not chosen["steps"]:
        raise AnywordError(f"--inverter: '{inverter}' takes no steps.", remedy="Give one that learns as the base.")
    fewer = max(1, chosen["steps"] // 10) if few is None else few
    wanted = _counts(counts)
    by_part = variants_of(
        names, chosen, recipes["attenders"][attender], study.facts_of(chosen), counts=wanted, few=fewer
    )
    choice = Choice(inverter=inverter, attender=attender, prompter=prompter, segmenter=segmenter, parser=parser)
    dataset = f"inversion-{split}-{first}-{samples}"
    scenes = {"kind": "world", "split": split, "first": first, "count": samples, "shard_size": shard_size}
    if synonyms is not None:
        dataset += f"-synonyms-{synonyms:g}"
        scenes["synonyms"] = synonyms
    variants = {one.name: one for ones in by_part.values() for one in ones}
    added = study.configuration(base, choice, list(variants.values()), dataset=scenes, name=dataset, pairs=pairs)
    folder = Path("results") / "studies" / (dataset if prompter == study.UNBOUND else f"{dataset}-{prompter}")
    run_experiments(base, added, folder=folder, cores=cores)

    results = Path("results")
    scores, cost = {}, {}
    for variant in variants.values():
        key = study.experiment(dataset, choice, variant)
        taken = added["experiments"][key]
        scores[variant.name] = read_scores(results, dataset, key)
        cost[variant.name] = study.costs(results, dataset, taken["inverter"], taken["attender"])
    found: dict[str, Any] = {
        "samples": samples,
        "split": split,
        "first": first,
        "synonyms": synonyms,
        "base": {"inverter": inverter, "attender": attender, "prompter": prompter, "segmenter": segmenter},
        "parts": {},
    }
    for name, ones in by_part.items():
        own_names = [one.name for one in ones]
        figures = study.figures({n: scores[n] for n in own_names}, {n: cost[n] for n in own_names})
        found["parts"][name] = {"variants": figures}
        lines = [tables.table(figures)]
        if name == "lora":
            found["parts"][name]["gaps"] = study.gaps(scores, ones)
            lines += ["", *tables.gap_lines(found["parts"][name]["gaps"])]
        if name == "steps":
            tables.plot(ones, figures, chosen["steps"], folder / "steps.png")
        text = "\n".join(lines)
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        (folder / f"{name}.csv").write_text(tables.as_csv(name, figures), encoding="utf-8")
        write_json(folder / f"{name}.json", found | {"parts": {name: found["parts"][name]}})
        typer.echo(f"{name}\n\n{text}\n")
    if json is not None:
        write_json(json, found)
    typer.echo(f"written below {folder}")


def _counts(text: str, option: str = "--steps") -> list[int]:
    from stages.artifacts.errors import AnywordError

    try:
        found = sorted({int(one) for one in text.split(",") if one.strip()})
    except ValueError:
        found = []
    if not found or found[0] < 0:
        raise AnywordError(f"{option} '{text}' is no list of numbers.", remedy="Give such as 0,8,16.")
    return found


def batches(
    samples: Annotated[int, typer.Option(help="Validation scenes of the embedded world.", min=1)] = 50,
    sizes: Annotated[str, typer.Option(help="The two batch sizes.")] = "1,8",
    like: Annotated[str, typer.Option(help="The experiment whose recipes are used.")] = "truth",
    first: Annotated[int, typer.Option(help="Number of the first scene.", min=0)] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Add the figures to this file, keeping what else it holds.")
    ] = None,
    cores: Annotated[int, typer.Option(help="Cores for Snakemake.", min=1)] = 2,
    config: Annotated[Path | None, typer.Option(help="A configuration laid over the repository's config.yaml.")] = None,
) -> None:
    """IoU of the masks of the same scenes, made with batches of one size and of another (to be 0.99 or more)."""
    import json as encoding

    from lab.studies import batches as study
    from lab.studies.workflow import run_experiments
    from stages.artifacts.atomic import write_json
    from stages.artifacts.errors import AnywordError
    from stages.config import complete_config

    wanted = _counts(sizes, "--sizes")
    if len(wanted) != 2 or wanted[0] < 1:
        raise AnywordError(f"--sizes '{sizes}' is not two sizes.", remedy="Give such as 1,8.")
    base = complete_config(config)
    if like not in base["experiments"]:
        raise AnywordError(
            f"--like: no experiment '{like}'.", remedy=f"Use one of {', '.join(sorted(base['experiments']))}."
        )
    made = []
    for size in wanted:
        added = study.configuration(base, like, size=size, samples=samples, first=first)
        name = study.dataset(size, samples)
        run_experiments(base, added, folder=Path("results") / "studies" / name, cores=cores)
        made.append(study.masks(Path("results"), name))
    found = study.agreement(*made)
    if json is not None:
        known = encoding.loads(json.read_text(encoding="utf-8")) if json.exists() else {}
        write_json(json, known | found)
    for key, value in found.items():
        typer.echo(f"{key:16} {value:.4f}" if isinstance(value, float) else f"{key:16} {value}")
