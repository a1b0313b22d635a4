"""The classes of a prompt: which of the denoiser's columns say each, by characters, without a parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from stages.artifacts.language import Span
from stages.learning.trainable_tokens import trainable_words
from stages.models.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

    from stages.models.face import DiffusionModel


def class_spans(text: str, choice: Literal["list", "runs"]) -> list[Span]:
    """Where a text names its classes. list: what stands between commas; runs: content words with but spaces between.

    >>> [span.of("hot dog, a cat") for span in class_spans("hot dog, a cat", "list")]
    ['hot dog', 'a cat']
    >>> [span.of("a red circle on grass") for span in class_spans("a red circle on grass", "runs")]
    ['red circle', 'grass']
    """
    if choice == "list":
        found = (match for match in re.finditer(r"[^,;\n]+", text) if match.group().strip())
        spans = []
        for match in found:
            inner = match.group().strip()
            start = match.start() + match.group().index(inner)
            spans.append(Span(start=start, end=start + len(inner)))
        return spans
    runs: list[Span] = []
    for word in trainable_words(text, "content"):
        if runs and not text[runs[-1].end : word.start].strip():
            runs[-1] = Span(start=runs[-1].start, end=word.end)
        else:
            runs.append(word)
    return runs


def each_class(model: DiffusionModel, text: str, *, template: str) -> Tokens:
    """A class list as one short text a class, a row each; offsets count in the list. SampleError for an empty one.

    template: the short text, with {} for the class's name.
    """
    rows = []
    before = template.index("{}")
    for span in class_spans(text, "list"):
        own = model.tokenize(template.format(span.of(text)))
        rows.append(own.moved(Span(start=before, end=before + span.end - span.start), span.start))
    return Tokens.together(rows) if rows else model.tokenize(text)


def memberships(
    tokens: Tokens, texts: Sequence[str], choice: Literal["list", "runs"], columns: int
) -> list[Float[torch.Tensor, "_classes columns"]]:
    """Of each row of tokens (texts: each row's own), the share that each column has in each of its classes.

    Rows sum to 1; a class that has no token in this window of its text is left out. A class of several tokens is their
    mean.
    """
    found = []
    for row, text in enumerate(texts):
        own = [tokens.columns(row, span) for span in class_spans(text, choice)]
        own = [one for one in own if one]
        members = torch.zeros(len(own), columns)
        for number, one in enumerate(own):
            members[number, one] = 1 / len(one)
        found.append(members)
    return found
