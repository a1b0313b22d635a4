"""What a text says, as character offsets into it: spans, phrases, predicates.

Everything that names a part of a text does so by offsets (Python string indices, end exclusive), never by the
words themselves: two equal words in a text stay two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LETTER = (
    r"(?:\w[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f\u1ab0-\u1aff\u1dc0-\u1dff"
    r"\u20d0-\u20ff\ufe20-\ufe2f]*)"
)
# A letter with its combining marks, which \w does not count ("é" in two characters).
_WORD = re.compile(rf"{_LETTER}+(?:['’\-\u2010\u2011]{_LETTER}+)*|[^\w\s]")
# Emoji and other symbols count as words of one character; so does each punctuation mark.

_NUMERALS = frozenset(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand dozen""".split()
)


def is_numeral(word: str) -> bool:
    """Whether a word says how many: it counts as an adjective of its noun, but names nothing that one could see.

    >>> [is_numeral(word) for word in ("two", "Twenty-one", "3", "second", "red")]
    [True, True, True, False, False]
    """
    parts = word.lower().split("-")
    return all(part in _NUMERALS or part.isdecimal() for part in parts)


class Span(BaseModel):
    """A part of a text: `text[start:end]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int = Field(ge=0)
    end: int = Field(gt=0)

    @model_validator(mode="after")
    def _not_empty(self) -> Span:
        if self.end <= self.start:
            raise ValueError(f"span {self.start}:{self.end} is empty or reversed")
        return self

    def of(self, text: str) -> str:
        """The words themselves; ValueError if the span points outside the text."""
        if self.end > len(text):
            raise ValueError(f"span {self.start}:{self.end} points outside a text of {len(text)} characters")
        return text[self.start : self.end]

    def covers(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


class Phrase(BaseModel):
    """A noun with what belongs to it: "a red circle" has the root "circle" and the adjective "red"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    span: Span
    root: Span
    adjectives: tuple[Span, ...] = ()
    possessor: int | None = None
    """Index of the phrase that this one belongs to ("the boy's shirt", "the handle of the cup"), if any:
    an owner and its part are not mutually exclusive."""


class Predicate(BaseModel):
    """A verb or gerund and the phrases it joins; `subject` and `object` are indices into the phrases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    span: Span
    subject: int | None = None
    object: int | None = None


class Relation(BaseModel):
    """A preposition between two phrases: "a cup on a table" relates the cup (subject) to the table (object)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    span: Span
    subject: int
    object: int


class Parse(BaseModel):
    """All that a parser says of one text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrases: tuple[Phrase, ...] = ()
    predicates: tuple[Predicate, ...] = ()
    relations: tuple[Relation, ...] = ()
    referred: int | None = None
    """Index of the one phrase that a referring expression is about."""
    notes: tuple[str, ...] = ()
    """What the parser could not do, one sentence each."""

    def checked(self, text: str) -> Parse:
        """This parse, or ValueError where a span leaves the text or an index leaves the phrases."""
        for phrase in self.phrases:
            for span in (phrase.span, phrase.root, *phrase.adjectives):
                span.of(text)
        joining: list[Predicate | Relation] = [*self.predicates, *self.relations]
        for one in joining:
            one.span.of(text)
        indices: list[int | None] = [self.referred, *(p.possessor for p in self.phrases)]
        indices += [i for p in joining for i in (p.subject, p.object)]
        for index in indices:
            if index is not None and not 0 <= index < len(self.phrases):
                raise ValueError(f"index {index} does not name one of the {len(self.phrases)} phrases")
        return self

    def without_numerals(self, text: str) -> Parse:
        """This parse with the adjectives that one could see: "two red circles" keeps "red"."""

        def seen(phrase: Phrase) -> Phrase:
            kept = tuple(one for one in phrase.adjectives if not is_numeral(one.of(text)))
            return phrase if kept == phrase.adjectives else phrase.model_copy(update={"adjectives": kept})

        return self.model_copy(update={"phrases": tuple(map(seen, self.phrases))})

    def row(self) -> dict[str, Any]:
        """This parse as plain lists and dicts, the form in which tables hold it."""
        return self.model_dump(mode="python")


def words(text: str) -> Iterator[Span]:
    """The words of a text in order, each a span: runs of letters and digits (an inner apostrophe or hyphen
    stays inside), and every other visible character by itself.

    >>> [s.of("the boy's t-shirt, red") for s in words("the boy's t-shirt, red")]
    ['the', "boy's", 't-shirt', ',', 'red']
    """
    for match in _WORD.finditer(text):
        yield Span(start=match.start(), end=match.end())


_ENGLISH = frozenset("a an the and or of in on with at by to is are from over under behind near beside".split())
_FOREIGN = frozenset(
    """der die das ein eine einen einem und mit auf ist im neben unter le la les un une des et avec sur dans est du
    el los las una y con sobre en es del il lo gli uno con su nel della di o os as um uma com no na em het een en met
    op van""".split()
) - frozenset({"on", "as", "no", "die"})


def looks_foreign(text: str) -> bool:
    """Whether a text's small words, or its letters, are those of another language than English.

    >>> [looks_foreign(one) for one in ("ein Hund auf dem Sofa", "a dog on the sofa", "две кошки", "crème brûlée")]
    [True, False, True, False]
    """
    own = [span.of(text).lower() for span in words(text)]
    letters = [one for one in text if one.isalpha()]
    latin = sum(ord(one) < 0x250 for one in letters)
    if letters and latin < len(letters) / 2:
        return True
    return sum(one in _FOREIGN for one in own) > sum(one in _ENGLISH for one in own)
