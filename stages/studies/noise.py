"""Noise in texts (Segment Anyword, G.2): typos, broken grammar, capitals, with where each character came from."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from stages.artifacts.language import Span
from stages.studies.gold import Gold

_SHARE = 0.25  # of the longer words are misspelt
_DROPPED = re.compile(r"\b(?:a|an|the|is|are|was|were|being)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Noisy:
    """A spoilt text; `places[i]` is where the i-th character of the old text now stands, None where it is gone."""

    text: str
    places: tuple[int | None, ...]

    def span(self, span: Span) -> Span | None:
        """Where a word of the old text now is; None where nothing is left of it."""
        left = [place for place in self.places[span.start : span.end] if place is not None]
        return Span(start=min(left), end=max(left) + 1) if left else None


def typos(text: str, rng: random.Random) -> Noisy:
    """Two inner letters of some longer words change places ("balck")."""
    letters = list(text)
    for word in re.finditer(r"[^\W\d_]{4,}", text):
        if rng.random() < _SHARE:
            at = rng.randrange(word.start() + 1, word.end() - 2)
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return Noisy("".join(letters), tuple(range(len(text))))


def broken_grammar(text: str, rng: random.Random) -> Noisy:
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
    return Noisy("".join(c for c, keep in zip(text, kept, strict=True) if keep), tuple(places))


def capitals(text: str, rng: random.Random) -> Noisy:
    """All in capitals."""
    upper = "".join(c.upper() if len(c.upper()) == 1 else c for c in text)
    return Noisy(upper, tuple(range(len(text))))


KINDS: dict[str, Callable[[str, random.Random], Noisy]] = {
    "typos": typos,
    "broken_grammar": broken_grammar,
    "capitals": capitals,
}


def spoilt(gold: Gold, kind: str, seed: int = 0) -> Gold:
    """A gold caption under noise, its spans moved along; what the noise has removed is wanted no more."""
    noisy = KINDS[kind](gold.text, random.Random(f"{seed}/{gold.text}"))  # noqa: S311 - not for secrets
    adjectives = [(noisy.span(noun), noisy.span(adjective)) for noun, adjective in gold.adjectives]
    triples = []
    for verb, subject, target in gold.predicates:
        moved = noisy.span(verb)
        if moved is not None:
            triples.append((moved, subject and noisy.span(subject), target and noisy.span(target)))
    return replace(
        gold,
        text=noisy.text,
        nouns=tuple(span for span in map(noisy.span, gold.nouns) if span),
        adjectives=tuple((noun, adjective) for noun, adjective in adjectives if noun and adjective),
        predicates=tuple(triples),
        referred=gold.referred and noisy.span(gold.referred),
    )
