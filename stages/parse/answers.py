"""A language model's answer in its message: found behind its thoughts, mended where its form is nearly right.

The answer is untrusted: it names words, never offsets (`placing` finds them). What cannot be mended is dropped item by
item, and counted.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

_MOST = 500  # objects, attributes of one or actions in an answer; what is beyond is dropped
_THOUGHTS = re.compile(
    r"</(?:think|thinking|thought|reasoning|reflection)>|\[/THINK\]|<\|channel\|>final<\|message\|>", re.I
)
"""Ends of what models say to themselves before they answer."""
_LONGEST = 100_000  # characters of a message that are looked at


class SaidObject(BaseModel):
    noun: str
    attributes: list[str] = []


class SaidAction(BaseModel):
    verb: str
    subject: int | None = None
    object: int | None = None


class Said(BaseModel):
    """The answer as it was given, its form mended."""

    model_config = ConfigDict(extra="forbid")

    objects: list[SaidObject]
    actions: list[SaidAction] = []
    referred: int | None = None
    dropped: int = 0
    """Items and indices that could not be mended."""


def read_json(content: str) -> Said:
    """The last answer in a message that has the asked form, or nearly: behind the model's thoughts if there is one
    there, else anywhere; ValueError where there is none."""
    content = content[:_LONGEST]
    parts = _THOUGHTS.split(content)
    for part in [parts[-1], content] if len(parts) > 1 else [content]:
        for value in reversed(list(_values_in(part))):
            found = _answer_in(value, whole=part.strip() == "[]")
            if found is not None:
                return found
    raise ValueError("no JSON object of the asked form")


def _values_in(text: str) -> Iterator[Any]:
    """Every complete object or list in a text, outermost ones, with the slips of JSON that models make: trailing
    commas, single quotes, None."""
    decoder = json.JSONDecoder()
    at = 0
    while (found := re.compile(r"[{\[]").search(text, at)) is not None:
        at = found.start()
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = _closing(text, at)
            value = _mended(text[at:end]) if end else None
            at = end if value is not None else at + 1
        if value is not None:
            yield value


def _closing(text: str, start: int) -> int:
    """Where the bracket at `start` is closed, one behind it; 0 where it is not. Brackets in strings do not count."""
    depth, quoted, escaped = 0, False, False
    for at in range(start, len(text)):
        letter = text[at]
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
            if depth == 0:
                return at + 1
    return 0


def _mended(text: str) -> Any:
    try:
        return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(re.sub(r"\bnull\b", "None", text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _answer_in(value: Any, *, whole: bool) -> Said | None:
    """The answer that a value is, or that an object around it holds."""
    if isinstance(value, dict):
        if "objects" in value:
            return _said(value)
        inner = [_answer_in(one, whole=False) for one in value.values() if isinstance(one, dict | list)]
        return next((one for one in reversed(inner) if one is not None), None)
    if isinstance(value, list):
        listed = [one for one in value if isinstance(one, dict) and "noun" in one]
        if listed or (value and all(isinstance(one, str) for one in value)) or whole:
            return _said({"objects": value})
        inner = [_answer_in(one, whole=False) for one in value if isinstance(one, dict)]
        return next((one for one in reversed(inner) if one is not None), None)
    return None


def _said(value: dict[str, Any]) -> Said:
    """Null or one item for a list, a word for an object, a word for its position: as they are meant."""
    dropped = 0
    place: dict[int, int] = {}  # position as given to position among those kept
    objects: list[SaidObject] = []
    given = _items(value.get("objects"))
    for number, one in enumerate(given[:_MOST]):
        one = {"noun": one} if isinstance(one, str) else one
        noun = one.get("noun") if isinstance(one, dict) else None
        if not isinstance(noun, str) or not noun.strip():
            dropped += 1
            continue
        attributes = [word for item in _items(one.get("attributes"))[:_MOST] for word in _strings(item)]
        dropped += sum(word is None for word in attributes)
        place[number] = len(objects)
        objects.append(SaidObject(noun=noun, attributes=[word for word in attributes if word is not None]))
    names = [one.noun.casefold().strip() for one in objects]

    def index(one: Any) -> tuple[int | None, int]:
        """A position, and whether one was given that cannot be read."""
        if isinstance(one, str) and one.strip().lower() in ("", "null", "none", "-"):
            return None, 0
        if isinstance(one, str) and one.casefold().strip() in names:
            return names.index(one.casefold().strip()), 0
        if isinstance(one, str) and re.fullmatch(r"\s*\d{1,9}\s*", one):
            one = int(one)
        if isinstance(one, float) and one.is_integer():
            one = int(one)
        if one is None:
            return None, 0
        known = isinstance(one, int) and not isinstance(one, bool) and one in place
        return (place[one], 0) if known else (None, 1)

    actions: list[SaidAction] = []
    acts = _items(value.get("actions"))
    for one in acts[:_MOST]:
        one = {"verb": one} if isinstance(one, str) else one
        verb = one.get("verb") if isinstance(one, dict) else None
        if not isinstance(verb, str) or not verb.strip():
            dropped += 1
            continue
        (subject, lost), (target, lost_too) = index(one.get("subject")), index(one.get("object"))
        dropped += lost + lost_too
        actions.append(SaidAction(verb=verb, subject=subject, object=target))
    referred, lost = index(value.get("referred"))
    beyond = max(len(given) - _MOST, 0) + max(len(acts) - _MOST, 0)
    return Said(objects=objects, actions=actions, referred=referred, dropped=dropped + lost + beyond)


def _items(value: Any) -> list[Any]:
    """A list as it is, null as an empty one, anything else as a list of it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _strings(item: Any) -> list[str | None]:
    """The words of an attribute: "black, small" is two, 2 is "2"; None for what is no word."""
    if isinstance(item, bool) or not isinstance(item, str | int):
        return [] if item is None else [None]
    return [word.strip() for word in str(item).split(",") if word.strip()]


def read_paper(content: str) -> Said:
    """The paper's own form, "[(white, small), dog]"; ValueError where there is none."""
    for match in reversed(re.findall(r"\[([^\[\]]*)\]", content)):
        inner = match.strip()
        grouped = re.fullmatch(r"\(?([^()]*)\)\s*,\s*([^,()]+)", inner)
        attributes, noun = grouped.groups() if grouped else inner.rpartition(",")[::2]
        if noun.strip(" \"'"):
            given = [word.strip(" \"'()") for word in attributes.split(",")]
            return Said(objects=[SaidObject(noun=noun.strip(" \"'()"), attributes=[w for w in given if w])], referred=0)
    raise ValueError("no answer of the form [(attributes), object]")
