"""A parsed text as extraction sees it: words with offsets into the text as it was given, heads and labels.

Parsers read a cleaned copy of the text (`Clean`): runs of white space become one space, symbols such as emoji are
left out, and a text in capitals is read in lower case. Offsets lead back, so none of this moves a span.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.artifacts.language import Span
from stages.parse.shorthand import spelled_out
from stages.parse.spelling import reading

if TYPE_CHECKING:
    from spacy.tokens import Doc

_UNREAD = frozenset({"So", "Sk", "Cs", "Cc", "Co", "Cn", "Cf"})
FINITE = ("VBZ", "VBP", "VBD", "MD")
"""Tags of finite verbs."""
_SUBJECTS = frozenset({"nsubj", "nsubj:outer", "nsubj:pass", "nsubjpass"})


@dataclass(frozen=True)
class Clean:
    """A text made fit for a parser; `places[i]` is where its i-th character stands in the text as `given`."""

    text: str
    places: tuple[int, ...]
    given: str = ""

    @classmethod
    def of(cls, text: str) -> Clean:
        characters: list[str] = []
        places: list[int] = []
        for place, character in enumerate(text):
            if unicodedata.combining(character):  # one letter with the one before, if there is such a letter
                whole = unicodedata.normalize("NFC", characters[-1] + character) if characters else ""
                characters[-1:] = [whole] if len(whole) == 1 else characters[-1:]
            elif character.isspace() or unicodedata.category(character) in _UNREAD:
                if characters and characters[-1] != " ":
                    characters.append(" ")
                    places.append(place)
            else:
                characters.append(character)
                places.append(place)
        while characters and characters[-1] == " ":
            characters.pop()
            places.pop()
        letters = [c for c in characters if c.isalpha()]
        if len(letters) > 3 and all(not c.islower() for c in letters) and any(c.isupper() for c in letters):
            # One letter for one: "İ".lower() has two characters.
            characters = [c.lower() if len(c.lower()) == 1 else c for c in characters]
        return cls(*spelled_out("".join(characters), tuple(places)), given=text)

    def span(self, start: int, end: int) -> Span:
        """Characters start:end of the cleaned text, as a span of the text as given, combining marks included."""
        last = self.places[end - 1] + 1
        while last < len(self.given) and unicodedata.combining(self.given[last]):
            last += 1
        return Span(start=self.places[start], end=last)


@dataclass(eq=False)
class Word:
    """A word of the tree. Compared by identity: two equal words in a text are two words."""

    index: int
    text: str
    start: int
    end: int
    pos: str
    tag: str
    dep: str
    head: Word | None = None
    children: list[Word] = field(default_factory=list)

    @property
    def lower(self) -> str:
        """The word as lists go by it: in lower case, and as it was meant where it is misspelt ("rigth")."""
        return reading(self.text) or self.text.lower()

    def having(self, *deps: str) -> list[Word]:
        """Children with one of these labels, in order."""
        return [child for child in self.children if child.dep in deps]

    @property
    def lefts(self) -> list[Word]:
        return [child for child in self.children if child.index < self.index]

    @property
    def case(self) -> str:
        """The preposition of this word, lower case: its `case` child, or the `prep` it hangs on; "" without."""
        marks = [c.lower for c in self.children if c.dep == "case" and c.tag != "POS"]
        if marks:
            return marks[0]
        if self.dep == "pobj" and self.head is not None:
            return self.head.lower
        return ""

    @property
    def governor(self) -> Word | None:
        """The word that this one depends on, seen through a ClearNLP preposition."""
        if self.dep == "pobj" and self.head is not None:
            return self.head.head
        return self.head

    @property
    def objects(self) -> list[tuple[str, Word, list[Word]]]:
        """(preposition, noun, the preposition's words) of every prepositional phrase that depends on this word."""
        found = []
        for child in self.children:
            if child.dep in ("prep", "agent"):
                found += [(child.lower, noun, [child]) for noun in child.having("pobj")]
            elif child.dep.split(":")[0] in ("nmod", "obl") and child.dep != "nmod:poss":
                marks = [c for c in child.children if c.dep == "case" and c.tag != "POS"]
                if marks:
                    found.append((marks[0].lower, child, marks))
        return found

    @property
    def subjects(self) -> list[Word]:
        return [child for child in self.children if child.dep in _SUBJECTS]

    def subtree(self) -> Iterator[Word]:
        """This word and all that depend on it, heads first."""
        stack = [self]
        while stack:
            word = stack.pop()
            yield word
            stack += word.children


@dataclass(frozen=True)
class Tree:
    """A parsed text: its words in order, hyphenated ones whole, and the roots of its sentences."""

    clean: Clean
    words: tuple[Word, ...]

    @property
    def roots(self) -> list[Word]:
        return [word for word in self.words if word.head is None]

    def span(self, first: Word, last: Word | None = None) -> Span:
        return self.clean.span(first.start, (last or first).end)

    def near(self, word: Word, step: int) -> Word | None:
        """The word so many places on; None beyond the text's ends."""
        at = word.index + step
        return self.words[at] if 0 <= at < len(self.words) else None

    @property
    def is_sentence(self) -> bool:
        """Whether a text has a full stop and a finite verb: what has not is a fragment, as people type them."""
        finite = any(word.pos in ("VERB", "AUX") and word.tag in FINITE for word in self.words)
        return finite and any(word.text == "." for word in self.words)

    def sentence_ends(self) -> int:
        """How many of the words end a sentence with another word behind it, marks left out."""
        last = max((word.index for word in self.words if any(c.isalnum() for c in word.text)), default=-1)
        return sum(word.text in (".", "!", "?", ";") and word.index < last for word in self.words)


def _is_one_word(doc: Doc, i: int) -> bool:
    """Whether a token and the one behind it are letters of one word ("12kg"), but no contraction ("cannot")."""
    one, other = doc[i], doc[i + 1]
    closed = ("AUX", "PART", "PRON", "VERB", "DET", "ADP")
    letters = not one.whitespace_ and one.text[-1:].isalnum() and other.text[:1].isalnum()
    named = other.pos_ in ("NOUN", "PROPN")
    return letters and (named or (one.pos_ not in closed and other.pos_ not in closed))


def _units(doc: Doc) -> list[list[int]]:
    """Tokens by word: "t", "-", "shirt" with no space between them are one."""
    units: list[list[int]] = []
    i = 0
    while i < len(doc):
        unit = [i]
        while unit[-1] + 1 < len(doc) and _is_one_word(doc, unit[-1]):
            unit.append(unit[-1] + 1)
        while (
            unit[-1] + 2 < len(doc)
            and doc[unit[-1] + 1].text in ("-", "‐", "‑")
            and not doc[unit[-1]].whitespace_
            and not doc[unit[-1] + 1].whitespace_
            and doc[unit[-1]].text[-1:].isalnum()
            and doc[unit[-1] + 2].text[:1].isalnum()
        ):
            unit += [unit[-1] + 1, unit[-1] + 2]
        units.append(unit)
        i = unit[-1] + 1
    return units


def _depths(doc: Doc) -> list[int]:
    """How many steps each token is from the root of its sentence."""
    depths = [-1] * len(doc)
    for start in range(len(doc)):
        path, i = [], start
        while depths[i] < 0 and doc[i].head.i != i:
            path.append(i)
            i = doc[i].head.i
        depths[i] = max(depths[i], 0)
        for step, j in enumerate(reversed(path), start=1):
            depths[j] = depths[i] + step
    return depths


def tree_of(clean: Clean, doc: Doc) -> Tree:
    """The words of a spaCy document (parsed from `clean.text`), either label scheme."""
    units = _units(doc)
    unit_of = {token: number for number, unit in enumerate(units) for token in unit}
    depths = _depths(doc)
    words, outward = [], []
    for number, unit in enumerate(units):
        top = doc[min(unit, key=lambda i: (depths[i], -i))]  # the one nearest the root, so no loop can arise
        words.append(
            Word(
                index=number,
                text=clean.text[doc[unit[0]].idx : doc[unit[-1]].idx + len(doc[unit[-1]])],
                start=doc[unit[0]].idx,
                end=doc[unit[-1]].idx + len(doc[unit[-1]]),
                pos=top.pos_,
                tag=top.tag_,
                dep=top.dep_,
            )
        )
        outward.append(unit_of[top.head.i])
    for word, head in zip(words, outward, strict=True):
        if head != word.index:
            word.head = words[head]
            words[head].children.append(word)
    return Tree(clean, tuple(words))
