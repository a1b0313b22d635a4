"""A language model's answer to spans of the text. The answer is untrusted: it names words, never offsets, and a word
that the text does not have is dropped and counted."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.artifacts.language import Parse, Phrase, Predicate, Span, words

_MOST = 500  # objects or actions in one answer; beyond that it is no answer


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SaidObject(_Said):
    noun: str
    attributes: list[str] = []


class SaidAction(_Said):
    verb: str
    subject: int | None = None
    object: int | None = None


class Said(_Said):
    """The answer as it was given, its form checked."""

    objects: list[SaidObject] = Field(max_length=_MOST)
    actions: list[SaidAction] = Field(default=[], max_length=_MOST)
    referred: int | None = None


def read_json(content: str) -> Said:
    """The answer in a message, also when it is fenced or has words around it; ValueError where there is none."""
    for candidate in _objects_in(content):
        try:
            return Said.model_validate_json(candidate)
        except ValidationError:
            continue
    raise ValueError("no JSON object of the asked form")


def _objects_in(content: str) -> list[str]:
    """The whole message, then every JSON object in it that is complete."""
    found = [content.strip()]
    decoder = json.JSONDecoder()
    at = content.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(content, at)
        except ValueError:
            at = content.find("{", at + 1)
            continue
        found.append(json.dumps(value))
        at = content.find("{", end)
    return found


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


class _Places:
    """The text's words, each given away once a role."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(words(text))
        self.forms = [word.of(text).casefold() for word in self.words]
        # "boy's" also answers to "boy".
        self.stems = [re.sub(r"['’]s?$", "", form) for form in self.forms]
        self.taken: set[int] = set()

    def find(self, said: str, order: Sequence[int]) -> list[int]:
        """Indices of the words of `said`, in a row, the first in `order` that is free; [] where it is not there."""
        wanted = [word.of(said).casefold() for word in words(said)]
        if not wanted:
            return []
        for start in order:
            run = range(start, start + len(wanted))
            if run.stop <= len(self.words) and not self.taken & set(run) and all(
                form in (self.forms[i], self.stems[i]) for i, form in zip(run, wanted, strict=True)
            ):  # fmt: skip
                return list(run)
        return []

    def span(self, index: int) -> Span:
        word = self.words[index]
        shorter = len(self.forms[index]) - len(self.stems[index])
        return Span(start=word.start, end=word.end - shorter) if shorter else word


def resolve(said: Said, text: str) -> tuple[Parse, int]:
    """The parse that an answer comes to, and how many of its words and indices were dropped.

    Nouns and verbs are found in the order in which they are listed: each is the first free occurrence behind the
    one before, or, if there is none, the first free one at all. An attribute is the nearest free occurrence before
    its noun, else behind it. The last word of a longer noun is its root, the others join the attributes.
    """
    places = _Places(text)
    dropped = 0
    cursor = 0
    found: list[tuple[int, list[int]]] = []  # root, attributes within the noun
    index_of: dict[int, int] = {}
    for number, one in enumerate(said.objects):
        run = places.find(one.noun, [*range(cursor, len(places.words)), *range(cursor)])
        if not run:
            dropped += 1
            continue
        places.taken.update(run)
        cursor = run[-1] + 1
        index_of[number] = len(found)
        found.append((run[-1], run[:-1]))
    order = sorted(range(len(found)), key=lambda i: found[i][0])
    rank = {old: new for new, old in enumerate(order)}
    phrases: list[Phrase] = []
    numbers = {new: number for number, new in index_of.items()}
    for old in order:
        root, inner = found[old]
        attributes = list(inner)
        for word in said.objects[numbers[old]].attributes:
            nearest = [*range(root - 1, -1, -1), *range(root + 1, len(places.words))]
            run = [] if not word.strip() else places.find(word, nearest)
            if not run:
                dropped += 1
                continue
            places.taken.update(run)
            attributes += run
        phrases.append(_phrase(places, root, sorted(attributes)))
    cursor = 0
    predicates = []
    for action in said.actions:
        run = places.find(action.verb, [*range(cursor, len(places.words)), *range(cursor)])
        if not run:
            dropped += 1
            continue
        places.taken.update(run)
        cursor = run[-1] + 1
        roles = []
        for role in (action.subject, action.object):
            dropped += role is not None and role not in index_of
            roles.append(rank[index_of[role]] if role is not None and role in index_of else None)
        predicates.append(Predicate(span=places.span(run[-1]), subject=roles[0], object=roles[1]))
    referred = said.referred
    if referred is not None and referred not in index_of:
        dropped += 1
        referred = None
    return (
        Parse(
            phrases=tuple(phrases),
            predicates=tuple(predicates),
            referred=None if referred is None else rank[index_of[referred]],
            notes=(f"{dropped} of the model's words are not in the text.",) if dropped else (),
        ),
        dropped,
    )


def _phrase(places: _Places, root: int, attributes: list[int]) -> Phrase:
    """The phrase's span reaches back over what belongs to it and stands unbroken before it."""
    first = root
    while first - 1 in attributes:
        first -= 1
    return Phrase(
        span=Span(start=places.words[first].start, end=places.span(root).end),
        root=places.span(root),
        adjectives=tuple(places.span(i) for i in attributes),
    )
