"""Class names as phrases: open-vocabulary semantic segmentation, where the text is a list of classes.

Names are matched as whole words on the text's own characters, longest first, so that "traffic light" is not also
"light". A class of several words has its last word as root and the others as adjectives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stages.artifacts import ModelRecord
from stages.artifacts.language import Parse, Phrase, Span, words
from stages.parse.parser import Parsed, ParseRequest, ParseResult
from stages.parse.recipe import VocabularyParser


class Vocabulary:
    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: VocabularyParser) -> None:
        names = {word for name, aliases in recipe.classes.items() for word in (name, *aliases)}
        parts = [r"\s+".join(map(re.escape, name.split())) for name in sorted(names, key=lambda n: (-len(n), n))]
        ending = "(?:es|s)?" if recipe.plurals else ""
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(parts)}){ending}(?!\w)", re.IGNORECASE)

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        return [Parsed(self._one(request.text)) for request in requests]

    def _one(self, text: str) -> Parse:
        phrases = []
        for match in self._pattern.finditer(text):
            span = Span(start=match.start(), end=match.end())
            inner = [Span(start=span.start + word.start, end=span.start + word.end) for word in words(span.of(text))]
            phrases.append(Phrase(span=span, root=inner[-1], adjectives=tuple(inner[:-1])))
        notes = () if phrases else ("No class of the vocabulary occurs in this text.",)
        return Parse(phrases=tuple(phrases), referred=0 if len(phrases) == 1 else None, notes=notes)


def load(recipe: VocabularyParser) -> Vocabulary:
    return Vocabulary(recipe)


def lacking(recipe: VocabularyParser) -> str | None:
    return None
