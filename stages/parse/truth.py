"""The dataset's own phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.parse.parser import Parsed, ParseRequest, ParseResult
from stages.parse.recipe import TruthParser


class Truth:
    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: TruthParser) -> None:
        self.required = recipe.required

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        return [self._one(request) for request in requests]

    def _one(self, request: ParseRequest) -> ParseResult:
        given = request.given
        if given is None or not given.phrases:
            if self.required:
                return SampleError("the dataset brings no phrases for this text.")
            return Parsed(Parse(notes=("The dataset brings no phrases for this text.",)))
        try:
            return Parsed(given.checked(request.text))
        except ValueError as error:
            return SampleError(f"the dataset's phrases do not fit the text: {error}.")


def load(recipe: TruthParser) -> Truth:
    return Truth(recipe)


def lacking(recipe: TruthParser) -> str | None:
    return None
