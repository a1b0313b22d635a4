"""A language model behind an OpenAI-compatible server: GPT-4o, or Vicuna on vLLM, or Ollama, by `base_url`.

Answers are kept by a hash of everything that was asked, so a rerun asks nothing again. The key comes from the
environment and is never written: not into a manifest, nor a cache file, nor a message.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.artifacts.atomic import canonical, sha256_of, write_json
from stages.artifacts.language import Parse
from stages.parse.answers import Said, read_json, read_paper, resolve
from stages.parse.parser import Answer, Parsed, ParseRequest
from stages.parse.recipe import OpenaiParser
from stages.parse.templates import SCHEMA, messages

if TYPE_CHECKING:
    from openai import OpenAI

log = logging.getLogger("anyword")

OPENAI = "https://api.openai.com/v1"
_FORMAT_ATTEMPTS = 2  # how often a broken answer is asked for


def cache_folder() -> Path:
    """`$ANYWORD_CACHE`, or `anyword` in the user's cache."""
    if os.environ.get("ANYWORD_CACHE"):
        return Path(os.environ["ANYWORD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anyword"


class UnavailableError(SampleError):
    """The server could not be had for this text, after all attempts."""


class Chat:
    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None) -> None:
        self.recipe = recipe
        self.cache = (cache or cache_folder()) / "answers"
        self._schema = recipe.structured != "json" and recipe.template == "objects"
        self._key = os.environ.get(recipe.api_key_env, "")
        self._pace = _Pace(recipe.requests_per_minute)
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    # ---- many texts

    def parse(self, requests: Sequence[ParseRequest]) -> list[Answer]:
        """Equal texts are asked for once. Where the server fails every text, the job ends instead of failing each:
        what was answered stays in the cache."""
        texts = list(dict.fromkeys(request.text for request in requests if request.text.strip()))
        with ThreadPoolExecutor(max_workers=self.recipe.concurrency) as pool:
            answers = dict(zip(texts, pool.map(self._one, texts), strict=True))
        gone = [answer for answer in answers.values() if isinstance(answer, UnavailableError)]
        if gone and len(gone) == len(answers):
            raise AnywordError(f"parser: {gone[0]}", remedy="Start the run again once the server answers.")
        silent = Parsed(Parse(notes=("There is no word to read.",)))
        seen: set[str] = set()
        out: list[Answer] = []
        for request in requests:
            answer = answers.get(request.text, silent)
            if request.text in seen and isinstance(answer, Parsed):
                answer = Parsed(answer.parse)  # its tokens were counted with the first
            seen.add(request.text)
            out.append(answer)
        return out

    def _one(self, text: str) -> Answer:
        path = self._cached(text)
        kept = _read_cache(path)
        if kept is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return self._answer(self._read(kept["content"]), text, kept["usage"])
            log.warning("%s: a damaged cached answer is asked for again", path.name)
        try:
            said, content, usage = self._ask(text)
        except SampleError as error:
            return error
        try:
            write_json(path, {"content": content, "usage": usage, "model": self.recipe.model})
        except OSError as error:
            log.warning("%s: the answer cannot be kept (%s)", path, error.strerror)
        return self._answer(said, text, usage)

    def _answer(self, said: Said, text: str, usage: Mapping[str, int]) -> Parsed:
        parse, dropped = resolve(said, text)
        tokens_in, tokens_out = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        cost = (tokens_in * self.recipe.price_in + tokens_out * self.recipe.price_out) / 1e6
        return Parsed(
            parse,
            {
                "requests": int(usage["requests"]),
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "cost": cost,
                "dropped_words": dropped,
            },
        )

    def _read(self, content: str) -> Said:
        return read_paper(content) if self.recipe.template == "paper" else read_json(content)

    # ---- one request

    def _ask(self, text: str) -> tuple[Said, str, dict[str, int]]:
        """(answer, its message, tokens); SampleError where this text gets none, AnywordError where none would."""
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
                return self._read(content), content, usage
            except ValueError as error:
                problem = str(error).splitlines()[0]
                if choice.finish_reason == "length":
                    raise SampleError(
                        f"the answer was cut off at {self.recipe.max_tokens} tokens.", remedy="Raise max_tokens."
                    ) from None
        raise SampleError(f"the model's answer does not read ({problem}), {_FORMAT_ATTEMPTS} times.")

    def _complete(self, text: str) -> Any:
        import openai

        schema = self._schema
        try:
            return self._request(text, schema)
        except (openai.BadRequestError, openai.UnprocessableEntityError, openai.NotFoundError) as error:
            if schema and self.recipe.structured == "auto" and not isinstance(error, openai.NotFoundError):
                try:
                    completion = self._request(text, False)
                except openai.APIStatusError as again:
                    raise self._refused(again) from None
                if self._schema:
                    self._schema = False
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
                "json_schema": {"name": "phrases", "strict": True, "schema": SCHEMA},
            }
        if recipe.seed is not None:
            extra["seed"] = recipe.seed
        return self._connect().chat.completions.create(
            model=recipe.model,
            messages=messages(recipe.template, text, schema=schema),  # type: ignore[arg-type]
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
                    raise AnywordError(f"parser: {_no_key(self.recipe)}")
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
            return AnywordError(f"parser: {said}", remedy=f"Set {self.recipe.api_key_env} to a valid key.")
        if error.status_code == 404:
            return AnywordError(f"parser: {said}", remedy="Check `model` and `base_url` (it ends with /v1 as a rule).")
        if getattr(error, "code", None) == "insufficient_quota":
            return AnywordError(f"parser: {said}", remedy="The account has no credit left.")
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
                    "messages": messages(recipe.template, text, schema=recipe.structured != "json"),
                    "schema": SCHEMA if recipe.template == "objects" and recipe.structured != "json" else None,
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


def load(recipe: OpenaiParser) -> Chat:
    missing = None if importlib.util.find_spec("openai") else lacking(recipe)
    if missing is not None:
        raise AnywordError(f"parser: {missing}")
    return Chat(recipe)


def lacking(recipe: OpenaiParser) -> str | None:
    if importlib.util.find_spec("openai") is None:
        return "the openai client is not installed. pip install openai."
    if recipe.base_url is None and not os.environ.get(recipe.api_key_env):
        return _no_key(recipe)
    return None


def _no_key(recipe: OpenaiParser) -> str:
    return f"no key in {recipe.api_key_env}. Export it, or set base_url to a server that needs none."
