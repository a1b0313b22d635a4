"""Parsers held against gold: captions by hand, clean and under noise, and the treebank's test part."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies.gold import FILE, SECOND, Gold, compare, perturbed, read_gold
from lab.studies.options import Config, Json
from lab.studies.table import keep, markdown
from stages.artifacts import AnywordError, SampleError
from stages.artifacts.language import Parse
from stages.parse.catalogue import recipe_named, recipes
from stages.parse.parser import Parser, ParseRequest, lacking, load_parser
from stages.world.noise import KINDS

FIGURES = ("noun_f1", "adjective_f1", "predicate_f1", "referred")


def study(
    chosen: Mapping[str, Mapping[str, Any]], golds: Sequence[Gold], others: Sequence[Gold] = ()
) -> dict[str, Any]:
    """For each parser that can run here: the four figures, seconds, cost, the figures by register and under noise,
    and, where there are `others`, the four figures on those captions of another hand.

    A parser that cannot run, or whose server fails, is listed under `not_run` with its reason.
    """
    found: dict[str, Any] = {"captions": len(golds), "not_run": {}}
    if others:
        found["captions_of_another_hand"] = len(others)
    for name, recipe in chosen.items():
        missing = "it repeats the gold" if recipe.get("kind") == "truth" else _lacking(recipe)
        if missing is None:
            try:
                found[name] = _figures(load_parser(recipe), golds, others)
            except AnywordError as error:
                missing = str(error)
        if missing is not None:
            found["not_run"][name] = missing
    return found


def _lacking(recipe: Mapping[str, Any]) -> str | None:
    try:
        return lacking(recipe)
    except AnywordError as error:
        return str(error)


def _figures(parser: Parser, golds: Sequence[Gold], others: Sequence[Gold]) -> dict[str, Any]:
    parser.parse([ParseRequest("warm", golds[0].text)])  # loading is no part of the seconds
    began = time.perf_counter()
    parses, cost = _parses(parser, golds)
    seconds = time.perf_counter() - began
    registers = sorted({gold.register for gold in golds})
    by_register = {
        register: compare(*_of_register(parses, golds, register)) | {"captions": _count(golds, register)}
        for register in registers
    }
    noise = {}
    for kind in KINDS:
        noisy = [perturbed(gold, kind) for gold in golds]
        noise[kind] = compare(_parses(parser, noisy)[0], noisy)
    other_parses, other_cost = _parses(parser, others)
    another = {"another_hand": compare(other_parses, others) | {"cost": other_cost}} if others else {}
    return {
        **compare(parses, golds),
        "seconds": round(seconds, 3),
        "cost": cost,
        "by_register": by_register,
        "noise": noise,
        **another,
    }


def _parses(parser: Parser, golds: Sequence[Gold]) -> tuple[list[Parse], float]:
    """The parses, empty where a text failed, and what they cost."""
    answers = parser.parse([ParseRequest(str(number), gold.text) for number, gold in enumerate(golds)])
    cost = sum(answer.usage.get("cost", 0.0) for answer in answers if not isinstance(answer, SampleError))
    return [Parse() if isinstance(answer, SampleError) else answer.parse for answer in answers], cost


def _of_register(parses: Sequence[Parse], golds: Sequence[Gold], register: str) -> tuple[list[Parse], list[Gold]]:
    chosen = [number for number, gold in enumerate(golds) if gold.register == register]
    return [parses[number] for number in chosen], [golds[number] for number in chosen]


def _count(golds: Sequence[Gold], register: str) -> int:
    return sum(gold.register == register for gold in golds)


def table(found: Mapping[str, Any]) -> list[list[str]]:
    """Rows for the eye: every parser, clean, on the captions of another hand and under each noise."""
    rows = []
    for name, figures in found.items():
        if isinstance(figures, Mapping) and "noun_f1" in figures:
            rows.append([name, "clean", *(f"{figures[key]:.3f}" for key in FIGURES), f"{figures['seconds']:.2f}"])
            if "another_hand" in figures:
                rows.append(["", "another hand", *(f"{figures['another_hand'][key]:.3f}" for key in FIGURES), ""])
            for kind, under in figures["noise"].items():
                rows.append(["", kind.replace("_", " "), *(f"{under[key]:.3f}" for key in FIGURES), ""])
    return rows


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
    if part not in ("test", "dev", "all"):
        raise AnywordError(f"--part '{part}' is none of test, dev, all.")
    golds = [one for one in read_gold(gold or FILE) if part in ("all", one.part)]
    if not golds:
        raise AnywordError(f"{gold or FILE}: holds no captions of part '{part}'.", remedy="Use --part all.")
    others = [one for one in read_gold(SECOND) if part in ("all", one.part)] if gold is None else []
    names = [name.strip() for name in parsers.split(",") if name.strip()]
    chosen = {name: recipe_named(name, config) for name in names} if names else recipes(config)
    found = study(chosen, golds, others) | {"part": part}
    keep(found, json)
    typer.echo(markdown(["parser", "text", *FIGURES, "seconds"], table(found)))
    for name, reason in found["not_run"].items():
        typer.echo(f"not run: {name}: {reason}")


def treebank_scores(data: Path, pipeline: str = "embedded", part: str = "test") -> dict[str, float | int]:
    """upos, xpos, uas, las (punctuation left out) and amod_f1 of a pipeline on one part of UD English EWT.

    The sentences are tokenised by the pipeline; a gold token that it splits otherwise counts as spaCy's scorer counts
    it. AnywordError where the data or the pipeline is missing.
    """
    from lab.training.train_parser import scores, treebank_docs
    from stages.parse.spacy_pipeline import load_pipeline, pipeline_path

    try:
        docs = treebank_docs(data, part)
    except FileNotFoundError as error:
        raise AnywordError(str(error)) from None
    nlp = load_pipeline(pipeline, pipeline_path(pipeline))
    return {**scores(nlp, docs), "sentences": len(docs), "tokens": sum(len(doc) for doc in docs)}


def treebank(
    data: Annotated[Path, typer.Option(help="Folder of UD English EWT (its .conllu files).")],
    pipeline: Annotated[str, typer.Option(help="embedded, or a pipeline's name or folder.")] = "embedded",
    json: Json = None,
) -> None:
    """UPOS, UAS and LAS of the embedded parser on the treebank's test part."""
    figures = treebank_scores(data, pipeline)
    keep(figures, json)
    typer.echo(markdown(list(figures), [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in figures.values()]]))
