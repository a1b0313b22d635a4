"""What a parser is: a new kind is a module with `load` and `lacking`, and its model in `recipe.py`, which names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.artifacts.recipes import Recipe, implementation, validated


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


class UnparsedError(SampleError):
    """A text that could not be parsed, though that took something: an answer that was paid and does not read."""

    def __init__(self, message: str, usage: Mapping[str, float]) -> None:
        super().__init__(message)
        self.usage = usage


ParseResult = Parsed | SampleError


class Parser(Protocol):
    """A loaded parser; `models` are the weights that take part."""

    models: Mapping[str, ModelRecord]

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        """One result a request, in order. A text that cannot be parsed gives its SampleError; the rest go on."""


class Module(Protocol):
    """What the module of a parser's recipe offers."""

    def load(self, recipe: Any) -> Parser:
        """AnywordError with the remedy where something is missing."""

    def lacking(self, recipe: Any) -> str | None:
        """What keeps this recipe from running on this machine, in words; None where nothing does. Loads nothing."""


def load_parser(values: Mapping[str, Any]) -> Parser:
    """The parser of a recipe, ready to run."""
    recipe = validated("parse", values, Recipe)
    return cast(Module, implementation(recipe)).load(recipe)


def lacking(values: Mapping[str, Any]) -> str | None:
    """What a recipe needs that is not here, in words; None where it can run."""
    recipe = validated("parse", values, Recipe)
    return cast(Module, implementation(recipe)).lacking(recipe)
