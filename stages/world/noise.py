"""Noise in texts (Segment Anyword, G.2): typos, broken grammar, capitals, with where each character came from."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stages.artifacts.language import Parse, Span

_SHARE = 0.25  # of the longer words are misspelt
_DROPPED = re.compile(r"\b(?:a|an|the|is|are|was|were|being)\s+", re.IGNORECASE)


class Changed(Protocol):
    """A text that came of another one."""

    def span(self, span: Span) -> Span | None:
        """Where a span of the old text now is; None where nothing is left of it."""


@dataclass(frozen=True)
class Perturbed:
    """A perturbed text; `places[i]` is where the i-th character of the old text now stands, None where it is gone."""

    text: str
    places: tuple[int | None, ...]

    def span(self, span: Span) -> Span | None:
        """Where a word of the old text now is; None where nothing is left of it."""
        left = [place for place in self.places[span.start : span.end] if place is not None]
        return Span(start=min(left), end=max(left) + 1) if left else None


def typos(text: str, rng: random.Random) -> Perturbed:
    """Two inner letters of some longer words change places ("balck")."""
    letters = list(text)
    for word in re.finditer(r"[^\W\d_]{4,}", text):
        if rng.random() < _SHARE:
            at = rng.randrange(word.start() + 1, word.end() - 2)
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return Perturbed("".join(letters), tuple(range(len(text))))


def broken_grammar(text: str, rng: random.Random) -> Perturbed:
    """Articles and forms of "be" are left out ("dog sitting on chair")."""
    kept = [True] * len(text)
    for match in _DROPPED.finditer(text):
        if match.end() < len(text):
            kept[match.start() : match.end()] = [False] * (match.end() - match.start())
    places: list[int | None] = []
    count = 0
    for keep in kept:
        places.append(count if keep else None)
        count += keep
    return Perturbed("".join(c for c, keep in zip(text, kept, strict=True) if keep), tuple(places))


def capitals(text: str, rng: random.Random) -> Perturbed:
    """All in capitals."""
    upper = "".join(c.upper() if len(c.upper()) == 1 else c for c in text)
    return Perturbed(upper, tuple(range(len(text))))


KINDS: dict[str, Callable[[str, random.Random], Perturbed]] = {
    "typos": typos,
    "broken_grammar": broken_grammar,
    "capitals": capitals,
}


def moved(parse: Parse, text: Changed) -> Parse:
    """A parse of the old text as one of the changed text. A word that is gone leaves its phrase; a phrase or a verb
    of which nothing is left cannot be moved: ValueError."""

    def place(span: Span) -> Span:
        found = text.span(span)
        if found is None:
            raise ValueError(f"nothing is left of characters {span.start}:{span.end}")
        return found

    return parse.model_copy(
        update={
            "phrases": tuple(
                one.model_copy(
                    update={
                        "span": place(one.span),
                        "root": place(one.root),
                        "adjectives": tuple(found for a in one.adjectives if (found := text.span(a)) is not None),
                    }
                )
                for one in parse.phrases
            ),
            "predicates": tuple(one.model_copy(update={"span": place(one.span)}) for one in parse.predicates),
            "relations": tuple(one.model_copy(update={"span": place(one.span)}) for one in parse.relations),
        }
    )


def perturb(text: str, kind: str, seed: int = 0) -> Perturbed:
    """The text under one kind of noise, the same for the same seed."""
    return KINDS[kind](text, random.Random(f"{seed}/{text}"))  # noqa: S311 - not for secrets
