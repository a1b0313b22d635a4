"""Parsers held against the gold captions, clean and under noise."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lab.studies.gold import Gold, compare
from lab.studies.perturbed import spoilt
from stages.artifacts import AnywordError, SampleError
from stages.artifacts.language import Parse
from stages.parse.parser import Parser, ParseRequest, lacking, load_parser
from stages.world.noise import KINDS

FIGURES = ("noun_f1", "adjective_f1", "predicate_f1", "referred")


def study(
    recipes: Mapping[str, Mapping[str, Any]], golds: Sequence[Gold], others: Sequence[Gold] = ()
) -> dict[str, Any]:
    """For each parser that can run here: the four figures, seconds, cost, the figures by register and under noise,
    and, where there are `others`, the four figures on those captions of another hand.

    A parser that cannot run, or whose server fails, is listed under `not_run` with its reason.
    """
    found: dict[str, Any] = {"captions": len(golds), "not_run": {}}
    if others:
        found["captions_of_another_hand"] = len(others)
    for name, recipe in recipes.items():
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
        noisy = [spoilt(gold, kind) for gold in golds]
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
