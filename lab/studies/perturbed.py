"""Gold captions under noise."""

from __future__ import annotations

from dataclasses import replace

from lab.studies.gold import Gold
from stages.world.noise import spoil


def spoilt(gold: Gold, kind: str, seed: int = 0) -> Gold:
    """A gold caption under noise, its spans moved along; what the noise has removed is wanted no more."""
    noisy = spoil(gold.text, kind, seed)
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
