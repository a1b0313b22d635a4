"""A client for OpenAI-compatible servers: many short questions, each answer kept, each failure its own.

Answers are kept by a hash of everything that was asked, so a rerun asks nothing again. The key comes from the
environment and is never written: not into a manifest, nor a cache file, nor a message. What is asked, and how an
answer reads, a subclass says.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stages.artifacts import AnywordError, SampleError
from stages.artifacts.atomic import canonical, sha256_of, write_json
from stages.parse.recipe import OpenaiParser

if TYPE_CHECKING:
    from openai import OpenAI

log = logging.getLogger("anyword")

S = TypeVar("S")
OPENAI = "https://api.openai.com/v1"
_FORMAT_ATTEMPTS = 2  # how often a broken answer is asked for


def cache_folder() -> Path:
    """`$ANYWORD_CACHE`, or `anyword` in the user's cache."""
    if os.environ.get("ANYWORD_CACHE"):
        return Path(os.environ["ANYWORD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anyword"


class UnavailableError(SampleError):
    """The server could not be had for this text, after all attempts."""


@dataclass(frozen=True)
class Said(Generic[S]):
    """What a server said to one text, its form checked, and what that took (requests and tokens)."""

    answer: S
    usage: Mapping[str, int]

    def cost(self, recipe: OpenaiParser) -> float:
        tokens = self.usage["prompt_tokens"] * recipe.price_in + self.usage["completion_tokens"] * recipe.price_out
        return tokens / 1e6


class Client(ABC, Generic[S]):
    who = "parser"
    """Who asks, as messages name it."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the server holds answers to, if there is one."""

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None) -> None:
        self.recipe = recipe
        self.cache = (cache or cache_folder()) / "answers"
        self._use_schema = recipe.structured != "json" and self.schema is not None
        self._key = os.environ.get(recipe.api_key_env, "")
        self._pace = _Pace(recipe.requests_per_minute)
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def messages(self, text: str, *, schema: bool) -> list[dict[str, str]]:
        """The chat for one text. schema: the server holds the answer to `schema`; else the words must ask for it."""

    @abstractmethod
    def read(self, content: str) -> S:
        """The answer in a message; ValueError where it does not read."""

    # ---- many texts

    def ask(self, texts: Sequence[str]) -> dict[str, Said[S] | SampleError]:
        """The answer to each text, equal ones asked for once. Where the server fails every text, the job ends instead
        of failing each (AnywordError): what was answered stays in the cache."""
        once = list(dict.fromkeys(texts))
        with ThreadPoolExecutor(max_workers=self.recipe.concurrency) as pool:
            answers = dict(zip(once, pool.map(self._one, once), strict=True))
        gone = [answer for answer in answers.values() if isinstance(answer, UnavailableError)]
        if gone and len(gone) == len(answers):
            raise AnywordError(f"{self.who}: {gone[0]}", remedy="Start the run again once the server answers.")
        return answers

    def _one(self, text: str) -> Said[S] | SampleError:
        path = self._cached(text)
        kept = _read_cache(path)
        if kept is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return Said(self.read(kept["content"]), _counts(kept["usage"]))
            log.warning("%s: a damaged cached answer is asked for again", path.name)
        try:
            said, content = self._ask(text)
        except SampleError as error:
            return error
        try:
            write_json(path, {"content": content, "usage": said.usage, "model": self.recipe.model})
        except OSError as error:
            log.warning("%s: the answer cannot be kept (%s)", path, error.strerror)
        return said

    # ---- one request

    def _ask(self, text: str) -> tuple[Said[S], str]:
        """(answer, its message); SampleError where this text gets none, AnywordError where none would."""
        usage = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        problem = ""
        for _ in range(_FORMAT_ATTEMPTS):
            completion = self._complete(text)
            usage["requests"] += 1
            if completion.usage is not None:
                usage["prompt_tokens"] += completion.usage.prompt_tokens
                usage["completion_tokens"] += completion.usage.completion_tokens
            choice = completion.choices[0] if completion.choices else None
            if choice is None or choice.message is None:
                problem = "it holds no choice"
                continue
            if getattr(choice.message, "refusal", None):
                raise SampleError(f"the model refused: {choice.message.refusal!s:.120}.")
            if choice.finish_reason == "content_filter":
                raise SampleError("the server's content filter stopped the answer.")
            content = choice.message.content or ""
            try:
                return Said(self.read(content), usage), content
            except ValueError as error:
                problem = str(error).splitlines()[0]
                if choice.finish_reason == "length":
                    raise SampleError(
                        f"the answer was cut off at {self.recipe.max_tokens} tokens.", remedy="Raise max_tokens."
                    ) from None
        raise SampleError(f"the model's answer does not read ({problem}), {_FORMAT_ATTEMPTS} times.")

    def _complete(self, text: str) -> Any:
        import openai

        schema = self._use_schema
        try:
            return self._request(text, schema)
        except (openai.BadRequestError, openai.UnprocessableEntityError, openai.NotFoundError) as error:
            if schema and self.recipe.structured == "auto" and not isinstance(error, openai.NotFoundError):
                try:
                    completion = self._request(text, False)
                except openai.APIStatusError as again:
                    raise self._refused(again) from None
                if self._use_schema:
                    self._use_schema = False
                    log.info("openai: the server knows no JSON schema; asking for JSON in words")
                return completion
            raise self._refused(error) from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APITimeoutError:
            raise UnavailableError(f"no answer within {self.recipe.timeout:g} s, {self._attempts}.") from None
        except openai.APIConnectionError as error:
            raise UnavailableError(
                f"{self._server} cannot be reached ({error.__cause__ or error}), {self._attempts}."
            ) from None
        except openai.APIResponseValidationError:
            raise UnavailableError(f"{self._server} answered with something that is no completion.") from None
        except ValueError as error:  # a body that is no JSON at all
            raise UnavailableError(f"{self._server} answered with something that is no JSON ({error}).") from None

    def _request(self, text: str, schema: bool) -> Any:
        recipe = self.recipe
        extra: dict[str, Any] = {}
        if schema:
            extra["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "phrases", "strict": True, "schema": self.schema},
            }
        if recipe.seed is not None:
            extra["seed"] = recipe.seed
        return self._connect().chat.completions.create(
            model=recipe.model,
            messages=self.messages(text, schema=schema),  # type: ignore[arg-type]
            temperature=recipe.temperature,
            max_tokens=recipe.max_tokens,
            **extra,
        )

    def _connect(self) -> OpenAI:
        """One client for all threads, made when the first text is not in the cache."""
        import openai

        with self._lock:
            if self._client is None:
                if not self._key and self.recipe.base_url is None:
                    raise AnywordError(f"{self.who}: {no_key(self.recipe)}")
                self._client = openai.OpenAI(
                    api_key=self._key or "none",  # local servers ask for none, the client does
                    base_url=self.recipe.base_url or OPENAI,
                    timeout=self.recipe.timeout,
                    max_retries=self.recipe.retries,
                    http_client=openai.DefaultHttpxClient(event_hooks={"request": [self._pace.wait]}),
                )
            return self._client

    def _refused(self, error: Any) -> AnywordError:
        """What a status that is not retried, or is still there after all retries, means."""
        said = str(error.message)
        if self._key:
            said = said.replace(self._key, "…")
        said = f"{self._server} answered {error.status_code}: {said:.200}"
        if error.status_code in (401, 403):
            return AnywordError(f"{self.who}: {said}", remedy=f"Set {self.recipe.api_key_env} to a valid key.")
        if error.status_code == 404:
            return AnywordError(
                f"{self.who}: {said}", remedy="Check `model` and `base_url` (it ends with /v1 as a rule)."
            )
        if getattr(error, "code", None) == "insufficient_quota":
            return AnywordError(f"{self.who}: {said}", remedy="The account has no credit left.")
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            return UnavailableError(f"{said}, {self._attempts}.")
        return SampleError(f"{said}.")

    @property
    def _server(self) -> str:
        return self.recipe.base_url or OPENAI

    @property
    def _attempts(self) -> str:
        return f"after {self.recipe.retries + 1} attempts"

    def _cached(self, text: str) -> Path:
        """Where the answer to exactly this question is kept."""
        recipe = self.recipe
        key = sha256_of(
            canonical(
                {
                    "server": self._server,
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


class _Pace:
    """At most so many requests a minute, retries included, evenly spaced."""

    def __init__(self, per_minute: float | None) -> None:
        self._step = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, request: object) -> None:
        if not self._step:
            return
        with self._lock:
            now = time.monotonic()
            start = max(self._next, now)
            self._next = start + self._step
        time.sleep(max(start - now, 0.0))


def _read_cache(path: Path) -> dict[str, Any] | None:
    import json

    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None


def no_key(recipe: OpenaiParser) -> str:
    return f"no key in {recipe.api_key_env}. Export it, or set base_url to a server that needs none."


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(usage[name]) for name in ("requests", "prompt_tokens", "completion_tokens")}
