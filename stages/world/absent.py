"""Short expressions of one object of a scene, and the same with one word exchanged so that nothing is meant.

gRefCOCO's expressions without a target name what an image could hold and does not. Here such an expression is one of an
object that is there, with its noun exchanged for one that no object has, or its colour for one that no object of its
noun has: nothing but presence tells the two kinds apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.artifacts.language import Parse, Phrase, Span
from stages.world.render import COLOURS
from stages.world.scene import Scene
from stages.world.shapes import NOUNS


@dataclass(frozen=True)
class Expression:
    text: str
    parse: Parse
    """One phrase, which is what the expression is about."""
    instance: int | None
    """The object that is meant; None where there is none."""
    exchanged: str | None = None
    """noun or colour: which word makes it mean nothing."""


def expression(drawn: Scene, rng: np.random.Generator, *, absent: bool) -> Expression:
    """An expression such as "the striped red circle": article, pattern (where it shows, in one case of two, or where it
    tells two objects apart), colour, noun. With `absent` one word of it is exchanged; the draws are the same."""
    number = int(rng.integers(len(drawn.instances)))
    me = drawn.instances[number]
    twins = [one for i, one in enumerate(drawn.instances) if i != number and one.noun == me.noun]
    needed = any(twin.colour == me.colour for twin in twins)
    patterned = bool(rng.random() < 0.5) and me.pattern_shows
    noun, colour = me.noun, me.colour
    exchanged = str(rng.choice(["noun", "colour"]))
    there = {one.noun for one in drawn.instances}
    taken = {one.colour for one in drawn.instances if one.noun == me.noun}
    others = {one.colour for one in drawn.instances} - taken
    draw = float(rng.random())
    if absent and exchanged == "noun":
        noun = _pick([one for one in NOUNS if one not in there], draw)
    elif absent:
        # Rather a colour that another object has: then each word points at something, and no object is meant.
        colour = _pick([one for one in COLOURS if one in others] or [one for one in COLOURS if one not in taken], draw)
    adjectives = ([me.pattern] if patterned or needed else []) + [colour]
    text, spans = "the", []
    for word in (*adjectives, noun):
        spans.append(Span(start=len(text) + 1, end=len(text) + 1 + len(word)))
        text += f" {word}"
    phrase = Phrase(span=Span(start=0, end=len(text)), root=spans[-1], adjectives=tuple(spans[:-1]))
    parse = Parse(phrases=(phrase,), referred=0)
    return Expression(text, parse, None if absent else number, exchanged if absent else None)


def _pick(options: list[str], draw: float) -> str:
    return options[int(draw * len(options))]
