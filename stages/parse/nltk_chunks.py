"""NLTK's perceptron tagger and a chunk grammar.

Chunks know neither attachment nor passives: adjectives are those inside the noun's own chunk, a verb's subject is
the chunk before it and its object the chunk right behind it. It is here for comparison, and where spaCy is not.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.artifacts.atomic import sha256_file, sha256_of
from stages.artifacts.language import Parse, Phrase, Predicate, Relation, Span, words
from stages.parse import lists
from stages.parse.languages import foreign_note
from stages.parse.parser import Parsed, ParseRequest, ParseResult
from stages.parse.recipe import NltkParser
from stages.parse.tree import Clean

TAGGER = "taggers/averaged_perceptron_tagger_eng"
GRAMMAR = r"""
NP: {<DT|PRP\$|PDT>*<CD|JJ.*|VBN|VBG|NN.*|CC_ADJ>*<NN.*>}
    {<DT><JJR|JJS>}
"""
_ADJECTIVE = re.compile(r"JJ|CD|VBN|VBG|NN")


class NltkChunks:
    def __init__(self, recipe: NltkParser) -> None:
        from nltk.chunk import RegexpParser
        from nltk.data import path as places
        from nltk.tag.perceptron import PerceptronTagger

        folder = _tagger_folder(recipe)
        if folder is None:
            raise AnywordError(f"parser: {lacking(recipe)}")
        if recipe.data is not None and recipe.data not in places:
            places.insert(0, recipe.data)  # NLTK reads only below the places that it was told of
        self.tagger = PerceptronTagger(load=False)
        self.tagger.load_from_json(lang="eng", loc=str(folder))
        self.chunker = RegexpParser(GRAMMAR)
        sums = [sha256_file(path) for path in sorted(folder.glob("*.json"))]
        self.models: Mapping[str, ModelRecord] = {
            "tagger": ModelRecord(id=TAGGER.rpartition("/")[2], sha256=sha256_of("".join(sums)))
        }

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        return [self._one(request.text) for request in requests]

    def _one(self, text: str) -> ParseResult:
        clean = Clean.of(text)
        spans = list(_tokens(clean.text))
        if not spans:
            return Parsed(Parse(notes=("There is no word to read.",)))
        try:
            tagged = [(word, tag) for word, tag, *_ in self.tagger.tag([span.of(clean.text) for span in spans])]
            tree = self.chunker.parse(_joined_adjectives(tagged))
        except Exception as error:  # NLTK raises of every kind
            return SampleError(f"NLTK cannot parse this text ({type(error).__name__}: {error}).")
        return Parsed(_assembled(clean, spans, tagged, tree))


def _tokens(text: str) -> list[Span]:
    """Words as `language.words` has them, but "boy's" in two, as the tagger was trained."""
    out = []
    for span in words(text):
        match = re.search(r"['’]s?$", span.of(text))
        if match and match.start():
            out += [
                Span(start=span.start, end=span.start + match.start()),
                Span(start=span.start + match.start(), end=span.end),
            ]
        else:
            out.append(span)
    return out


def _joined_adjectives(tagged: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """ "and" between two adjectives stays inside the chunk: "black and white dog"."""
    out = list(tagged)
    for i in range(1, len(tagged) - 1):
        if tagged[i][1] in ("CC", ",") and tagged[i - 1][1].startswith("JJ") and tagged[i + 1][1].startswith("JJ"):
            out[i] = (tagged[i][0], "CC_ADJ")
    return out


def _assembled(clean: Clean, spans: list[Span], tagged: list[tuple[str, str]], tree: Any) -> Parse:
    """Chunks to phrases, and the words between them to predicates and relations."""
    chunks: list[tuple[int, int]] = []
    at = 0
    for part in tree:
        size = len(part) if hasattr(part, "label") else 1
        if hasattr(part, "label"):
            chunks.append((at, at + size))
        at += size
    lower = [word.lower() for word, _ in tagged]
    phrases: list[Phrase] = []
    kept: list[tuple[int, int]] = []
    for start, end in chunks:
        root = end - 1
        before = lower[start - 1] if start else ""
        frame = lower[root] in lists.FRAMES and (
            before in ("in", "of") or (end < len(lower) and lower[end] in lists.SHOWING)
        )
        adverbial = lower[root] in lists.ADVERBIALS and before in lists.ADVERBIAL_CASES
        counting = lower[root] in lists.QUANTITIES and end < len(lower) and lower[end] == "of"
        if frame or adverbial or counting:
            continue
        inside = [
            i for i in range(start, root)
            if _ADJECTIVE.match(tagged[i][1]) and lower[i] not in lists.NO_ADJECTIVES and tagged[i][1] != "PRP$"
        ]  # fmt: skip
        owner = len(kept) - 1 if kept and kept[-1][1] == start - 1 and tagged[start - 1][1] == "POS" else None
        phrases.append(
            Phrase(
                span=clean.span(spans[start].start, spans[root].end),
                root=clean.span(spans[root].start, spans[root].end),
                adjectives=tuple(clean.span(spans[i].start, spans[i].end) for i in inside),
                possessor=owner,
            )
        )
        kept.append((start, end))
    predicates, relations = [], []
    inside_chunk = {i for start, end in chunks for i in range(start, end)}
    for i, (_, tag) in enumerate(tagged):
        if i in inside_chunk:
            continue
        before_it = [n for n, (_, end) in enumerate(kept) if end <= i]
        behind = [n for n, (start, _) in enumerate(kept) if start == i + 1]
        span = clean.span(spans[i].start, spans[i].end)
        if tag.startswith("VB") and lower[i] not in lists.FORMS_OF_BE and not (
            lower[i] in lists.SHOWING and not before_it
        ):  # fmt: skip
            predicates.append(
                Predicate(
                    span=span,
                    subject=before_it[-1] if before_it else None,
                    object=behind[0] if behind else None,
                )
            )
        elif tag == "IN" and before_it and behind:
            relations.append(Relation(span=span, subject=before_it[-1], object=behind[0]))
    return Parse(
        phrases=tuple(phrases),
        predicates=tuple(predicates),
        relations=tuple(relations),
        referred=0 if phrases and "." not in lower[:-1] else None,
        notes=_notes(clean, phrases),
    )


def _notes(clean: Clean, phrases: Sequence[Phrase]) -> tuple[str, ...]:
    foreign = foreign_note(clean.text)
    return (foreign,) if foreign else () if phrases else ("No noun was found.",)


def _tagger_folder(recipe: NltkParser) -> Path | None:
    """Where the tagger's data lies, without importing NLTK's data downloader."""
    if recipe.data is not None:
        roots = [Path(recipe.data)]
    else:
        from nltk.data import path

        roots = [Path(place) for place in path]
    return next((root / TAGGER for root in roots if list((root / TAGGER).glob("*.weights.json"))), None)


def load(recipe: NltkParser) -> NltkChunks:
    missing = lacking(recipe)
    if missing is not None:
        raise AnywordError(f"parser: {missing}")
    return NltkChunks(recipe)


def lacking(recipe: NltkParser) -> str | None:
    if importlib.util.find_spec("nltk") is None:
        return "NLTK is not installed. pip install nltk."
    if _tagger_folder(recipe) is None:
        return (
            f"no {TAGGER} in {recipe.data or 'the places where NLTK looks'}. Get it on a machine with a network by "
            "python -m nltk.downloader averaged_perceptron_tagger_eng, and set `data` to the folder."
        )
    return None
