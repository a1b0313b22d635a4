"""Expressions said in other words by a language model (Segment Anyword, appendix C.1).

The same client as the `openai` parser: same cache, retries, pace, and key from the environment. The answer is
untrusted: what is no short phrase of words, or no new one, is dropped and counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts import SampleError
from stages.artifacts.language import Span, words
from stages.artifacts.seeds import generator
from stages.parse.openai_client import Client
from stages.parse.recipe import OpenaiParser
from stages.samples.readers.given import head

PROMPT = (
    "As a NLP expert, please generate a list of {n} synonyms of the noun phrases in the following [{sentence}] and "
    "output the list separated by '&'"
)
"""C.1, word for word."""
FEWEST, MOST = 2, 5
"""C.1: n is in randint(2, 5)."""
_LONGEST = 2000  # characters of an answer; beyond that it is no list of phrases
_WORDS = 12  # of one phrase, beyond those of the text around it
_MARK = re.compile(r"^\s*(?:[-*•·]|\(?\d{1,2}[.):])\s*")


def wanted(text: str, seed: int = 0) -> int:
    """How many rewrites a text is asked for: 2 to 5, the same for the same text."""
    return int(generator(seed, "rewriter", text).integers(FEWEST, MOST + 1))


class Rewriter(Client[list[str]]):
    who = "rewriter"

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None, seed: int = 0) -> None:
        super().__init__(recipe, cache)
        self.seed = seed

    def messages(self, text: str, *, schema: bool) -> list[dict[str, str]]:
        return [{"role": "user", "content": PROMPT.format(n=wanted(text, self.seed), sentence=_one_line(text))}]

    def read(self, content: str) -> list[str]:
        return items(content)


@dataclass(frozen=True)
class Rewrite:
    """An expression in other words."""

    text: str
    phrase: Span
    """Where the words are that were changed."""


def items(content: str) -> list[str]:
    """The answer's list, marks and quotes taken off its items; ValueError where there is none.

    >>> items("Sure: [1. apple slices & 2. 'cut up apples']")
    ['apple slices', 'cut up apples']
    """
    inner = content.strip()
    bracketed = re.search(r"\[([^\[\]]*&[^\[\]]*)\]", inner)
    inner = bracketed[1] if bracketed else next((line for line in inner.splitlines() if "&" in line), inner)
    if len(inner) > _LONGEST or not inner.strip():
        raise ValueError("no list separated by '&'")
    found = [_MARK.sub("", one).strip().strip("\"'“”‘’`.").strip() for one in inner.split("&")]
    found = [one for one in found if one]
    if len(found) < FEWEST:
        raise ValueError(f"a list of {len(found)}, separated by '&'")
    return found


def placed(said: Sequence[str], text: str, phrase: Span, most: int) -> tuple[list[Rewrite], int]:
    """The rewrites that an answer comes to, at most `most`, and how many of its items were dropped.

    An item that repeats the text around `phrase` is a whole expression; any other stands in the phrase's place, its
    article kept. Dropped: what holds no letter, a control character, brackets or several lines; more than a dozen
    words; what mostly repeats the words around the phrase (it renames something else); what says the text itself, or
    another item, again.
    """
    before, after = text[: phrase.start], text[phrase.end :]
    seen = {_folded(text)}
    kept: list[Rewrite] = []
    dropped = 0
    for item in said:
        inner = new = _inner(item, before, after)
        article = re.match(r"(?:a|an|the)\s+", phrase.of(text), re.IGNORECASE)
        if article and not re.match(r"(?:a|an|the|two|some|his|her|their|its)\s", new, re.IGNORECASE):
            new = _fitting(article[0], new) + new
        whole = before + new + after
        echo = _echoes(inner, before + " " + after)
        if echo or not _plain(inner) or _folded(whole) in seen or len(kept) == most:
            dropped += 1
            continue
        seen.add(_folded(whole))
        kept.append(Rewrite(whole, Span(start=len(before), end=len(before) + len(new))))
    return kept, dropped


def root_of(made: Rewrite) -> Span:
    """The noun of the rewritten phrase: its last word before a preposition or a clause."""
    return head(made.text, made.phrase)


def rewrites(
    rewriter: Rewriter, texts: Mapping[str, tuple[str, Span]]
) -> tuple[dict[str, list[Rewrite]], dict[str, str], dict[str, float]]:
    """Rewrites by id, for texts given by id with the phrase to change; why others have none; what it took.

    A text with fewer than two usable rewrites has none.
    """
    answers = rewriter.ask([text for text, _ in texts.values()])
    found: dict[str, list[Rewrite]] = {}
    failed: dict[str, str] = {}
    usage = {"requests": 0.0, "prompt_tokens": 0.0, "completion_tokens": 0.0, "cost": 0.0, "dropped_items": 0.0}
    for said in answers.values():
        if not isinstance(said, SampleError):
            for name, value in said.usage.items():
                usage[name] += value
            usage["cost"] += said.cost(rewriter.recipe)
    for name, (text, phrase) in texts.items():
        said = answers[text]
        if isinstance(said, SampleError):
            failed[name] = str(said)
            continue
        kept, dropped = placed(said.answer, text, phrase, wanted(text, rewriter.seed))
        usage["dropped_items"] += dropped
        if len(kept) < FEWEST:
            failed[name] = f"{len(kept)} usable rewrites of {len(said.answer)}, {FEWEST} are needed."
        else:
            found[name] = kept
    return found, failed, usage


def _inner(item: str, before: str, after: str) -> str:
    """The words of an item that stand for the phrase, where it repeats what stands around the phrase."""
    own = " ".join(item.split())
    head, tail = (" ".join(part.split()) for part in (before, after))
    pattern = re.escape(head) + (r"(?!\w)" if head[-1:].isalnum() else "") + r"\s*(.+?)\s*"
    pattern += (r"(?<!\w)" if tail[:1].isalnum() else "") + re.escape(tail)
    found = re.fullmatch(pattern, own, re.IGNORECASE) if head or tail else None
    if found and found[1].strip():
        return found[1].strip()
    return own


def _fitting(article: str, word: str) -> str:
    """The article with its space, "a" or "an" as the word asks."""
    if article.split()[0].lower() == "the":
        return article
    return article[0] + ("n " if word[:1].lower() in "aeiou" else " ")


def _plain(phrase: str) -> bool:
    letters = any(character.isalpha() for character in phrase)
    odd = any(unicodedata.category(one) in ("Cc", "Cs", "Co", "Zl", "Zp") or one in "[]{}<>&|\\" for one in phrase)
    return letters and not odd and sum(1 for _ in words(phrase)) <= _WORDS


def _echoes(phrase: str, around: str) -> bool:
    """Whether over half of a phrase's words stand around it already."""
    others = {word.of(around).casefold() for word in words(around)}
    own = [word.of(phrase).casefold() for word in words(phrase)]
    return 2 * sum(word in others for word in own) > len(own)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _one_line(text: str) -> str:
    """The text without line breaks and brackets, which would end the prompt's own."""
    return re.sub(r"[\[\]]", " ", " ".join(text.split()))
