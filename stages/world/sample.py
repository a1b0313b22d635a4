"""Samples of the embedded world: a scene, one caption of it, and the truth of everything the caption names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Parse, Span, is_numeral
from stages.world.caption import Caption, caption
from stages.world.layout import Level
from stages.world.render import COLOURS, PATTERNS
from stages.world.scene import Scene, scene, seed_of

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

UNSEEN = 0.46
"""Chance of unseen synonyms in a caption of val and test that could hold them: one caption in three does."""


@dataclass(frozen=True)
class Truth:
    """What one phrase or predicate of a caption names."""

    kind: str
    """phrase or predicate."""
    number: int
    """Index into the parse's phrases or predicates."""
    mask: Bool[np.ndarray, "128 128"]
    """Union of all it names, visible pixels; a predicate's is its subject's and object's together."""
    tags: tuple[str, ...]
    """Any of: ground, plural, same_noun, small, synonym, predicate."""


@dataclass(frozen=True)
class WorldSample:
    id: str
    text: str
    parse: Parse
    truth: tuple[Truth, ...]
    caption: Caption
    scene: Scene

    @property
    def image(self) -> UInt8[np.ndarray, "128 128 3"]:
        return self.scene.image


def _tags(drawn: Scene, said: Caption, number: int) -> tuple[str, ...]:
    named = said.names[number]
    tags = []
    if named.grounds:
        tags.append("ground")
    if len(named.instances) > 1:
        tags.append("plural")
    if len(named.instances) == 1:
        me = drawn.instances[named.instances[0]]
        if sum(other.noun == me.noun for other in drawn.instances) > 1:
            tags.append("same_noun")
        if me.small:
            tags.append("small")
    if said.unseen == number:
        tags.append("synonym")
    return tuple(tags)


def truths(drawn: Scene, said: Caption) -> tuple[Truth, ...]:
    """The truth of each phrase, then of each predicate."""
    rows = [
        Truth("phrase", number, named.mask(drawn), _tags(drawn, said, number))
        for number, named in enumerate(said.names)
    ]
    for number, predicate in enumerate(said.parse.predicates):
        ends = [end for end in (predicate.subject, predicate.object) if end is not None]
        union = np.logical_or.reduce([rows[end].mask for end in ends])
        rows.append(Truth("predicate", number, union, ("predicate",)))
    return tuple(rows)


def sample(
    split: str,
    index: int,
    level: Level | str = "full",
    register: str | None = None,
    variant: int = 0,
    unseen: float | None = None,
) -> WorldSample:
    """The sample of a split's index: the same image, text and truth on every machine.

    `register` fixes the caption's register, `variant` draws another caption of the same scene. `unseen` is the chance
    of unseen synonyms in a caption that could hold them: by default UNSEEN, and 0 in the training split, from which
    the embedded models learned. A caption that holds none is word for word the same whatever the chance.
    Raises ValueError as `scene` and `caption` do.
    """
    drawn = scene(split, index, level)
    rng = np.random.default_rng([seed_of(split, index), 1 + variant])
    if unseen is None:
        unseen = 0.0 if split == "train" else UNSEEN
    said = caption(drawn, rng, register, unseen=unseen)
    name = f"{split}-{index:06d}" + (f"-{variant}" if variant else "")
    return WorldSample(name, said.text, said.parse, truths(drawn, said), said, drawn)


@dataclass(frozen=True)
class Word:
    """A word that names something visible: its place, its role, the phrases or predicate it belongs to."""

    span: Span
    role: str
    """noun, colour, pattern, size, ground or predicate."""
    phrases: tuple[int, ...]


def naming_words(said: Caption) -> list[Word]:
    """The words of a caption that name something visible, with their roles, in the parse's order: no numerals.

    A word of an unseen synonym keeps the role of what it stands for.
    """
    from stages.world.caption import SYNONYMS

    known = {unseen: word for word, unseen in SYNONYMS.items()}
    words = []
    for number, (phrase, named) in enumerate(zip(said.parse.phrases, said.names, strict=True)):
        words.append(Word(phrase.root, "ground" if named.grounds else "noun", (number,)))
        for span in phrase.adjectives:
            if is_numeral(span.of(said.text)):
                continue
            word = span.of(said.text).lower()
            word = known.get(word, word)
            role = "colour" if word in COLOURS else "pattern" if word in PATTERNS else "size"
            words.append(Word(span, role, (number,)))
    for predicate in said.parse.predicates:
        ends = tuple(end for end in (predicate.subject, predicate.object) if end is not None)
        words.append(Word(predicate.span, "predicate", ends))
    return words
