"""A caption said in other words, through a small thesaurus (the embedded stand-in for Segment Anyword's Section 2.2).

Words are replaced by their spans, so the phrases stay where they are and the truth stays what it was. All synonyms
but those listed as `SYNONYMS` of the captions, too, are words that no caption of the embedded world holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.seeds import generator
from stages.world.noise import moved
from stages.world.shapes import NOUNS

THESAURUS: dict[str, tuple[str, ...]] = {
    "circle": ("disk", "disc", "orb", "roundel", "button", "coin"),
    "square": ("box", "block", "tile", "quadrate", "tetragon", "foursquare"),
    "triangle": ("wedge", "trigon", "delta", "pyramid", "trilateral", "gable"),
    "star": ("pentagram", "pentacle", "sunburst", "asterisk", "estoile", "starlet"),
    "ring": ("hoop", "loop", "annulus", "torus", "circlet", "wreath"),
    "cross": ("crux", "rood", "plus", "crosslet", "saltire", "crucifix"),
    "heart": ("valentine", "cardioid", "sweetheart", "core", "ticker", "heartlet"),
    "diamond": ("rhombus", "rhomb", "lozenge", "kite", "adamant", "rhomboid"),
    "crescent": ("moon", "sickle", "lune", "lunule", "meniscus", "demilune"),
    "arrow": ("dart", "pointer", "shaft", "bolt", "arrowhead", "quarrel"),
    "red": ("crimson", "scarlet", "ruby"),
    "orange": ("tangerine", "amber", "apricot"),
    "yellow": ("golden", "lemon", "canary"),
    "green": ("emerald", "jade", "verdant"),
    "blue": ("azure", "cobalt", "sapphire"),
    "purple": ("violet", "mauve", "plum"),
    "white": ("ivory", "pearly", "chalky"),
    "black": ("ebony", "jet", "inky"),
    "striped": ("banded", "lined", "barred"),
    "dotted": ("spotted", "speckled", "stippled"),
    "plain": ("uniform", "unpatterned", "solid"),
    "small": ("little", "tiny", "minute"),
    "large": ("big", "huge", "sizeable"),
    "grass": ("lawn", "turf", "meadow"),
    "sand": ("dune", "beach", "silt"),
    "water": ("pond", "lake", "brook"),
    "snow": ("frost", "firn", "powder"),
    "gravel": ("shingle", "scree", "pebbles"),
}
"""Synonyms by the captions' own word. Each word is in one group only."""
MOST = 5
"""Paraphrases that every caption can have: each noun has that many synonyms and one more."""

_GROUPS = {word: (base, *others) for base, others in THESAURUS.items() for word in (base, *others)}
_NUMBERED = re.compile(r"(\D+)(\d*)")


@dataclass(frozen=True)
class Edited:
    """A text in other words, and where the spans of the old one now lie."""

    text: str
    edits: tuple[tuple[Span, str], ...]
    """Spans of the old text and what stands there now, in order."""

    def span(self, span: Span) -> Span:
        """A span of the old text in the new one; its ends lie at edits' ends or outside them."""
        return Span(start=span.start + self._shift(span.start), end=span.end + self._shift(span.end))

    def _shift(self, at: int) -> int:
        return sum(len(new) - (old.end - old.start) for old, new in self.edits if old.end <= at)


@dataclass(frozen=True)
class Paraphrase:
    """One paraphrase of a caption: its text and its parse, phrases in the old order."""

    text: str
    parse: Parse


def synonyms(word: str) -> list[str]:
    """The other words of a word's group, in its own form (plural, number behind, capital); [] for other words.

    >>> synonyms("Circles")[:2], synonyms("disk2")[0], synonyms("touching")
    (['Disks', 'Discs'], 'circle2', [])
    """
    stem, plural, number = _stem(word)
    if stem is None:
        return []
    others = [one for one in _GROUPS[stem] if one != stem]
    formed = [(_plural(one) if plural else one) + number for one in others]
    return [one[0].upper() + one[1:] for one in formed] if word[0].isupper() else formed


def known(word: str) -> bool:
    """Whether a word is the captions' own, not one that only paraphrases have."""
    stem, _, _ = _stem(word)
    return stem is None or stem in THESAURUS


def subject(parse: Parse, text: str, *seed: str | int) -> int | None:
    """The phrase whose words change: the referred one, else one drawn among those that name an object (with `seed`);
    None where no phrase has a synonym."""
    able = [i for i, one in enumerate(parse.phrases) if synonyms(one.root.of(text))]
    if parse.referred in able:
        return parse.referred
    objects = [i for i in able if _GROUPS[_stem(parse.phrases[i].root.of(text))[0] or ""][0] in NOUNS] or able
    return objects[int(generator(*seed, "subject").integers(len(objects)))] if objects else None


def paraphrases(text: str, parse: Parse, count: int, phrases: Sequence[int], *seed: str | int) -> list[Paraphrase]:
    """`count` paraphrases (fewer where the words have fewer synonyms), no two alike and none the text itself.

    The noun of each of `phrases` gets another synonym in every paraphrase; each of its adjectives, one in two. The
    article before them fits ("a disk", "an orb"). `seed` names the draw.
    """
    draws = generator(*seed, "rewrites")
    nouns = {i: draws.permutation(synonyms(parse.phrases[i].root.of(text))).tolist() for i in phrases}
    most = max((len(one) for one in nouns.values()), default=0)
    made = []
    for number in range(min(count, most)):
        edits: dict[Span, str] = {}
        for i in phrases:
            own = parse.phrases[i]
            if nouns[i]:
                edits[own.root] = nouns[i][number % len(nouns[i])]
            for adjective in own.adjectives:
                others = synonyms(adjective.of(text))
                if others and draws.random() < 0.5:
                    edits[adjective] = others[int(draws.integers(len(others)))]
            edits |= _article(text, own, edits)
        made.append(replaced(text, parse, edits))
    return made


def replaced(text: str, parse: Parse, edits: dict[Span, str]) -> Paraphrase:
    """The text with other words at some spans (which do not overlap), and its parse moved along."""
    parts, cursor = [], 0
    ordered = tuple(sorted(edits.items(), key=lambda one: one[0].start))
    for span, new in ordered:
        parts += [text[cursor : span.start], new]
        cursor = span.end
    said = Edited("".join([*parts, text[cursor:]]), ordered)
    return Paraphrase(said.text, moved(parse, said).checked(said.text))


def _article(text: str, phrase: Phrase, edits: dict[Span, str]) -> dict[Span, str]:
    """The phrase's "a" or "an", changed where the word behind it now asks for the other."""
    found = re.match(r"(an?)\s+", text[phrase.span.start : phrase.span.end], re.IGNORECASE)
    if found is None:
        return {}
    first = min((phrase.root, *phrase.adjectives), key=lambda span: span.start)
    if first.start != phrase.span.start + found.end():
        return {}
    word = edits.get(first, first.of(text))
    new = found[1][0] + ("n" if word[0].lower() in "aeiou" else "")
    span = Span(start=phrase.span.start, end=phrase.span.start + len(found[1]))
    return {span: new} if new != found[1] else {}


def _stem(word: str) -> tuple[str | None, bool, str]:
    """A word's entry in the thesaurus (None without one), whether it is its plural, and the number behind it."""
    found = _NUMBERED.fullmatch(word.lower())
    if found is None:
        return None, False, ""
    name, number = found.groups()
    for stem in (name, name.removesuffix("s"), name.removesuffix("es")):
        if stem in _GROUPS:
            return stem, stem != name, number
    return None, False, ""


def _plural(word: str) -> str:
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
