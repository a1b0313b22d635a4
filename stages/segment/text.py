"""Masks from words alone (the text-only prompting of Segment Anyword, F.3, Table 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Parse
from stages.segment.points import Cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float

    Answer = tuple[Bool[np.ndarray, "masks height width"], Float[np.ndarray, " masks"]]


def cuts(
    parse: Parse, text: str, size: tuple[int, int], ask: Callable[[str], Answer], answer: str, predicates: bool
) -> dict[tuple[str, int], Cut]:
    """A mask for every target, ("phrase", index) or ("predicate", index).

    ask: from a phrase's words to masks and scores, best first. answer: 'all' joins them, 'best' takes the first. A
    predicate's mask is its subject's and its object's, joined, its score the lower of theirs. Equal phrases are asked
    for once. A phrase without an answer gets an empty mask of score 0.
    """
    known: dict[str, Cut] = {}
    found: dict[tuple[str, int], Cut] = {}
    for index, phrase in enumerate(parse.phrases):
        words = phrase.span.of(text)
        if words not in known:
            known[words] = joined(*ask(words), size, answer)
        found["phrase", index] = known[words]
    for index, one in enumerate(parse.predicates if predicates else ()):
        members = [found["phrase", i] for i in (one.subject, one.object) if i is not None]
        mask = np.logical_or.reduce([member.mask for member in members]) if members else np.zeros(size, dtype=bool)
        found["predicate", index] = Cut(mask, min((member.score for member in members), default=0.0))
    return found


def joined(
    masks: Bool[np.ndarray, "masks height width"],
    scores: Float[np.ndarray, " masks"],
    size: tuple[int, int],
    answer: str,
) -> Cut:
    """The masks as one, with the best score."""
    if not len(masks):
        return Cut(np.zeros(size, dtype=bool), 0.0)
    mask = masks[0] if answer == "best" else np.logical_or.reduce(masks)
    return Cut(mask, float(scores[0]))
