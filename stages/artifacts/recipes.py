"""Recipes: what a user may say of a stage, and what each field of one is.

A room's recipes are the models of its `recipe.py`, told apart by their `kind`; each names the module that carries it
out. A field that is no option of the method says so itself, by a mark in its type:

    checkpoint: Annotated[str | None, Weights("models/sam", by="model")] = None

Light: nothing here needs torch.
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.artifacts.errors import AnywordError


class Options(BaseModel):
    """A group of options: a key that is not known is an error, and nothing is changed once it is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Recipe(Options):
    """The options of one `kind` (or of several that share them) of a room."""

    MODULE: ClassVar[str] = ""
    """The module that carries the recipe out, with the functions that its room's Protocol asks for; empty in rooms
    where there is nothing to choose between."""


class Mark:
    """What a field is, other than an option of the method."""

    recorded: bool = False
    """Whether the field counts in what decides a result."""


class Location(Mark):
    """Where the data lies on this machine: given to the command, so that a dataset that moves keeps its results."""


class Execution(Mark):
    """How fast, how often or by which way something is had, not what it is."""


@dataclass(frozen=True)
class Weights(Mark):
    """A model's file or folder, by its path or as a hub id. What counts is its content: see `stages.weights`."""

    embedded: str = ""
    """The repository's own model, which the word 'embedded' stands for."""
    by: str = ""
    """The field beside this one that says 'embedded' where this one is null; by default this one says it."""
    holds: str = "config.json"
    """The file by which a folder is known for such a model, on disk and on the hub."""
    recorded: bool = True
    """False where the model's hash, which results hold, is to stand for it alone, wherever it lies."""

    def path(self, options: Options, name: str) -> str | None:
        """What the field `name` of the options says: a path or hub id, or None where it names no model."""
        value: str | None = getattr(options, name)
        if not self.by:
            return self.embedded if value == "embedded" else value
        return self.embedded if value is None and getattr(options, self.by) == "embedded" else value


R = TypeVar("R", bound=Recipe)
M = TypeVar("M", bound=Mark)


@lru_cache
def models(room: str) -> dict[str, type[Recipe]]:
    """A room's recipes by `kind`."""
    module = importlib.import_module(f"stages.{room}.recipe")
    own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    return {
        kind: one
        for one in own
        if issubclass(one, Recipe) and "kind" in one.model_fields
        for kind in typing.get_args(one.model_fields["kind"].annotation)
    }


def model_of(room: str, kind: Any, at: str = "") -> type[Recipe]:
    """The model of a kind of recipe; AnywordError names those that there are. at: where it stands, for messages."""
    known = models(room)
    if kind not in known:
        raise AnywordError(
            f"{at or f'{room} recipe'}.kind is {kind!r}.", remedy=f"Use one of {', '.join(sorted(known))}."
        )
    return known[kind]


def validated(room: str, values: Mapping[str, Any], expected: type[R], at: str = "") -> R:
    """A room's recipe from plain values, checked by the model that its `kind` names.

    expected: what all recipes of the room are. at: where the values stand, for messages.

    Raises:
        AnywordError: naming the option, its value, and what it may be.
    """
    at = at or f"{room} recipe"
    model = model_of(room, values.get("kind"), at)
    try:
        return typing.cast(R, model.model_validate(dict(values)))
    except ValidationError as error:
        raise AnywordError(complaint(error, at, model.model_fields)) from None


def complaint(error: ValidationError, at: str, known: Iterable[str] = ()) -> str:
    """The first complaint of a validation: where, what, and the value. known: the keys that there are."""
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"] if part != "[key]"]
    where = ".".join([at, *loc]).replace(": .", ": ")
    if first["type"] == "extra_forbidden":
        keys = f" Keys here are {', '.join(known)}." if known and len(loc) == 1 else ""
        return f"{where} is no key that is known.{keys}"
    shown = "" if first["type"] == "missing" or not loc else f", not {first['input']!r:.80}"
    return f"{where}: {first['msg']}{shown}."


def implementation(recipe: Recipe | type[Recipe]) -> ModuleType:
    """The module that carries out a recipe, or a kind of recipe."""
    return importlib.import_module(recipe.MODULE)


def marked(options: Options, kind: type[M]) -> Iterator[tuple[Options, str, M]]:
    """Fields that bear a mark, those of nested options included: the options that hold it, its name, the mark."""
    for name, field in type(options).model_fields.items():
        yield from ((options, name, one) for one in field.metadata if isinstance(one, kind))
        value = getattr(options, name)
        if isinstance(value, Options):
            yield from marked(value, kind)


def identity(options: Options) -> dict[str, Any]:
    """What of the options decides a result, as plain values."""
    return _values(options, lambda mark: not mark.recorded)


def without(options: Options, kind: type[Mark]) -> dict[str, Any]:
    """The options as plain values, without the fields that bear such a mark."""
    return _values(options, lambda mark: isinstance(mark, kind))


def _values(options: Options, left_out: Callable[[Mark], bool]) -> dict[str, Any]:
    values = options.model_dump(mode="json")
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if any(left_out(one) for one in field.metadata if isinstance(one, Mark)):
            del values[name]
        elif isinstance(value, Options):
            values[name] = _values(value, left_out)
    return values
