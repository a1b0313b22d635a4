"""The gold captions (`data/gold_captions.txt`, and those of another hand, `data/gold_captions_second.txt`) and how a
parse is held against them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stages.artifacts import AnywordError
from stages.artifacts.language import Parse, Span
from stages.world.noise import perturb

FILE = Path(__file__).parent / "data" / "gold_captions.txt"
SECOND = FILE.with_name("gold_captions_second.txt")

Triple = tuple[Span, Span | None, Span | None]


@dataclass(frozen=True)
class Gold:
    """A caption and what a parser should find in it, all as spans of the text."""

    part: str
    """dev (looked at while the extraction was tuned) or test."""
    register: str
    text: str
    nouns: tuple[Span, ...]
    adjectives: tuple[tuple[Span, Span], ...]
    """(noun, adjective)."""
    predicates: tuple[Triple, ...]
    """(verb, subject, object)."""
    referred: Span | None


def read_gold(path: Path = FILE) -> list[Gold]:
    """The captions of a gold file; AnywordError names the line that does not read."""
    golds = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                golds.append(_gold(line))
            except ValueError as error:
                raise AnywordError(f"{path}:{number}: {error}.") from None
    return golds


def _gold(line: str) -> Gold:
    fields = [part.strip() for part in line.split(" | ")]
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields where 5 are expected, parted by ' | '")
    (part, register), text, phrases, predicates, referred = fields[0].split(), *fields[1:]
    nouns, adjectives = [], []
    for phrase in phrases.split(";"):
        root, _, words = phrase.partition(":")
        nouns.append(_place(text, root.strip()))
        adjectives += [(nouns[-1], _place(text, word.strip())) for word in words.split(",") if word.strip()]
    triples = []
    for predicate in [] if predicates == "-" else predicates.split(";"):
        match = re.fullmatch(r"(.+)\((.+), (.+)\)", predicate.strip())
        if match is None:
            raise ValueError(f"predicate '{predicate.strip()}' is not verb(subject, object)")
        verb, *arguments = match.groups()
        subject, target = (None if a == "-" else _place(text, a) for a in arguments)
        triples.append((_place(text, verb), subject, target))
    return Gold(
        part,
        register,
        text,
        tuple(nouns),
        tuple(adjectives),
        tuple(triples),
        None if referred == "-" else _place(text, referred),
    )


def _place(text: str, word: str) -> Span:
    """The span of "word" (its first occurrence as a whole word) or "word#2" (its second)."""
    word, _, count = word.partition("#")
    found = [m.span() for m in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)]
    nth = int(count or 1)
    if len(found) < nth:
        raise ValueError(f"'{word}' does not occur {nth} times in '{text}'")
    return Span(start=found[nth - 1][0], end=found[nth - 1][1])


def perturbed(gold: Gold, kind: str, seed: int = 0) -> Gold:
    """A gold caption under noise, its spans moved along; what the noise has removed is wanted no more."""
    noisy = perturb(gold.text, kind, seed)
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


@dataclass
class Counts:
    """Right, found and wanted, whose harmonic mean of precision and recall is F1."""

    right: int = 0
    found: int = 0
    wanted: int = 0

    def add(self, found: Iterable[object], wanted: Iterable[object]) -> None:
        one, other = Counter(found), Counter(wanted)
        self.right += (one & other).total()
        self.found += one.total()
        self.wanted += other.total()

    @property
    def f1(self) -> float:
        """1 where nothing was wanted and nothing found."""
        return 2 * self.right / (self.found + self.wanted) if self.found + self.wanted else 1.0


def noun_set(parse: Parse) -> list[Span]:
    return [phrase.root for phrase in parse.phrases]


def adjective_set(parse: Parse) -> list[tuple[Span, Span]]:
    return [(phrase.root, adjective) for phrase in parse.phrases for adjective in phrase.adjectives]


def triple_set(parse: Parse) -> list[Triple]:
    def root(index: int | None) -> Span | None:
        return None if index is None else parse.phrases[index].root

    return [(one.span, root(one.subject), root(one.object)) for one in parse.predicates]


def compare(parses: Sequence[Parse], golds: Sequence[Gold]) -> dict[str, float]:
    """noun_f1 (roots), adjective_f1 ((noun, adjective) pairs), predicate_f1 (whole triples), and `referred`, the
    share right of the captions that refer to one object."""
    nouns, adjectives, predicates = Counts(), Counts(), Counts()
    referring, right = 0, 0
    for parse, gold in zip(parses, golds, strict=True):
        nouns.add(noun_set(parse), gold.nouns)
        adjectives.add(adjective_set(parse), gold.adjectives)
        predicates.add(triple_set(parse), gold.predicates)
        if gold.referred is not None:
            referring += 1
            right += parse.referred is not None and parse.phrases[parse.referred].root == gold.referred
    return {
        "noun_f1": nouns.f1,
        "adjective_f1": adjectives.f1,
        "predicate_f1": predicates.f1,
        "referred": right / referring if referring else 1.0,
    }
