"""Recipes: found by their kind, carried out by the module they name, and what their fields say of themselves."""

import inspect
from typing import Annotated, Literal

import pytest
from pydantic import Field

from stages.artifacts import AnywordError, recipes
from stages.artifacts.recipes import Execution, Location, Options, Recipe, Weights
from stages.attend.attender import Module as AttenderModule
from stages.config import ROOMS
from stages.invert.inverter import Module as InverterModule
from stages.parse.parser import Module as ParserModule
from stages.samples.reader import Reader
from stages.score.collector import Module as ScorerModule
from stages.segment.segmenter import Module as SegmenterModule

ASKED = {
    "attend": AttenderModule,
    "invert": InverterModule,
    "parse": ParserModule,
    "samples": Reader,
    "segment": SegmenterModule,
    "score": ScorerModule,
}
"""What a room asks of the module that a recipe names."""


@pytest.mark.parametrize(
    ("room", "kind"), [(room, kind) for room in ASKED for kind in recipes.models(room)], ids=lambda value: value
)
def test_a_recipes_module_has_what_its_room_asks_for(room, kind):
    module = recipes.implementation(recipes.model_of(room, kind))
    for name, asked in inspect.getmembers(ASKED[room], inspect.isfunction):
        if not name.startswith("_"):
            takes = list(inspect.signature(getattr(module, name)).parameters)
            assert takes == list(inspect.signature(asked).parameters)[1:], f"{module.__name__}.{name}"


def test_all_options_are_strict_frozen_and_described():
    def every(model):
        yield model
        for one in model.__subclasses__():
            yield from every(one)

    for room in ROOMS.values():
        assert recipes.models(room)
        for model in recipes.models(room).values():
            assert issubclass(model, Recipe) and model.__doc__
    for model in every(Options):
        assert model.model_config["extra"] == "forbid" and model.model_config["frozen"]


class Sieve(Options):
    model: Annotated[str, Weights(recorded=False)] = "someone/sieve"
    offline: Annotated[bool, Execution()] = True
    fine: int = 3


class Made(Recipe):
    """A recipe with every mark, and with other options in it."""

    kind: Literal["made"] = "made"
    root: Annotated[str, Location()]
    which: Literal["embedded", "other"] = "embedded"
    checkpoint: Annotated[str | None, Weights("models/sam", by="which")] = None
    pipeline: Annotated[str, Weights("models/parser")] = "embedded"
    retries: Annotated[int, Execution()] = Field(5, ge=0)
    steps: int = 10
    sieve: Sieve = Sieve()


def test_fields_say_what_they_are():
    made = Made(root="here", retries=1)
    assert recipes.identity(made) == {
        "kind": "made",
        "which": "embedded",
        "checkpoint": None,
        "pipeline": "embedded",
        "steps": 10,
        "sieve": {"fine": 3},
    }
    assert recipes.without(made, Location) == made.model_dump(mode="json", exclude={"root"})
    assert [(name, one.path(options, name)) for options, name, one in recipes.marked(made, Weights)] == [
        ("checkpoint", "models/sam"),
        ("pipeline", "models/parser"),
        ("model", "someone/sieve"),
    ]
    other = Made(root="here", which="other", pipeline="en_core_web_sm", sieve=Sieve(model="there"))
    assert [one.path(options, name) for options, name, one in recipes.marked(other, Weights)] == [
        None,
        "en_core_web_sm",
        "there",
    ]
    given = Made(root="here", checkpoint="own.pth")
    assert next(one.path(options, name) for options, name, one in recipes.marked(given, Weights)) == "own.pth"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, r"prompt recipe\.kind is None\. Use one of points\."),
        ({"kind": "points", "seeds": 1}, r"prompt recipe\.seeds is no key that is known\. Keys here are kind, thresh"),
        ({"kind": "points", "threshold": 2}, r"prompt recipe\.threshold: .*less than or equal to 1, not 2\."),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_line(values, said):
    with pytest.raises(AnywordError, match=said) as caught:
        recipes.validated("prompt", values, Recipe)
    assert "\n" not in str(caught.value)
