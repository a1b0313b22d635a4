"""A client for OpenAI-compatible servers: many short questions, each answer kept, each failure its own.

Answers are kept by a hash of everything that was asked, also those that do not read, so a rerun asks nothing again and
a user can see what was said. The key comes from the environment and is never written: not into a manifest, nor a cache
file, nor a message. What is asked, and how an answer reads, a subclass says.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from stages.artifacts import AnywordError, SampleError
from stages.artifacts.atomic import canonical, sha256_of, write_json
from stages.parse.openai_key import Key
from stages.parse.openai_server import RefusedError, Server, UnavailableError
from stages.parse.recipe import OpenaiParser

log = logging.getLogger("anyword")

S = TypeVar("S")
Usage = Mapping[str, int]
"""requests, prompt_tokens and completion_tokens."""
_TRIES = 2  # how often an answer that does not read is asked for
_LINE_EVERY = 10.0  # seconds between two lines on how far the asking is
_LONGEST_BAD = 2000  # characters of an answer that does not read, as the second question quotes it


def cache_folder() -> Path:
    """`$ANYWORD_CACHE`, or `anyword` in the user's cache."""
    if os.environ.get("ANYWORD_CACHE"):
        return Path(os.environ["ANYWORD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anyword"


@dataclass(frozen=True)
class Said(Generic[S]):
    """What a server said to one text, its form checked, and what that took (requests and tokens)."""

    answer: S
    usage: Usage

    def cost(self, recipe: OpenaiParser) -> float:
        return cost(self.usage, recipe)


class UnreadError(SampleError):
    """The server answered, but not with what was asked for: that was paid, too."""

    def __init__(self, message: str, usage: Usage, content: str = "", *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.usage = usage
        self.content = content


def cost(usage: Usage, recipe: OpenaiParser) -> float:
    """Of tokens, by the recipe's prices."""
    return (usage["prompt_tokens"] * recipe.price_in + usage["completion_tokens"] * recipe.price_out) / 1e6


class Client(ABC, Generic[S]):
    who = "parser"
    """Who asks, as messages name it."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the server holds answers to, if there is one."""

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None) -> None:
        self.recipe = recipe
        self.cache = (cache or cache_folder()) / "answers"
        self._key = Key.of_environment(recipe.api_key_env)
        self._server = Server(recipe, self._key, self.schema, self.who)

    @abstractmethod
    def messages(self, text: str, *, schema: bool) -> list[dict[str, str]]:
        """The chat for one text. schema: the server holds the answer to `schema`; else the words must ask for it."""

    @abstractmethod
    def read(self, content: str) -> S:
        """The answer in a message; ValueError where it does not read."""

    # ---- many texts

    def ask(self, texts: Sequence[str]) -> dict[str, Said[S] | SampleError]:
        """The answer to each text, equal ones asked for once; a text that the server cannot or will not answer is its
        own failure.

        Raises:
            AnywordError: the server would answer no text, or went away meanwhile. What was answered stays in the
                cache, and the next run asks the rest.
        """
        answers = self._all(list(dict.fromkeys(texts)))
        for last in (False, True):
            gone = [text for text, answer in answers.items() if isinstance(answer, UnavailableError)]
            if gone and not self._alive([text for text in answers if text not in gone]):
                raise AnywordError(
                    f"{self.who}: {answers[gone[0]]} {len(gone)} of {len(answers)} texts are unanswered.",
                    remedy="Start the run again once the server answers: what was answered is kept.",
                )
            if gone and not last:  # it may have been away for seconds
                answers |= self._all(gone)
        if len(answers) > 1 and all(isinstance(answer, RefusedError) for answer in answers.values()):
            first = next(iter(answers.values()))
            raise AnywordError(f"{self.who}: {first}", remedy=f"All {len(answers)} texts are refused: mend the recipe.")
        return answers

    def _all(self, texts: Sequence[str]) -> dict[str, Said[S] | SampleError]:
        with ThreadPoolExecutor(max_workers=self.recipe.concurrency) as pool:
            answers = self._told(pool.map(self._one, texts), len(texts))
            return dict(zip(texts, answers, strict=True))

    def _told(self, answers: Iterator[Said[S] | SampleError], total: int) -> Iterator[Said[S] | SampleError]:
        """The answers as they come, with a line on how many there are now and then."""
        last = time.monotonic()
        for number, answer in enumerate(answers, start=1):
            if time.monotonic() - last >= _LINE_EVERY:
                last = time.monotonic()
                log.info("%s: %d of %d texts asked", self.who, number, total)
            yield answer

    def _alive(self, answered: Sequence[str]) -> bool:
        """Whether the server still answers what it has answered before: then what it does not answer is no outage."""
        if not answered:
            return False
        try:
            self._server.complete(partial(self.messages, answered[0]))
        except SampleError as error:
            return not isinstance(error, UnavailableError)
        return True

    def _one(self, text: str) -> Said[S] | SampleError:
        path = self._cached(text)
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            return self._kept(json.loads(path.read_bytes()))
        if path.exists():
            log.warning("%s: a damaged cached answer is asked for again", path.name)
        try:
            said, content = self._ask(text)
        except UnreadError as error:
            self._keep(path, {"content": error.content, "usage": error.usage, "problem": str(error)})
            return error
        except SampleError as error:
            return error
        self._keep(path, {"content": content, "usage": said.usage})
        return said

    def _kept(self, value: Mapping[str, Any]) -> Said[S] | SampleError:
        """An answer of an earlier run; one that did not read then may read now."""
        usage = {name: int(value["usage"][name]) for name in ("requests", "prompt_tokens", "completion_tokens")}
        if not isinstance(value.get("problem"), str):
            return Said(self.read(value["content"]), usage)
        try:
            return Said(self.read(value["content"]), usage)
        except ValueError:
            return UnreadError(value["problem"], usage, value["content"])

    def _keep(self, path: Path, value: Mapping[str, Any]) -> None:
        try:
            write_json(path, {**value, "content": self._key.scrubbed(value["content"]), "model": self.recipe.model})
        except OSError as error:
            log.warning("%s: the answer cannot be kept (%s)", path, error.strerror)

    # ---- one text

    def _ask(self, text: str) -> tuple[Said[S], str]:
        """(answer, its message); SampleError where this text gets none, AnywordError where none would."""
        usage = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        problem = content = ""
        for number in range(_TRIES):
            completion = self._server.complete(partial(self._question, text, content, problem), again=number)
            usage["requests"] += 1
            for name, value in _tokens(completion).items():
                usage[name] += value
            content, finish, refusal = _message(completion)
            content = self._key.scrubbed(content)
            if refusal:
                shown = self._key.scrubbed(refusal)
                raise UnreadError(f"the model refused: {shown:.120}.", usage, content)
            if finish == "content_filter":
                raise UnreadError("the server's content filter stopped the answer.", usage, content)
            try:
                return Said(self.read(content), usage), content
            except ValueError as error:
                problem = str(error).splitlines()[0]
                if finish == "length":
                    cut = f"the answer was cut off at {self.recipe.max_tokens} tokens."
                    raise UnreadError(cut, usage, content, remedy="Raise max_tokens.") from None
        raise UnreadError(f"the model's answer does not read ({problem}), {_TRIES} times.", usage, content)

    def _question(self, text: str, bad: str, problem: str, *, schema: bool) -> list[dict[str, str]]:
        """The chat for a text; on a second try with the answer that did not read, and why, so that it differs."""
        asked = self.messages(text, schema=schema)
        if not problem:
            return asked
        said = f"\n\nYou answered {json.dumps(bad[:_LONGEST_BAD], ensure_ascii=False)}." if bad.strip() else ""
        again = f"{asked[-1]['content']}{said}\n\nThat does not read ({problem}). Answer in the form asked."
        return [*asked[:-1], {**asked[-1], "content": again}]

    def _cached(self, text: str) -> Path:
        """Where the answer to exactly this question is kept."""
        recipe = self.recipe
        key = sha256_of(
            canonical(
                {
                    "server": self._server.name,
                    "model": recipe.model,
                    "messages": self.messages(text, schema=recipe.structured != "json"),
                    "schema": self.schema if recipe.structured != "json" else None,
                    "temperature": recipe.temperature,
                    "max_tokens": recipe.max_tokens,
                    "seed": recipe.seed,
                }
            )
        )
        return self.cache / key[:2] / f"{key}.json"


def _tokens(completion: Any) -> dict[str, int]:
    """What a completion says it took; servers leave any of it out, or say it in other forms."""
    usage = getattr(completion, "usage", None)

    def count(name: str) -> int:
        value = usage.get(name) if isinstance(usage, Mapping) else getattr(usage, name, None)
        return value if isinstance(value, int) and value >= 0 else 0

    answered = count("completion_tokens")
    asked = count("prompt_tokens") or max(count("total_tokens") - answered, 0)
    return {"prompt_tokens": asked, "completion_tokens": answered}


def _message(completion: Any) -> tuple[str, str, str]:
    """(content, why it ended, refusal) of a completion's first choice, each "" where it is not there or no text."""
    choices = completion.choices or []
    choice = choices[0] if choices else None
    message = getattr(choice, "message", None)
    found = (
        getattr(message, "content", None),
        getattr(choice, "finish_reason", None),
        getattr(message, "refusal", None),
    )
    content, finish, refusal = (one if isinstance(one, str) else "" for one in found)
    return content, finish, refusal
