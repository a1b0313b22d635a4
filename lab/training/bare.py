"""Captions that say what things are and leave out how they look: "a circle and a star", "circle star ring on sand".

Where a caption names a colour, colour finds the object and a shape need not be read; so training says nouns alone.
A noun that two objects share names both of them.
"""

from __future__ import annotations

import numpy as np

from stages.artifacts.language import Parse
from stages.world.caption import Caption, Named, _Writer
from stages.world.layout import Level
from stages.world.sample import WorldSample, truths
from stages.world.scene import Scene, scene, seed_of

REGISTER = "bare"
_PLURALS = {"cross": "crosses"}


def bare(drawn: Scene, rng: np.random.Generator, adjectives: float = 0.0, some: float = 0.0) -> Caption:
    """A caption of the scene's nouns: a list or a clause, in half of the cases with its ground.

    `adjectives` is the chance that an object's colour or pattern is said after all, only where no other object has
    the same; `some` the chance that some of the nouns are left out.
    """
    writer = _Writer(drawn, rng)
    nouns = [str(noun) for noun in rng.permutation(sorted({thing.noun for thing in drawn.instances}))]
    if len(nouns) > 1 and writer.chance(some):
        nouns = nouns[: int(rng.integers(1, len(nouns)))]
    article = writer.pick("a", "a", "", "the")
    joint = writer.pick(",", "and", "") if not article else writer.pick(",", "and")
    for place, noun in enumerate(nouns):
        if place:
            last = place == len(nouns) - 1
            if joint == "and" and last:
                writer.say("and")
            elif joint:
                writer.say(",")
        _thing(writer, noun, article, adjectives)
    if writer.chance(0.5):
        writer.say("on")
        first = int(rng.integers(len(drawn.grounds)))
        writer.ground(first)
        if len(drawn.grounds) == 2 and writer.chance(0.75):
            writer.say(writer.pick("beside", "near", "next to"))
            writer.ground(1 - first)
    parse = Parse(phrases=tuple(writer.phrases), predicates=(), referred=None).checked(writer.text)
    return Caption(writer.text, parse, tuple(writer.names), REGISTER)


def _thing(writer: _Writer, noun: str, article: str, adjectives: float) -> None:
    """Say a noun, for all objects that it names."""
    things = writer.scene.instances
    named = tuple(i for i, thing in enumerate(things) if thing.noun == noun)
    words = []
    if len(named) == 1:
        me, others = things[named[0]], [thing for i, thing in enumerate(things) if i != named[0]]
        shows = me.pattern_shows and all(other.pattern != me.pattern for other in others)
        if writer.chance(adjectives) and shows:
            words.append(me.pattern)
        if writer.chance(adjectives) and all(other.colour != me.colour for other in others):
            words.append(me.colour)
    elif writer.chance(0.5):
        words, noun, article = ["two"], _PLURALS.get(noun, noun + "s"), ""
    if article == "a" and (words or [noun])[0][0] in "aeiou":
        article = "an"
    first = writer.say(article) if article else None
    spans = [writer.say(word) for word in words]
    writer._note(first, spans, writer.say(noun), Named(instances=named))


def bare_sample(split: str, index: int, level: Level | str = "full") -> WorldSample:
    """The sample of a split's index with a bare caption: the same image, text and truth on every machine."""
    drawn = scene(split, index, level)
    said = bare(drawn, np.random.default_rng([seed_of(split, index), 101]))
    return WorldSample(f"{split}-{index:06d}-bare", said.text, said.parse, truths(drawn, said), said, drawn)
