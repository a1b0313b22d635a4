"""One request to an OpenAI-compatible server: the connection, what the server does not take, and what its errors mean.

Servers differ in the optional parameters that they know. One that a server refuses by name is renamed or left out, for
the rest of the run, and that is said once.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from stages.artifacts import AnywordError, SampleError
from stages.parse.openai_key import Key
from stages.parse.recipe import OpenaiParser

if TYPE_CHECKING:
    from openai import OpenAI

log = logging.getLogger("anyword")

OPENAI = "https://api.openai.com/v1"
THINKING = 4
"""A limit by its newer name holds for the model's thoughts, too: it is so many times what an answer may take."""
_NAMES = {
    "response_format": re.compile(
        r"response_format|json_schema|structured|guided|grammar|schema|max_?(?:items|length)", re.I
    ),
    **{
        name: re.compile(rf"(?<![\w-]){name}(?![\w-])", re.I)
        for name in ("max_tokens", "max_completion_tokens", "temperature", "seed")
    },
}
"""How a refusal names an optional parameter."""
_LIMITS = ("maxItems", "maxLength")
_LIMITED = re.compile(r"max_?items|max_?length|keyword|not permitted", re.IGNORECASE)
_BUSY = (408, 409, 425, 429)


class UnavailableError(SampleError):
    """The server could not be had for this text, after all attempts."""


class RefusedError(SampleError):
    """The server refuses this text as it is."""


class Server:
    """A server as a recipe names it; used by many threads at once."""

    def __init__(self, recipe: OpenaiParser, key: Key, schema: Mapping[str, Any] | None, who: str) -> None:
        self.recipe = recipe
        self.key = key
        self.who = who
        self.name = recipe.base_url or OPENAI
        self._schema: Mapping[str, Any] | None = schema if recipe.structured != "json" else None
        self._options: dict[str, Any] = {"temperature": recipe.temperature, "max_tokens": recipe.max_tokens}
        self._seeded = recipe.seed is not None
        self._pace = _Pace(recipe.requests_per_minute)
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    @property
    def holds_schema(self) -> bool:
        """Whether answers are held to the schema; else the words must ask for its form."""
        return self._schema is not None

    def complete(self, messages: Any, *, again: int = 0) -> Any:
        """The server's completion of a chat; messages: a function of whether the schema is held.

        again: how often this was asked before; another try is seeded differently.

        Raises:
            UnavailableError: no answer after all attempts.
            SampleError: the server refuses this text.
            AnywordError: it would refuse every text.
        """
        import openai

        guess = False  # whether the schema is left out because it might be what a bare 400 is about
        while True:
            sent = self._parameters(again)
            if guess:
                sent.pop("response_format", None)
            try:
                found = self._connect().chat.completions.create(
                    model=self.recipe.model, messages=messages(schema="response_format" in sent), **sent
                )
                if not isinstance(getattr(found, "choices", 0), list | None):  # a page of HTML, a list, a number
                    raise _no_completion(self)
                if guess:
                    self._guessed_right()
                return found
            except openai.APIStatusError as error:
                if self._adapted(error, sent, str(messages(schema=False))):
                    continue
                auto = self.recipe.structured == "auto" and "response_format" in sent
                if guess or not auto or error.status_code not in (400, 422):
                    raise self._refused(error) from None
                guess = True
            except openai.APITimeoutError:
                raise UnavailableError(f"no answer within {self.recipe.timeout:g} s, {self._attempts}.") from None
            except openai.APIConnectionError as error:
                why = self.key.scrubbed(str(error.__cause__ or error))
                raise UnavailableError(f"{self.name} cannot be reached ({why:.200}), {self._attempts}.") from None
            except (openai.APIResponseValidationError, ValueError, AttributeError, TypeError, KeyError) as error:
                if isinstance(error, AnywordError):
                    raise
                raise _no_completion(self) from None

    def _parameters(self, again: int) -> dict[str, Any]:
        with self._lock:
            sent = dict(self._options)
            if self._schema is not None:
                form = {"name": "phrases", "strict": True, "schema": self._schema}
                sent["response_format"] = {"type": "json_schema", "json_schema": form}
            if self._seeded and self.recipe.seed is not None:
                sent["seed"] = self.recipe.seed + again
            if again and "temperature" in sent:
                sent["temperature"] = max(sent["temperature"], 0.2 * again)
        return sent

    # ---- what a server does not take

    def _adapted(self, error: Any, sent: Mapping[str, Any], asked: str) -> bool:
        """Whether the error is about a parameter that can be done without; the next request goes without it."""
        name = self._named(error, sent, asked)
        if name is None:
            return False
        with self._lock:
            if name == "response_format":
                done = self._without_schema(sent["response_format"]["json_schema"]["schema"], str(error.message))
            elif name == "seed":
                done = "sends no seed" if self._seeded else ""
                self._seeded = False
            elif name in self._options:
                del self._options[name]
                if name == "max_tokens":
                    self._options["max_completion_tokens"] = THINKING * self.recipe.max_tokens
                    done = f"sends max_completion_tokens ({THINKING} times as many, for its thoughts) for max_tokens"
                else:
                    done = f"sends no {name}"
            else:
                done = ""  # another thread was first
        if done:
            said = self.key.scrubbed(str(error.message))
            log.warning("%s: %s refused %s (%.120s); it %s from now on", self.who, self.name, name, said, done)
        return True

    def _named(self, error: Any, sent: Mapping[str, Any], asked: str) -> str | None:
        """The parameter, of those sent, that an error is about; words that stand in the question are none."""
        if error.status_code in (401, 403, *_BUSY):
            return None
        said = f"{getattr(error, 'param', None) or ''} {error.message}"
        may = [name for name in _NAMES if name in sent]
        if self.recipe.structured == "schema":
            may = [name for name in may if name != "response_format"]
        for name in [one for one in may if one != "response_format"] + [one for one in may if one == "response_format"]:
            if any(match.group() not in asked for match in _NAMES[name].finditer(said)):
                return name
        return None

    def _without_schema(self, sent: Mapping[str, Any], said: str) -> str:
        """Without the limits, where those are what the server does not know; else without any schema."""
        if self._schema is not sent:
            return ""
        plain = _without_limits(sent) if _LIMITED.search(said) else sent
        self._schema = plain if plain != sent else None
        return "asks for JSON in words" if self._schema is None else "sends the schema without limits"

    def _guessed_right(self) -> None:
        with self._lock:
            if self._schema is not None:
                self._schema = None
                log.warning("%s: %s knows no JSON schema; it asks for JSON in words from now on", self.who, self.name)

    # ---- connection and errors

    def _connect(self) -> OpenAI:
        """One client for all threads, made when the first text is not in the cache."""
        import openai

        with self._lock:
            if self._client is None:
                if not self.key.value and self.recipe.base_url is None:
                    raise AnywordError(f"{self.who}: {no_key(self.recipe)}")
                parts = urlsplit(self.name)
                query = dict(parse_qsl(parts.query))
                hooks: dict[str, Any] = {"request": [self._pace.wait], "response": [self._final]}
                try:
                    self._client = openai.OpenAI(
                        api_key=self.key.value or "none",  # local servers ask for none, the client does
                        base_url=parts._replace(query="").geturl(),
                        default_query=query or None,
                        # Azure's deployments by api-version take a key in a header of their own.
                        default_headers={"api-key": self.key.value} if "api-version" in query else None,
                        timeout=self.recipe.timeout,
                        max_retries=self.recipe.retries,
                        http_client=openai.DefaultHttpxClient(event_hooks=hooks),
                    )
                except ImportError:
                    raise AnywordError(
                        f"{self.who}: the environment names a SOCKS proxy (ALL_PROXY), for which a package is missing.",
                        remedy="pip install 'segment-anyword[socks]', or unset ALL_PROXY.",
                    ) from None
                except Exception as error:  # a proxy's address that is none, certificates that do not read
                    raise AnywordError(
                        f"{self.who}: no connection can be made ({type(error).__name__}).",
                        remedy="Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and base_url.",
                    ) from None
            return self._client

    def _final(self, response: Any) -> None:
        """A refusal that names a parameter is not tried again as it is, whatever its status."""
        if response.status_code >= 500:
            said = response.read().decode("utf-8", "replace")
            if any(pattern.search(said) for pattern in _NAMES.values()):
                response.headers["x-should-retry"] = "false"

    def _refused(self, error: Any) -> AnywordError:
        """What a status that is not retried, or is still there after all retries, means."""
        said = f"{self.name} answered {error.status_code}: {self.key.scrubbed(str(error.message)):.200}"
        if error.status_code in (401, 403):
            return AnywordError(f"{self.who}: {said}", remedy=f"Set {self.recipe.api_key_env} to a valid key.")
        if error.status_code == 404:
            return AnywordError(
                f"{self.who}: {said}", remedy="Check `model` and `base_url` (it ends with /v1 as a rule)."
            )
        if getattr(error, "code", None) == "insufficient_quota":
            return AnywordError(f"{self.who}: {said}", remedy="The account has no credit left.")
        if error.status_code in _BUSY or error.status_code >= 500:
            return UnavailableError(f"{said}, {self._attempts}.")
        return RefusedError(f"{said}.")

    @property
    def _attempts(self) -> str:
        return f"after {self.recipe.retries + 1} attempts"


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


def _without_limits(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {name: _without_limits(value) for name, value in schema.items() if name not in _LIMITS}
    return [_without_limits(one) for one in schema] if isinstance(schema, list) else schema


def _no_completion(server: Server) -> UnavailableError:
    return UnavailableError(
        f"{server.name} answered with something that is no completion.",
        remedy="Check base_url: it ends with /v1 as a rule.",
    )


def no_key(recipe: OpenaiParser) -> str:
    return f"no key in {recipe.api_key_env}. Export it, or set base_url to a server that needs none."
