"""A language model behind an OpenAI-compatible server: GPT-4o, or Vicuna on vLLM, or Ollama, by `base_url`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.parse import openai_client
from stages.parse.answers import Said, read_json, read_paper
from stages.parse.openai_server import no_key
from stages.parse.parser import Parsed, ParseRequest, ParseResult, UnparsedError
from stages.parse.placing import resolve
from stages.parse.recipe import OpenaiParser
from stages.parse.templates import SCHEMA, messages


class Chat(openai_client.Client[Said]):
    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None) -> None:
        self.schema = SCHEMA if recipe.template == "objects" else None
        super().__init__(recipe, cache)

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        """One result a request; a text's tokens are counted with its first."""
        answers = self.ask([request.text for request in requests if request.text.strip()])
        silent = Parsed(Parse(notes=("There is no word to read.",)))
        seen: set[str] = set()
        out: list[ParseResult] = []
        for request in requests:
            said = answers.get(request.text)
            result: ParseResult = silent
            if isinstance(said, openai_client.UnreadError):
                usage = {**said.usage, "cost": openai_client.cost(said.usage, self.recipe)}
                result = UnparsedError(str(said), {} if request.text in seen else usage)
            elif isinstance(said, SampleError):
                result = said
            elif said is not None:
                result = self._parsed(said, request.text)
                if request.text in seen:
                    result = Parsed(result.parse)
            seen.add(request.text)
            out.append(result)
        return out

    def messages(self, text: str, *, schema: bool) -> list[dict[str, str]]:
        return messages(self.recipe.template, text, schema=schema)

    def read(self, content: str) -> Said:
        return read_paper(content) if self.recipe.template == "paper" else read_json(content)

    def _parsed(self, said: openai_client.Said[Said], text: str) -> Parsed:
        parse, dropped = resolve(said.answer, text)
        return Parsed(parse, {**said.usage, "cost": said.cost(self.recipe), "dropped_words": dropped})


def load(recipe: OpenaiParser) -> Chat:
    missing = None if importlib.util.find_spec("openai") else lacking(recipe)
    if missing is not None:
        raise AnywordError(f"parser: {missing}")
    return Chat(recipe)


def lacking(recipe: OpenaiParser) -> str | None:
    if importlib.util.find_spec("openai") is None:
        return "the openai client is not installed. pip install openai."
    if recipe.base_url is None and not os.environ.get(recipe.api_key_env):
        return no_key(recipe)
    return None
