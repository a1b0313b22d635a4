"""Words that a language model names, found in the text: by order of occurrence, each given away once, whatever the
apostrophes, hyphens, case and Unicode form in which it copies them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from stages.artifacts.language import Parse, Phrase, Predicate, Span, words
from stages.parse.answers import Said

_JOINTS = re.compile(r"[\s'’‘ʼ`´\-‐‑‒–—]+")
_OWNER = re.compile(r"(?<=\w)['’‘ʼ]s?$", re.IGNORECASE)


def _key(word: str) -> str:
    """What two ways of writing a word have in common: no case, no joints, one Unicode form."""
    return _JOINTS.sub("", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()))


class _Places:
    """The text's words, each given away once a role."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(words(text))
        # "boy's" also answers to "boy".
        self.stems = [_OWNER.sub("", word.of(text)) for word in self.words]
        self.keys = [
            {_key(word.of(text)), _key(stem)} - {""} for word, stem in zip(self.words, self.stems, strict=True)
        ]
        self.taken: set[int] = set()

    def find(self, said: str, order: Sequence[int]) -> list[int]:
        """Indices of the words of `said`, in a row, the first in `order` that is free; [] where it is not there."""
        wanted = _key(said)
        if wanted:
            for start in order:
                run = self._run(wanted, start)
                if run:
                    return run
        return []

    def _run(self, wanted: str, at: int, *, begun: bool = False) -> list[int]:
        """The words from `at` on that spell `wanted`."""
        if at >= len(self.words) or at in self.taken:
            return []
        if not self.keys[at] and begun:  # a dash with space around it
            rest = self._run(wanted, at + 1, begun=True)
            return [at, *rest] if rest else []
        for key in sorted(self.keys[at], key=len, reverse=True):
            if key == wanted:
                return [at]
            rest = self._run(wanted[len(key) :], at + 1, begun=True) if wanted.startswith(key) else []
            if rest:
                return [at, *rest]
        return []

    def span(self, index: int) -> Span:
        word = self.words[index]
        return Span(start=word.start, end=word.start + len(self.stems[index]))


def resolve(said: Said, text: str) -> tuple[Parse, int]:
    """The parse that an answer comes to, and how many of its words and indices were dropped.

    Nouns and verbs are found in the order in which they are listed: each is the first free occurrence behind the
    one before, or, if there is none, the first free one at all. An attribute is the nearest free occurrence before
    its noun, else behind it. The last word of a longer noun is its root, the others join the attributes.
    """
    places = _Places(text)
    dropped = said.dropped
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
