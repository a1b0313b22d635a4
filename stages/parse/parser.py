"""What a parser is, and which there are.

A new kind is one module with `load` (and `lacking`), its model in `recipe.py`, and one line in `PARSERS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from pydantic import BaseModel, ValidationError

from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.parse import recipe as recipes

PARSERS = {
    "spacy": "stages.parse.spacy_pipeline",
    "truth": "stages.parse.truth",
    "vocabulary": "stages.parse.vocabulary",
    "nltk": "stages.parse.nltk_chunks",
    "openai": "stages.parse.openai_chat",
}
"""Module by the recipe's `kind`."""


@dataclass(frozen=True)
class ParseRequest:
    """One text to parse, and what the dataset itself says of it."""

    id: str
    text: str
    given: Parse | None = None


@dataclass(frozen=True)
class Parsed:
    """A text's parse, and what it took (tokens and such), which sums over texts."""

    parse: Parse
    usage: Mapping[str, float] = field(default_factory=dict)


Answer = Parsed | SampleError


class Parser(Protocol):
    """A loaded parser; `models` are the weights that take part."""

    models: Mapping[str, ModelRecord]

    def parse(self, requests: Sequence[ParseRequest]) -> list[Answer]:
        """One answer a request, in order. A text that cannot be parsed gives its SampleError; the rest go on."""


class _Module(Protocol):
    def load(self, recipe: Any) -> Parser:
        """AnywordError with the remedy where something is missing."""

    def lacking(self, recipe: Any) -> str | None:
        """What keeps this recipe from running on this machine, in words; None where nothing does. Loads nothing."""


def recipe_of(values: Mapping[str, Any]) -> recipes.Parser:
    """The validated recipe; AnywordError names the option that does not fit."""
    kind = values.get("kind")
    if kind not in PARSERS:
        raise AnywordError(f"parser kind '{kind}' is none of {', '.join(PARSERS)}.")
    models: dict[str, type[BaseModel]] = {
        "spacy": recipes.SpacyParser,
        "truth": recipes.TruthParser,
        "vocabulary": recipes.VocabularyParser,
        "nltk": recipes.NltkParser,
        "openai": recipes.OpenaiParser,
    }
    try:
        return cast(recipes.Parser, models[kind].model_validate(dict(values)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or kind
        raise AnywordError(f"parser recipe: {where}: {first['msg']}.") from None


def load_parser(values: Mapping[str, Any]) -> Parser:
    """The parser of a recipe, ready to run."""
    recipe = recipe_of(values)
    return _module(recipe.kind).load(recipe)


def lacking(values: Mapping[str, Any]) -> str | None:
    """What a recipe needs that is not here, in words; None where it can run."""
    recipe = recipe_of(values)
    return _module(recipe.kind).lacking(recipe)


def _module(kind: str) -> _Module:
    return cast(_Module, importlib.import_module(PARSERS[kind]))
